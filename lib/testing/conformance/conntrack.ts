import assert from 'node:assert/strict'
import type { Connection, Conntrack } from '../../../types/conntrack.js'
import type { TimeoutPolicy } from '../../../types/conntrack.js'
import { openConntrack } from '../../index.js'
import { type Case, eventually, type Lab, ok } from './lab.js'

// Connections are the network namespace's and outlive a datapath, so every case has numbers nobody else has, and forgets what it made. Not
// every kernel has zones (CONFIG_NF_CONNTRACK_ZONES); where there are none, what is asked of zones is asked of zone 0.
const ZONE = 47_110
const OTHER = 47_111
/** Where the frames of cases come from, and nothing else does. */
const SOURCE = '192.0.2.1'

/** The case's own connections. */
async function all(conntrack: Conntrack, zone?: number): Promise<Connection[]> {
  const found: Connection[] = []
  for await (const connection of conntrack.dump(zone === undefined ? {} : { zone }))
    if (connection.original.src === SOURCE) found.push(connection)
  return found.sort((a, b) => (a.original.dst < b.original.dst ? -1 : 1))
}

/** A datapath whose flow commits what comes in on the first port to a zone, if there are zones. Answers which zone it is. */
async function committing(lab: Lab, wanted: number): Promise<{ conntrack: Conntrack; zone: number }> {
  const dpif = await lab.only('ovs')
  const key = `recirc_id(0),in_port(${lab.ports[0]}),eth(),eth_type(0x0800),ipv4(frag=no)`
  const put = (zone: string) =>
    dpif.put({ key, actions: `ct(commit${zone}),${lab.ports[1]}` }, { mode: 'upsert' })
  const { error } = await put(`,zone=${wanted}`)
  if (error === undefined) return { conntrack: dpif.conntrack, zone: wanted }
  assert.equal(error.code, 'INVALID')
  ok(await put(''))
  return { conntrack: dpif.conntrack, zone: 0 }
}

/** Makes connections of {@link Lab.frame}s of these numbers, and waits until they are there. */
async function commit(lab: Lab, wanted: number, numbers: readonly number[]) {
  const { conntrack, zone } = await committing(lab, wanted)
  const before = (await all(conntrack, zone)).length
  for (const number of numbers) await lab.send(lab.ports[0], lab.frame(number), 1)
  await eventually(
    () => all(conntrack, zone),
    (found) => found.length === before + numbers.length,
  )
  return { conntrack, zone }
}

async function cleanUp(conntrack: Conntrack): Promise<void> {
  await conntrack.flush({ original: { src: SOURCE } })
}

const tuple = (number: number) =>
  ({ src: SOURCE, dst: `10.0.0.${number}`, proto: 17, srcPort: 0x1234, dstPort: 0x5678 }) as const

const destinations = (found: readonly Connection[]) => found.map(({ original }) => original.dst)

