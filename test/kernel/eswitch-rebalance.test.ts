import t from 'tap'
import { kernelOnly, NativeTransport, type Policy, preferTc, type RebalancePass } from '../../lib/index.js'
import { datapath, eventually, ip, open } from '../fixtures/lab.js'
import { sender, udpFrame } from '../fixtures/packets.js'
import { type Eswitch, eswitchMissing, loadEswitch } from '../lab/eswitch/device.js'

// A table with room for a tenth of the flows: who is in it, once somebody looks at how busy they are.

t.setTimeout(0)

const ROOM = 100
const FLOWS = 1000
/** Ranks around the edge where the difference may be too small for a change of places. */
const EDGE = 8

const address = (n: number) => `10.1.${n >> 8}.${n & 255}`
/** The order in which flows are put has nothing to do with how busy they are. */
const rankOf = (n: number) => ((n * 387) % FLOWS) + 1
/** Packets of a flow between two looks: few have most of them. One in {@link EDGE} is a quarter faster than one of the other side. */
const rateOf = (n: number) => Math.max(1, Math.round(600 * 0.97 ** rankOf(n)))

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
      for await (const pass of dpif.rebalance({ everyMs: 100, restMs: 0 })) {
        t.comment(JSON.stringify(pass))
        passes.push(pass)
        if (passes.length === 4) break
        await traffic()
      }
      const [first, second, third, last] = passes
      t.match(first, { flows: FLOWS, promoted: 0, demoted: 0 }, 'nobody knows who is fast')
      t.ok((second?.promoted ?? 0) > ROOM / 2, 'then many change places')
      // Flows are not measured all in one moment.
      t.ok((third?.promoted ?? 0) <= 2, 'few at the edge follow')
      t.match(last, { promoted: 0, demoted: 0 }, 'with steady rates nothing moves')
      t.equal(esw.used, ROOM)
      const inHardware = new Set<string>()
      for await (const { ufid } of dpif.dump({ terse: true, types: ['offloaded'] })) inHardware.add(ufid)
      t.equal(inHardware.size, ROOM)
      const missing = ufids.filter((ufid, n) => rankOf(n) <= ROOM && !inHardware.has(ufid))
      t.ok(missing.length <= EDGE, `${missing.length} of the ${ROOM} fastest are not in hardware`)
      t.same(
        ufids.filter((ufid, n) => rankOf(n) <= ROOM - EDGE && !inHardware.has(ufid)),
        [],
        'and they are at the edge',
      )
      t.equal(await packets(), 0, 'moves cost no counter')
    })
  }
}
