import type { Action, ActionSet, PushVlan, SetMasked } from '../../types/action.js'
import type { FlowKey } from '../../types/flow.js'
import { DpifError } from '../errors.js'
import type { Codec } from '../netlink/codec.js'
import { be16, u32 } from '../netlink/integers.js'
import { eachAttribute } from '../netlink/reader.js'
import type { Struct } from '../netlink/struct.js'
import { AttributeList, AttributeSet, flag } from '../netlink/table.js'
import { flowKey } from './key.js'

/** struct ovs_action_push_vlan: two words, both in network order. */
const pushVlan: Codec<PushVlan> = {
  size: 4,
  write: (writer, { tpid = 0x8100, ...tci }) => {
    const at = writer.reserve(4)
    be16.put(writer.bytes, at, tpid)
    vlanTag.put(writer.bytes, at + 2, tci)
  },
  read: (bytes, start, end) => {
    if (end - start !== 4) throw new DpifError('BAD_MESSAGE', `${end - start} bytes where 4 belong`)
    return { tpid: be16.take(bytes, start), ...vlanTag.take(bytes, start + 2) }
  },
  samples: [
    { tpid: 0x8100, vid: 7, pcp: 0, cfi: 1 },
    { tpid: 0x88a8, vid: 4095, pcp: 7, cfi: 1 },
  ],
}

/** The payload is one key attribute whose payload is value, then mask. */
const setMasked: Codec<SetMasked> = {
  size: undefined,
  write: (writer, { key, mask }) => {
    const [name, row] = onlyRow(key)
    const value = (key as Record<string, unknown>)[name]
    const bits = (mask as Record<string, unknown>)[name]
    if (bits === undefined) throw new TypeError(`setMasked: the mask has no ${name}, which the key sets`)
    const at = writer.begin(row.id)
    row.codec.write(writer, value)
    row.codec.write(writer, bits)
    writer.end(at)
  },
  read: (bytes, start, end) => {
    const result: { key: FlowKey; mask: FlowKey }[] = []
    eachAttribute(bytes, start, end, (id, from, to) => {
      const row = flowKey.row(id)
      const middle = (from + to) / 2
      if (row?.codec.size === undefined) {
        const half = (data: Uint8Array) => ({ unknown: [{ id, data }] })
        result.push({ key: half(bytes.slice(from, middle)), mask: half(bytes.slice(middle, to)) })
        return
      }
      result.push({
        key: { [row.name]: row.codec.read(bytes, from, middle) },
        mask: { [row.name]: row.codec.read(bytes, middle, to) },
      })
    })
    const [only] = result
    if (only === undefined || result.length !== 1) {
      throw new DpifError('BAD_MESSAGE', `a masked set of ${result.length} keys; it takes one`)
    }
    return only
  },
  samples: [
    {
      key: { ethernet: { src: '00:11:22:33:44:55', dst: '00:00:00:00:00:00' } },
      mask: { ethernet: { src: 'ff:ff:ff:ff:ff:ff', dst: '00:00:00:00:00:00' } },
    },
    { key: { tcp: { src: 0, dst: 80 } }, mask: { tcp: { src: 0, dst: 0xffff } } },
  ],
}

/** The payload is one whole key attribute. */
const set: Codec<FlowKey> = {
  size: undefined,
  write: (writer, key) => {
    onlyRow(key)
    flowKey.write(writer, key)
  },
  read: (bytes, start, end) => flowKey.read(bytes, start, end),
  samples: [{ skbMark: 7 }, { udp: { src: 1, dst: 2 } }],
}

const vlanTag = flowKey.row(flowKey.ids.vlan)?.codec as Struct<PushVlan>

/** Name and row of the one header a set is about. Throws a TypeError when it is none or several. */
export function onlyRow(key: FlowKey): [name: string, row: NonNullable<ReturnType<typeof flowKey.row>>] {
  const names = Object.keys(key)
  const row = flowKey.rows.find(({ name }) => name === names[0])
  if (row === undefined || names.length !== 1) {
    throw new TypeError(`a set writes exactly one header, not { ${names.join(', ')} }`)
  }
  return [row.name, row]
}

// biome-ignore format: one row per line
const actionRows: AttributeSet<ActionSet> = new AttributeSet<ActionSet>('actions', {
  output: { uapi: 'OVS_ACTION_ATTR_OUTPUT', id: 1, codec: u32, doc: 'Send to a datapath port.' },
  set: { uapi: 'OVS_ACTION_ATTR_SET', id: 3, codec: set, text: 'set', doc: 'Write a whole header.' },
  pushVlan: { uapi: 'OVS_ACTION_ATTR_PUSH_VLAN', id: 4, codec: pushVlan, text: 'push_vlan', doc: 'Add a VLAN tag.' },
  popVlan: { uapi: 'OVS_ACTION_ATTR_POP_VLAN', id: 5, codec: flag, text: 'pop_vlan', doc: 'Remove the outer VLAN tag.' },
  setMasked: { uapi: 'OVS_ACTION_ATTR_SET_MASKED', id: 11, codec: setMasked, text: 'set', since: '3.19', doc: 'Write some bits of a header.' },
  drop: { uapi: 'OVS_ACTION_ATTR_DROP', id: 24, codec: u32, text: 'drop', since: '6.6', doc: 'Drop, with a reason code.' },
})

/** The actions of a flow, carried out in order. The empty list drops. */
export const actionList = new AttributeList<ActionSet, Action>(actionRows)

/** Whether two lists of actions are the same outputs; false when there is anything else in them. */
export function sameOutputs(a: readonly Action[], b: readonly Action[]): boolean {
  if (a.length !== b.length) return false
  for (let index = 0; index < a.length; index++) {
    const output = a[index]?.output
    if (output === undefined || output !== b[index]?.output) return false
  }
  return true
}
