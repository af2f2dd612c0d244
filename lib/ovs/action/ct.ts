import { isIPv6 } from 'node:net'
import type { Bits, CtAction, Nat } from '../../../types/action.js'
import { DpifError } from '../../errors.js'
import { ipv4, ipv6 } from '../../netlink/addresses.js'
import type { Codec } from '../../netlink/codec.js'
import { u16, u32, u128 } from '../../netlink/integers.js'
import { struct } from '../../netlink/struct.js'
import { AttributeSet, flag } from '../../netlink/table.js'

/** An address of either version; its length says which. */
const address: Codec<string> = {
  size: undefined,
  write: (writer, value) => (isIPv6(value) ? ipv6 : ipv4).write(writer, value),
  read: (bytes, start, end) => {
    const size = end - start
    if (size !== 4 && size !== 16) {
      throw new DpifError('BAD_MESSAGE', `${size} bytes where an address of 4 or 16 belongs`)
    }
    return (size === 4 ? ipv4 : ipv6).read(bytes, start, end)
  },
  samples: ['10.0.0.1', 'fe80::1'],
}

/** A name that has room for so many bytes, its closing NUL among them. What is not ASCII stays what it was, byte by byte. */
function name(room: number): Codec<string> {
  return {
    size: undefined,
    write: (writer, value) => {
      if (value.length >= room) throw new RangeError(`'${value}' is longer than ${room - 1}`)
      if (/[^\x01-\xff]/.test(value)) throw new TypeError(`${JSON.stringify(value)} is not a name`)
      writer.append(Buffer.from(`${value}\0`, 'latin1'))
    },
    read: (bytes, start, end) => {
      const size = bytes.subarray(start, Math.min(end, start + room)).indexOf(0)
      if (size < 0) throw new DpifError('BAD_MESSAGE', `a name without a NUL in its first ${room} bytes`)
      return Buffer.from(bytes.subarray(start, start + size)).toString('latin1')
    },
    samples: ['ftp'],
  }
}

// biome-ignore format: one row per line
export const nat: AttributeSet<Nat> = new AttributeSet<Nat>('nat', {
  src: { uapi: 'OVS_NAT_ATTR_SRC', id: 1, codec: flag, text: 'src', doc: 'Translate the source.' },
  dst: { uapi: 'OVS_NAT_ATTR_DST', id: 2, codec: flag, text: 'dst', doc: 'Translate the destination.' },
  ipMin: { uapi: 'OVS_NAT_ATTR_IP_MIN', id: 3, codec: address, doc: 'The first address to translate to.' },
  ipMax: { uapi: 'OVS_NAT_ATTR_IP_MAX', id: 4, codec: address, doc: 'The last one, if it is another.' },
  protoMin: { uapi: 'OVS_NAT_ATTR_PROTO_MIN', id: 5, codec: u16, doc: 'The first port to translate to.' },
  protoMax: { uapi: 'OVS_NAT_ATTR_PROTO_MAX', id: 6, codec: u16, doc: 'The last one, if it is another.' },
  persistent: { uapi: 'OVS_NAT_ATTR_PERSISTENT', id: 7, codec: flag, text: 'persistent', doc: 'The same address for the same client.' },
  protoHash: { uapi: 'OVS_NAT_ATTR_PROTO_HASH', id: 8, codec: flag, text: 'hash', doc: 'Choose the port by a hash.' },
  protoRandom: { uapi: 'OVS_NAT_ATTR_PROTO_RANDOM', id: 9, codec: flag, text: 'random', doc: 'Choose the port at random.' },
})

/**
 * In the kernel's own order (`ovs_ct_action_to_attr()`, net/openvswitch/conntrack.c). It wants COMMIT and FORCE_COMMIT before NAT,
 * too: it looks whether it has seen the one when it gets to the other.
 */
// biome-ignore format: one row per line
export const ct: AttributeSet<CtAction> = new AttributeSet<CtAction>('ct', {
  commit: { uapi: 'OVS_CT_ATTR_COMMIT', id: 1, codec: flag, text: 'commit', doc: 'Remember the connection.' },
  forceCommit: { uapi: 'OVS_CT_ATTR_FORCE_COMMIT', id: 7, codec: flag, text: 'force_commit', since: '4.10', doc: 'Commit, even if it is known the other way round.' },
  zone: { uapi: 'OVS_CT_ATTR_ZONE', id: 2, codec: u16, text: 'zone', doc: 'Conntrack zone.' },
  mark: { uapi: 'OVS_CT_ATTR_MARK', id: 3, codec: struct<Bits<number>>({ value: u32, mask: u32 }), text: 'mark', doc: 'Mark to give the connection.' },
  labels: { uapi: 'OVS_CT_ATTR_LABELS', id: 4, codec: struct<Bits<bigint>>({ value: u128, mask: u128 }), text: 'label', doc: 'Label to give the connection.' },
  helper: { uapi: 'OVS_CT_ATTR_HELPER', id: 5, codec: name(16), text: 'helper', doc: 'Protocol helper.' },
  eventMask: { uapi: 'OVS_CT_ATTR_EVENTMASK', id: 8, codec: u32, since: '4.12', doc: 'Which conntrack events are told.' },
  timeout: { uapi: 'OVS_CT_ATTR_TIMEOUT', id: 9, codec: name(32), text: 'timeout', since: '5.2', doc: 'Timeout policy.' },
  nat: { uapi: 'OVS_CT_ATTR_NAT', id: 6, codec: nat, text: 'nat', since: '4.6', doc: 'Address translation.' },
})
