import { ipv4, ipv6 } from '../../netlink/addresses.js'
import type { Codec } from '../../netlink/codec.js'
import { be16, be32, u8, u32 } from '../../netlink/integers.js'
import { eachAttribute, NESTED } from '../../netlink/reader.js'
import { struct } from '../../netlink/struct.js'
import { AttributeSet, bytes, flag } from '../../netlink/table.js'
import { times } from '../stats.js'
import { type ActionKind, type CommonOptions, type General, general } from './kind.js'

export interface TunnelKeyParms extends General {
  /** One of {@link tunnelKeyActions}. */
  readonly tunnelAction: number
}

export interface TunnelKeyOptions extends CommonOptions {
  readonly parms?: TunnelKeyParms
  readonly id?: number
  readonly ipv4Src?: string
  readonly ipv4Dst?: string
  readonly ipv6Src?: string
  readonly ipv6Dst?: string
  readonly dstPort?: number
  /** 1: the outer UDP header has no checksum. */
  readonly noCsum?: number
  readonly encap?: TunnelOptions
  readonly tos?: number
  readonly ttl?: number
  readonly noFrag?: true
}

/** What a tunnel carries beside addresses and id; options of one sort. */
export interface TunnelOptions {
  readonly geneve?: readonly GeneveOption[]
  readonly vxlan?: VxlanOption
  readonly erspan?: ErspanOption
}

export interface GeneveOption {
  readonly class?: number
  readonly type?: number
  /** 4 to 124 bytes. */
  readonly data?: Uint8Array
}

export interface VxlanOption {
  readonly gbp?: number
}

export interface ErspanOption {
  readonly version?: number
  /** Version 1. */
  readonly index?: number
  /** Version 2. */
  readonly direction?: number
  readonly hwid?: number
}

/** TCA_TUNNEL_KEY_ACT_*. */
export const tunnelKeyActions = { SET: 1, RELEASE: 2 } as const

/** TCA_TUNNEL_KEY_ENC_OPTS_*. */
export const tunnelOptionSorts = { GENEVE: 1, VXLAN: 2, ERSPAN: 3 } as const

// biome-ignore format: one row per line
export const geneveOption = new AttributeSet<GeneveOption>('geneve', {
  class: { uapi: 'TCA_TUNNEL_KEY_ENC_OPT_GENEVE_CLASS', id: 1, codec: be16, doc: 'Who defines the type.' },
  type: { uapi: 'TCA_TUNNEL_KEY_ENC_OPT_GENEVE_TYPE', id: 2, codec: u8, doc: 'Which option.' },
  data: { uapi: 'TCA_TUNNEL_KEY_ENC_OPT_GENEVE_DATA', id: 3, codec: bytes, doc: 'What it says.' },
})

// biome-ignore format: one row per line
export const vxlanOption = new AttributeSet<VxlanOption>('vxlan', {
  gbp: { uapi: 'TCA_TUNNEL_KEY_ENC_OPT_VXLAN_GBP', id: 1, codec: u32, doc: 'Group policy.' },
})

// biome-ignore format: one row per line
export const erspanOption = new AttributeSet<ErspanOption>('erspan', {
  version: { uapi: 'TCA_TUNNEL_KEY_ENC_OPT_ERSPAN_VER', id: 1, codec: u8, doc: '1 or 2.' },
  index: { uapi: 'TCA_TUNNEL_KEY_ENC_OPT_ERSPAN_INDEX', id: 2, codec: be32, doc: 'Which session (1).' },
  direction: { uapi: 'TCA_TUNNEL_KEY_ENC_OPT_ERSPAN_DIR', id: 3, codec: u8, doc: 'In or out (2).' },
  hwid: { uapi: 'TCA_TUNNEL_KEY_ENC_OPT_ERSPAN_HWID', id: 4, codec: u8, doc: 'Which device (2).' },
})