export const conntrackCases: readonly Case[] = [
  {
    name: 'a connection that a flow commits is dumped in its zone, as it began and as answers come',
    run: async (lab) => {
      const { conntrack, zone } = await commit(lab, ZONE, [1])
      try {
        const [connection, ...more] = await all(conntrack, zone)
        assert(connection)
        assert.equal(more.length, 0)
        assert.equal(connection.zone, zone)
        assert.deepEqual(connection.original, tuple(1))
        const { src, dst, srcPort, dstPort } = tuple(1)
        assert.deepEqual(connection.reply, {
          src: dst,
          dst: src,
          proto: 17,
          srcPort: dstPort,
          dstPort: srcPort,
        })
        assert(connection.status.includes('CONFIRMED'))
        assert(connection.id !== 0)
        assert((connection.timeout ?? 0) > 0)
        assert.deepEqual([connection.mark, connection.labels, connection.tcp], [0, 0n, undefined])
        assert.equal((await all(conntrack, OTHER)).length, 0)
        assert.equal((await all(conntrack)).length, 1)
      } finally {
        await cleanUp(conntrack)
      }
    },
  },
  {
    name: 'connections are forgotten by zone, and those of other zones stay',
    run: async (lab) => {
      const { conntrack, zone } = await commit(lab, ZONE, [1, 2])
      try {
        // All of zone 0 may be more than the case's own.
        if (zone === 0) return
        await commit(lab, OTHER, [1, 3])
        await conntrack.flush({ zone: ZONE })
        assert.equal((await all(conntrack, ZONE)).length, 0)
        assert.deepEqual(destinations(await all(conntrack, OTHER)), ['10.0.0.1', '10.0.0.3'])
      } finally {
        await cleanUp(conntrack)
      }
    },
  },
  {
    name: 'connections are forgotten by tuple, whole or in part, either way round',
    run: async (lab) => {
      const { conntrack, zone } = await commit(lab, ZONE, [1, 2, 3, 4])
      try {
        await conntrack.flush({ zone, original: tuple(1) })
        await assert.rejects(conntrack.flush({ zone, original: tuple(1) }), { code: 'NOT_FOUND' })
        assert.deepEqual(destinations(await all(conntrack, zone)), ['10.0.0.2', '10.0.0.3', '10.0.0.4'])
        if (zone !== 0) await commit(lab, OTHER, [1, 2])
        // In every zone.
        await conntrack.flush({ original: { src: SOURCE, dst: '10.0.0.2' } })
        await conntrack.flush({ zone, reply: { src: '10.0.0.3', dst: SOURCE, proto: 17 } })
        await conntrack.flush({ original: { src: SOURCE, proto: 6 } })
        await conntrack.flush({ original: { src: SOURCE, dst: '10.0.0.4', dstPort: 1 } })
        assert.deepEqual(destinations(await all(conntrack, zone)), ['10.0.0.4'])
        assert.deepEqual(destinations(await all(conntrack, OTHER)), zone === 0 ? [] : ['10.0.0.1'])
      } finally {
        await cleanUp(conntrack)
      }
    },
  },
  {
    name: 'a match that makes no sense is refused before anything is forgotten',
    run: async (lab) => {
      const { conntrack } = await lab.only('ovs')
      for (const match of [{ zone: -1 }, { zone: 65_536 }, { original: { dstPort: 1.5 } }])
        await assert.rejects(conntrack.flush(match), RangeError)
      const both = { src: '10.0.0.1', dst: '::1' }
      for (const original of [{ src: 'x' }, { dst: '' }, both, { zork: 1 } as object])
        await assert.rejects(conntrack.flush({ original }), TypeError)
      await assert.rejects(conntrack.dump({ zone: 65_536 }).next(), RangeError)
    },
  },
  {
    name: 'a zone takes no more connections than its limit, and the limits are read back',
    run: async (lab) => {
      const { conntrack, zone } = await committing(lab, ZONE)
      let before = 0
      try {
        before = (await conntrack.getLimits([])).default
      } catch (error) {
        // A kernel without CONFIG_NETFILTER_CONNCOUNT has no limits.
        assert.equal((error as { code?: string }).code, 'NO_MODULE')
        return
      }
      try {
        await conntrack.setLimits({ default: 1000, zones: [{ zone, limit: 2 }] })
        await commit(lab, ZONE, [1, 2])
        await lab.send(lab.ports[0], lab.frame(3), 1)
        // One that was refused is counted until the kernel looks again, some ticks later (find_or_evict(), nf_conncount.c).
        const limits = await eventually(
          () => conntrack.getLimits([zone, OTHER]),
          ({ zones }) => zones[0]?.count === 2,
        )
        assert.deepEqual(limits, {
          default: 1000,
          zones: [
            { zone, limit: 2, count: 2 },
            { zone: OTHER, limit: 1000, count: 0 },
          ],
        })
        const { zones } = await conntrack.getLimits()
        assert(zones.some((known) => known.zone === zone && known.limit === 2))
        assert.equal((await all(conntrack, zone)).length, 2)
        await conntrack.delLimits([zone])
        assert.equal((await conntrack.getLimits([zone])).zones[0]?.limit, 1000)
        assert(!(await conntrack.getLimits()).zones.some((known) => known.zone === zone))
        await assert.rejects(conntrack.setLimits({ zones: [{ zone: 70_000, limit: 1 }] }), RangeError)
        await assert.rejects(conntrack.setLimits({ default: -1 }), RangeError)
      } finally {
        await conntrack.setLimits({ default: before })
        await conntrack.delLimits([zone])
        await cleanUp(conntrack)
      }
    },
  },
  {
    name: 'timeout policies are set, read back, changed and deleted',
    run: async (lab) => {
      const { conntrack } = await lab.only('ovs')
      const id = 47_110
      try {
        await conntrack.setTimeoutPolicy({ id, tcp: { established: 77 }, udp: { single: 5 } })
        const policy = await conntrack.getTimeoutPolicy(id)
        assert.equal(policy.id, id)
        assert.equal(policy.tcp?.established, 77)
        assert.equal(policy.udp?.single, 5)
        // What was left out is as for all others.
        assert(policy.tcp?.synSent && policy.udp?.multiple && policy.icmp?.first)
        await conntrack.setTimeoutPolicy({ id, udp: { multiple: 9 } })
        const changed = await conntrack.getTimeoutPolicy(id)
        assert.equal(changed.udp?.multiple, 9)
        assert.deepEqual(
          (await conntrack.dumpTimeoutPolicies()).find((known) => known.id === id),
          changed,
        )
      } finally {
        await conntrack.delTimeoutPolicy(id)
      }
      await assert.rejects(conntrack.getTimeoutPolicy(id), { code: 'NOT_FOUND' })
      await assert.rejects(conntrack.delTimeoutPolicy(id), { code: 'NOT_FOUND' })
      for (const wrong of [{ id: -1 }, { id, tcp: { established: -1 } }])
        await assert.rejects(conntrack.setTimeoutPolicy(wrong), RangeError)
      for (const wrong of [
        { id, tcp: { zork: 1 } },
        { id, zork: { a: 1 } },
      ] as unknown as TimeoutPolicy[])
        await assert.rejects(conntrack.setTimeoutPolicy(wrong), TypeError)
    },
  },
  {
    name: 'connections are seen without a datapath, until the object is closed',
    run: async (lab) => {
      const { conntrack: ours, zone } = await commit(lab, ZONE, [1])
      try {
        const conntrack = openConntrack({ transport: lab.transport })
        assert.equal((await all(conntrack, zone)).length, 1)
        await conntrack.close()
        await assert.rejects(all(conntrack), { code: 'CLOSED' })
        await assert.rejects(conntrack.getLimits(), { code: 'CLOSED' })
      } finally {
        await cleanUp(ours)
      }
    },
  },
]
