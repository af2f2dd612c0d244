import type { Action, CheckPktLen, DecTtl, Psample, SampleAction } from '../../../types/action.js'
import { DpifError } from '../../errors.js'
import type { Codec } from '../../netlink/codec.js'
import { u16, u32 } from '../../netlink/integers.js'
import { AttributeSet, bytes } from '../../netlink/table.js'

// Actions that hold actions. Each is told what a list is, as the list holds them.

type ListCodec = Codec<readonly Action[]>

// biome-ignore format: one row per line
export const sampleSet = (actions: ListCodec): AttributeSet<SampleAction> => new AttributeSet<SampleAction>('sample', {
  probability: { uapi: 'OVS_SAMPLE_ATTR_PROBABILITY', id: 1, codec: u32, text: 'sample', doc: 'The part of the packets, of 2^32 - 1.' },
  actions: { uapi: 'OVS_SAMPLE_ATTR_ACTIONS', id: 2, codec: actions, text: 'actions', doc: 'What is done with them.' },
})

// biome-ignore format: one row per line
export const checkPktLenSet = (actions: ListCodec): AttributeSet<CheckPktLen> => new AttributeSet<CheckPktLen>('checkPktLen', {
  size: { uapi: 'OVS_CHECK_PKT_LEN_ATTR_PKT_LEN', id: 1, codec: u16, text: 'size', since: '5.2', doc: 'Bytes.' },
  greater: { uapi: 'OVS_CHECK_PKT_LEN_ATTR_ACTIONS_IF_GREATER', id: 2, codec: actions, text: 'gt', since: '5.2', doc: 'What is done with longer packets.' },
  lessEqual: { uapi: 'OVS_CHECK_PKT_LEN_ATTR_ACTIONS_IF_LESS_EQUAL', id: 3, codec: actions, text: 'le', since: '5.2', doc: 'What is done with the others.' },
})

// biome-ignore format: one row per line
export const decTtlSet = (actions: ListCodec): AttributeSet<DecTtl> => new AttributeSet<DecTtl>('decTtl', {
  action: { uapi: 'OVS_DEC_TTL_ATTR_ACTION', id: 1, codec: actions, text: 'le_1', since: '5.12', doc: 'What is done with a packet at its end.' },
})

/** At most 16 bytes (OVS_PSAMPLE_COOKIE_MAX_SIZE). */
const cookie: Codec<Uint8Array> = {
  ...bytes,
  write: (writer, value) => {
    if (value.length > 16) throw new RangeError(`a cookie of ${value.length} bytes; 16 are the most`)
    bytes.write(writer, value)
  },
  read: (from, start, end) => {
    if (end - start > 16) throw new DpifError('BAD_MESSAGE', `${end - start} bytes where at most 16 belong`)
    return bytes.read(from, start, end)
  },
}

// biome-ignore format: one row per line
export const psample: AttributeSet<Psample> = new AttributeSet<Psample>('psample', {
  group: { uapi: 'OVS_PSAMPLE_ATTR_GROUP', id: 1, codec: u32, text: 'group', since: '6.11', doc: 'Who listens.' },
  cookie: { uapi: 'OVS_PSAMPLE_ATTR_COOKIE', id: 2, codec: cookie, text: 'cookie', since: '6.11', doc: 'Comes with the sample.' },
})