/** Every GENEVE option is written as an attribute of its own, and read also where the kernel puts all into one. */
const encap: Codec<TunnelOptions> = {
  size: undefined,
  write: (writer, { geneve = [], vxlan, erspan }) => {
    const put = <T extends object>(sort: number, set: AttributeSet<T>, value: T): void => {
      const at = writer.begin(sort | NESTED)
      set.write(writer, value)
      writer.end(at)
    }
    for (const option of geneve) put(tunnelOptionSorts.GENEVE, geneveOption, option)
    if (vxlan !== undefined) put(tunnelOptionSorts.VXLAN, vxlanOption, vxlan)
    if (erspan !== undefined) put(tunnelOptionSorts.ERSPAN, erspanOption, erspan)
  },
  read: (from, start, end) => {
    const geneve: GeneveOption[] = []
    const found: { geneve?: GeneveOption[]; vxlan?: VxlanOption; erspan?: ErspanOption } = {}
    eachAttribute(from, start, end, (sort, begin, stop) => {
      if (sort === tunnelOptionSorts.GENEVE) geneve.push(...readGeneve(from, begin, stop))
      if (sort === tunnelOptionSorts.VXLAN) found.vxlan = vxlanOption.read(from, begin, stop)
      if (sort === tunnelOptionSorts.ERSPAN) found.erspan = erspanOption.read(from, begin, stop)
    })
    return geneve.length === 0 ? found : { geneve, ...found }
  },
  samples: [
    {
      geneve: [
        { class: 0x102, type: 0x80, data: Uint8Array.of(1, 2, 3, 4) },
        { class: 0xffff, type: 1, data: new Uint8Array(8).fill(9) },
      ],
    },
    { vxlan: { gbp: 7 } },
    { erspan: { version: 1, index: 5 } },
    { erspan: { version: 2, direction: 1, hwid: 63 } },
  ],
}

/** Each class begins an option. */
function readGeneve(from: Uint8Array, start: number, end: number): GeneveOption[] {
  const starts: number[] = []
  eachAttribute(from, start, end, (id, at) => {
    if (id === geneveOption.ids.class) starts.push(at - 4)
  })
  return starts.map((at, index) => geneveOption.read(from, at, starts[index + 1] ?? end))
}

/** Says which tunnel a packet is to take, or takes away what is known of the one it came through. */
export const tunnelKey: ActionKind<TunnelKeyOptions> = {
  kind: 'tunnel_key',
  // biome-ignore format: one row per line
  options: new AttributeSet<TunnelKeyOptions>('tunnel_key', {
    parms: { uapi: 'TCA_TUNNEL_KEY_PARMS', id: 2, codec: struct<TunnelKeyParms>({ ...general, tunnelAction: u32 }), doc: 'Set or release.' },
    ipv4Src: { uapi: 'TCA_TUNNEL_KEY_ENC_IPV4_SRC', id: 3, codec: ipv4, doc: 'Outer source.' },
    ipv4Dst: { uapi: 'TCA_TUNNEL_KEY_ENC_IPV4_DST', id: 4, codec: ipv4, doc: 'Outer destination.' },
    ipv6Src: { uapi: 'TCA_TUNNEL_KEY_ENC_IPV6_SRC', id: 5, codec: ipv6, doc: 'Outer source.' },
    ipv6Dst: { uapi: 'TCA_TUNNEL_KEY_ENC_IPV6_DST', id: 6, codec: ipv6, doc: 'Outer destination.' },
    id: { uapi: 'TCA_TUNNEL_KEY_ENC_KEY_ID', id: 7, codec: be32, doc: 'VNI or key; none when left out.' },
    dstPort: { uapi: 'TCA_TUNNEL_KEY_ENC_DST_PORT', id: 9, codec: be16, doc: 'Outer UDP port.' },
    noCsum: { uapi: 'TCA_TUNNEL_KEY_NO_CSUM', id: 10, codec: u8, doc: 'No outer checksum.' },
    encap: { uapi: 'TCA_TUNNEL_KEY_ENC_OPTS', id: 11, codec: encap, doc: 'Options of the tunnel.' },
    tos: { uapi: 'TCA_TUNNEL_KEY_ENC_TOS', id: 12, codec: u8, doc: 'Outer TOS.' },
    ttl: { uapi: 'TCA_TUNNEL_KEY_ENC_TTL', id: 13, codec: u8, doc: 'Outer TTL; the device chooses when left out.' },
    noFrag: { uapi: 'TCA_TUNNEL_KEY_NO_FRAG', id: 14, codec: flag, since: '6.4', doc: 'Do not fragment.' },
    times: { uapi: 'TCA_TUNNEL_KEY_TM', id: 1, codec: times, doc: 'Last use.' },
  }, { pad: 8 }),
}
