import { type ConnectionTuple, DpifError, isWholeTuple, parseTuple } from '../../index.js'
import { splitZone, withConntrack } from '../conntrack.js'
import { CliError } from '../error.js'
import type { Verb } from '../verb.js'

export const flushConntrack: Verb = {
  name: 'flush-conntrack',
  usage: '[DP] [zone=N] [ORIG-TUPLE [REPLY-TUPLE]]',
  summary: 'forget tracked connections: all, those of zone N, or those that tuples fit',
  details: `A tuple is ct_nw_src=,ct_nw_dst= or ct_ipv6_src=,ct_ipv6_dst=, then ct_nw_proto=, and ct_tp_src=,ct_tp_dst= or
icmp_id=,icmp_type=,icmp_code=; what is left out may be anything. An ORIG-TUPLE with everything is one connection, of zone 0 unless
another is named, and it is an error when it is not there. '' is a tuple that says nothing.`,
  options: [],
  takes: [0, 4],
  writes: true,
  run: (call) =>
    withConntrack(call, async (conntrack, words) => {
      const { zone, rest } = splitZone(words, 2)
      const [original, reply] = readTuples(rest)
      const isOne = isWholeTuple(original) && Object.keys(reply).length === 0
      const where = zone ?? (isOne ? 0 : undefined)
      await conntrack.flush({ ...(where === undefined ? {} : { zone: where }), original, reply })
    }),
}

/** Both are of one protocol, whichever of them says so. */
function readTuples([original = '', reply = '']: readonly string[]) {
  try {
    const first = parseTuple(original)
    const second = parseTuple(reply, first.proto)
    const { proto: _, ...answer } = second
    return [
      { ...first, ...(second.proto === undefined ? {} : { proto: second.proto }) },
      isReply(second) ? answer : {},
    ] as const
  } catch (error) {
    if (error instanceof DpifError && error.code === 'SYNTAX')
      throw new CliError(`parsing tuple: ${error.message}`)
    throw error
  }
}

/** Whether it says more than the protocol, which the first one has. */
const isReply = ({ proto: _, ...rest }: Partial<ConnectionTuple>): boolean => Object.keys(rest).length > 0
