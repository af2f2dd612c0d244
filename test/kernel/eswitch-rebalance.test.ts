import t from 'tap'
import { kernelOnly, NativeTransport, type Policy, preferTc, type RebalancePass } from '../../lib/index.js'
import { datapath, eventually, ip, open } from '../fixtures/lab.js'
import { sender, udpFrame } from '../fixtures/packets.js'
import { type Eswitch, eswitchMissing, loadEswitch } from '../lab/eswitch/device.js'

// A table with room for a tenth of the flows: who is in it, once somebody looks at how busy they are.

t.setTimeout(0)

const ROOM = 100
const FLOWS = 1000
/** Some ten times as long as it takes to look at all flows here: what was measured of each is as much off as the moment of its look. */
const EVERY_MS = 2000
/** So many on either side of the edge are equally busy: which of them are in is for whoever came first, and to stay so. */
const EDGE = 8

const address = (n: number) => `10.1.${n >> 8}.${n & 255}`
/** The order in which flows are put has nothing to do with how busy they are. */
const rankOf = (n: number) => ((n * 387) % FLOWS) + 1
/**
 * Packets of a flow between two looks: few have most of them. Between the fast, those at the edge and the slow is more than the
 * `ratio` that makes flows change places.
 */
const rateOf = (n: number) => {
  const rank = rankOf(n)
  if (rank <= ROOM - EDGE) return Math.round(600 * 0.97 ** rank)
  return rank <= ROOM + EDGE ? 20 : Math.max(1, Math.round(10 * 0.97 ** (rank - ROOM)))
}

const policies: Readonly<Record<string, Policy>> = {
  'the others are in openvswitch': preferTc({ skip: 'sw' }),
  "the others are in TC's software": preferTc(),
}

const reason = eswitchMissing()
if (reason !== false) t.plan(0, reason)
else {
  for (const [where, policy] of Object.entries(policies)) {
    t.test(`the fastest flows are in hardware, and ${where}`, async (t) => {
      const [esw] = loadEswitch(t, { switchdev: true, capacity: ROOM }) as [Eswitch]
      const far = await datapath(t)
      const transport = new NativeTransport()
      t.teardown(() => transport.close())
      await (await open(t, far.name, kernelOnly())).addPort(esw.vf(1), { number: 1 })
      const { name } = await datapath(t)
      const dpif = await open(t, name, policy)
      for (const [at, port] of [esw.rep(0), esw.rep(1)].entries())
        await dpif.addPort(port, { number: at + 1 })
      for (const device of [esw.vf(1), esw.rep(0), esw.rep(1)]) ip(`link set ${device} up`)
      const send = await sender(transport, far.ifindex)

      const ufids = (
        await dpif.operate(
          Array.from({ length: FLOWS }, (_, n) => ({
            op: 'put' as const,
            key: `in_port(2),eth(),eth_type(0x0800),ipv4(dst=${address(n)},frag=no)`,
            actions: '1',
          })),
        )
      ).map(({ ufid, error }) => {
        if (error !== undefined) throw new Error(error.message)
        return ufid
      })
      t.equal(esw.used, ROOM, 'the table is full')
      const macs = { src: '02:00:00:00:00:01', dst: '02:00:00:00:00:02' }
      let rounds = 0
      const packets = async () => {
        const counted = new Map<string, bigint>()
        for await (const page of dpif.sweep())
          for (let at = 0; at < page.count; at++) counted.set(page.ufid(at), page.packets[at] ?? 0n)
        return ufids.filter((ufid, n) => counted.get(ufid) !== BigInt(rateOf(n) * rounds)).length
      }
      const traffic = async () => {
        for (let n = 0; n < FLOWS; n++) {
          const frame = udpFrame({ ...macs, from: ['10.0.0.1', 1], to: [address(n), 2] })
          await send(1, frame, rateOf(n))
        }
        rounds++
        // Software has them a moment later.
        t.equal(await eventually(packets, (wrong) => wrong === 0), 0, 'every packet was counted, and once')
      }

      const passes: RebalancePass[] = []
      for await (const pass of dpif.rebalance({ everyMs: EVERY_MS, restMs: 0 })) {
        t.comment(JSON.stringify(pass))
        passes.push(pass)
        if (passes.length === 4) break
        await traffic()
      }
      const [first, second, third, last] = passes
      const still = { promoted: 0, demoted: 0 }
      const ranked = ufids
        .map((ufid, n) => ({ ufid, rank: rankOf(n) }))
        .sort((a, b) => a.rank - b.rank)
        .map(({ ufid }) => ufid)
      t.match(first, { flows: FLOWS, ...still }, 'nobody knows who is fast')
      t.ok((second?.promoted ?? 0) > ROOM / 2, 'then many change places')
      t.match([third, last], [still, still], 'with steady rates nothing moves')
      t.equal(esw.used, ROOM)
      const inHardware = new Set<string>()
      for await (const { ufid } of dpif.dump({ terse: true, types: ['offloaded'] })) inHardware.add(ufid)
      t.equal(inHardware.size, ROOM)
      const isMissing = (ufid: string) => !inHardware.has(ufid)
      t.same(ranked.slice(0, ROOM - EDGE).filter(isMissing), [], 'the fastest are in hardware')
      const atEdge = ranked.slice(0, ROOM + EDGE).filter(isMissing)
      t.equal(atEdge.length, EDGE, 'and so are some at the edge, and nobody else')
      t.equal(await packets(), 0, 'moves cost no counter')
    })
  }
}
