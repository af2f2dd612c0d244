import fc from 'fast-check'
import t from 'tap'
import { FilterFlow } from '../../../lib/backend/tc/filter.js'
import { Moves } from '../../../lib/backend/tc/moves.js'
import { sweepFilters } from '../../../lib/backend/tc/sweep.js'
import { Ports } from '../../../lib/backend/tc/ports.js'
import { CounterColumns } from '../../../lib/memory/counters.js'
import { beginMessage, endMessage } from '../../../lib/netlink/message.js'
import { messagesOf } from '../../../lib/netlink/reader.js'
import { Writer } from '../../../lib/netlink/writer.js'
import { ufidOfWords } from '../../../lib/ovs/ufid.js'
import { actionEnvelope } from '../../../lib/tc/action/index.js'
import { filterFlags, flower } from '../../../lib/tc/flower.js'
import { hooks, tcMessage, types } from '../../../lib/tc/message.js'
import type { ActionStats } from '../../../lib/tc/stats.js'

interface Action {
  readonly stats?: ActionStats
  readonly cookie?: Uint8Array
}

interface Filter {
  readonly kind: string
  readonly chain?: number
  readonly handle: number
  readonly flags?: number
  readonly actions: readonly Action[]
}

/** A filter as the kernel tells it in a terse dump. */
function write(writer: Writer, { kind, chain, handle, flags, actions }: Filter): void {
  const at = beginMessage(writer, types.NEWTFILTER, 0)
  tcMessage.header.write(writer, { ifindex: 7, handle, parent: hooks.INGRESS, info: 0x20008 })
  tcMessage.body.write(writer, { kind, ...(chain === undefined ? {} : { chain }) })
  const options = writer.begin(tcMessage.body.ids.options)
  if (flags !== undefined) flower.write(writer, { flags })
  const list = writer.begin(flower.ids.actions)
  actions.forEach((action, index) => {
    const nest = writer.begin(index + 1)
    actionEnvelope.write(writer, { kind: 'gact', ...action })
    writer.end(nest)
  })
  writer.end(list)
  writer.end(options)
  endMessage(writer, at)
}

const look = new Moves().look(7)
const packets = fc.nat(5)
const basic = fc.record({ bytes: fc.bigInt(0n, 2n ** 63n), packets }, { noNullPrototype: true })
/** The kernel counts hardware into the total. */
const stats = fc
  .tuple(basic, fc.option(fc.record({ bytes: fc.bigInt(0n, 2n ** 40n), packets })))
  .map(([total, hw]) =>
    hw === null
      ? { basic: total }
      : {
          basic: { bytes: total.bytes + hw.bytes, packets: total.packets + hw.packets },
          basicHw: hw,
        },
  )
const filters: fc.Arbitrary<Filter> = fc.record(
  {
    kind: fc.constantFrom('flower', 'flower', 'flower', 'matchall', 'flowers', 'flowe'),
    handle: fc.constantFrom(0, 1, 0x68000001),
    actions: fc.array(
      fc.record(
        {
          stats,
          cookie: fc
            .constantFrom(4, 16, 16)
            .chain((size) => fc.uint8Array({ minLength: size, maxLength: size })),
        },
        { requiredKeys: [] },
      ),
      { maxLength: 3 },
    ),
    chain: fc.constantFrom(0, 0, 1),
    flags: fc.constantFrom(0, filterFlags.IN_HW, filterFlags.NOT_IN_HW),
  },
  { requiredKeys: ['kind', 'handle', 'actions'] },
)

t.test('a sweep reads what a terse dump would', async () => {
  const page = new CounterColumns('tc', ufidOfWords)
  fc.assert(
    fc.property(fc.array(filters, { maxLength: 6 }), (list) => {
      const writer = new Writer()
      for (const filter of list) write(writer, filter)
      const bytes = writer.take()
      const dumped = [...messagesOf(bytes)]
        .map((message) => new FilterFlow(message, new Ports(), 0, true))
        .filter((flow) => flow.isFlow)
      sweepFilters(bytes, page, look)
      if (page.count !== dumped.length) return false
      return dumped.every(({ ufid, stats, offloaded }, index) => {
        return (
          page.offloaded[index] === Number(offloaded) &&
          page.ufid(index) === ufid &&
          page.packets[index] === stats.packets &&
          page.bytes[index] === stats.bytes
        )
      })
    }),
    { numRuns: 500 },
  )
})

t.test('lengths that point outside are refused', async (t) => {
  const writer = new Writer()
  write(writer, { kind: 'flower', handle: 1, actions: [{ cookie: new Uint8Array(16) }] })
  const whole = writer.take()
  const page = new CounterColumns('tc', ufidOfWords)
  for (let at = 36; at < whole.length; at += 4) {
    const bytes = whole.slice()
    bytes[at] = 0xff
    bytes[at + 1] = 0xff
    try {
      sweepFilters(bytes, page, look)
    } catch (error) {
      t.match(error, { code: 'BAD_MESSAGE' }, `at ${at}`)
    }
  }
  t.throws(() => sweepFilters(whole.subarray(0, whole.length - 4), page, look), { code: 'BAD_MESSAGE' })
})
