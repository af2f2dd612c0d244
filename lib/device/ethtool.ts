import type { UnknownAttribute } from '../../types/flow.js'
import type { Codec } from '../netlink/codec.js'
import { type Family, type GenlHeader, genlHeader } from '../netlink/genl.js'
import { u32 } from '../netlink/integers.js'
import { eachAttribute, wireId } from '../netlink/reader.js'
import { AttributeSet, flag, string } from '../netlink/table.js'

/** Which device a message is about; one of the two is enough. */
export interface EthtoolHeader {
  readonly ifindex?: number
  readonly name?: string
  readonly unknown?: readonly UnknownAttribute[]
}

// biome-ignore format: one row per line
export const ethtoolHeader = new AttributeSet<EthtoolHeader>('header', {
  ifindex: { uapi: 'ETHTOOL_A_HEADER_DEV_INDEX', id: 1, codec: u32, doc: 'Ifindex of the device.' },
  name: { uapi: 'ETHTOOL_A_HEADER_DEV_NAME', id: 2, codec: string, doc: 'Its name.' },
})

/** One bit of a set, by its name: its number differs from kernel to kernel. */
export interface EthtoolBit {
  readonly index?: number
  readonly name?: string
  readonly value?: true
  readonly unknown?: readonly UnknownAttribute[]
}

// biome-ignore format: one row per line
export const ethtoolBit = new AttributeSet<EthtoolBit>('bit', {
  index: { uapi: 'ETHTOOL_A_BITSET_BIT_INDEX', id: 1, codec: u32, doc: 'Its number.' },
  name: { uapi: 'ETHTOOL_A_BITSET_BIT_NAME', id: 2, codec: string, doc: 'Its name.' },
  value: { uapi: 'ETHTOOL_A_BITSET_BIT_VALUE', id: 3, codec: flag, doc: 'It is set; without, it is cleared.' },
})

/** ETHTOOL_A_BITSET_BITS_BIT, over and over in a list of bits. */
export const BIT = { uapi: 'ETHTOOL_A_BITSET_BITS_BIT', id: 1, nested: true } as const

/** ETHTOOL_A_BITSET_BITS: the bits one behind the other. */
const bitList: Codec<readonly EthtoolBit[]> = {
  size: undefined,
  write: (writer, list) => {
    for (const bit of list) {
      const at = writer.begin(wireId(BIT))
      ethtoolBit.write(writer, bit)
      writer.end(at)
    }
  },
  read: (from, start, end) => {
    const list: EthtoolBit[] = []
    eachAttribute(from, start, end, (id, begin, stop) => {
      if (id === BIT.id) list.push(ethtoolBit.read(from, begin, stop))
    })
    return list
  },
  samples: [[{ name: 'hw-tc-offload', value: true }], []],
}

/**
 * A set of bits in its long form (Documentation/networking/ethtool-netlink.rst). With `noMask` it is those that are set; without, the bits
 * that are named and what they are, which in a request leaves the others alone.
 */
export interface EthtoolBitset {
  readonly noMask?: true
  readonly size?: number
  readonly bits?: readonly EthtoolBit[]
  readonly unknown?: readonly UnknownAttribute[]
}

// biome-ignore format: one row per line
export const ethtoolBitset = new AttributeSet<EthtoolBitset>('bitset', {
  noMask: { uapi: 'ETHTOOL_A_BITSET_NOMASK', id: 1, codec: flag, doc: 'A list of what is set.' },
  size: { uapi: 'ETHTOOL_A_BITSET_SIZE', id: 2, codec: u32, doc: 'How many bits there are.' },
  bits: { uapi: 'ETHTOOL_A_BITSET_BITS', id: 3, nested: true, codec: bitList, doc: 'The bits.' },
})

/** The features of a device. In the answer to a change, `wanted` has those that did not become what was asked for. */
export interface EthtoolFeatures {
  readonly header?: EthtoolHeader
  /** Those that can be switched. */
  readonly hw?: EthtoolBitset
  readonly wanted?: EthtoolBitset
  readonly active?: EthtoolBitset
  readonly unknown?: readonly UnknownAttribute[]
}

/** Generic netlink family ethtool (linux/ethtool_netlink.h, since Linux 5.6), as far as the features of a device go (5.7). */
export const ethtool: Family<GenlHeader, EthtoolFeatures> & { readonly body: AttributeSet<EthtoolFeatures> } =
  {
    name: 'ethtool',
    origin: 'it takes Linux 5.6 with CONFIG_ETHTOOL_NETLINK',
    version: 1,
    commands: { FEATURES_GET: 11, FEATURES_SET: 12 },
    header: genlHeader,
    // biome-ignore format: one row per line
    body: new AttributeSet<EthtoolFeatures>('features', {
    header: { uapi: 'ETHTOOL_A_FEATURES_HEADER', id: 1, nested: true, codec: ethtoolHeader, doc: 'Which device.' },
    hw: { uapi: 'ETHTOOL_A_FEATURES_HW', id: 2, nested: true, codec: ethtoolBitset, doc: 'What can be switched.' },
    wanted: { uapi: 'ETHTOOL_A_FEATURES_WANTED', id: 3, nested: true, codec: ethtoolBitset, doc: 'What was asked for.' },
    active: { uapi: 'ETHTOOL_A_FEATURES_ACTIVE', id: 4, nested: true, codec: ethtoolBitset, doc: 'What is on.' },
  }),
  }

/** What `ethtool -k` calls the feature without which a driver takes no filters. */
export const HW_TC_OFFLOAD = 'hw-tc-offload'
