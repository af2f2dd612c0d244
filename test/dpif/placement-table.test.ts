import t from 'tap'
import {
  type BackendName,
  createDatapath,
  type ErrorCode,
  openDpif,
  type OpResult,
  type Policy,
  type PutMode,
} from '../../lib/index.js'
import { types } from '../../lib/tc/message.js'
import { SimulatedKernel } from '../../lib/testing/index.js'

// Section 7.1 of the reference: what becomes of one put that TC is asked to take, and openvswitch behind it, for every place the old flow
// is in, every mode and every outcome. OVS's answers are in the comments where ours is another.

/** What happens to the filter: TC takes it, says no before or after it was asked, cannot delete, or has another with that match. */
type Fate = 'ok' | 'declined' | 'refused' | 'stuck' | 'taken'

interface Row {
  readonly old?: BackendName
  readonly mode: PutMode
  readonly tc: Fate
  /** Where the flow is afterwards, and with which actions. */
  readonly then: Readonly<Partial<Record<BackendName, 'old' | 'new'>>>
  readonly error?: ErrorCode
  readonly declined?: readonly ErrorCode[]
}

// biome-ignore format: one row per line
const rows: readonly Row[] = [
  { mode: 'create', tc: 'ok',       then: { tc: 'new' } },
  { mode: 'create', tc: 'declined', then: { ovs: 'new' }, declined: ['UNSUPPORTED_ACTION'] },
  { mode: 'create', tc: 'refused',  then: { ovs: 'new' }, declined: ['NO_SPACE'] },
  { mode: 'create', tc: 'taken',    then: {},             error: 'EXISTS' },
  // OVS creates it in TC.
  { mode: 'modify', tc: 'ok',       then: {}, error: 'NOT_FOUND' },
  { mode: 'modify', tc: 'declined', then: {}, error: 'NOT_FOUND' },
  { mode: 'modify', tc: 'refused',  then: {}, error: 'NOT_FOUND' },
  { mode: 'upsert', tc: 'ok',       then: { tc: 'new' } },
  { mode: 'upsert', tc: 'declined', then: { ovs: 'new' }, declined: ['UNSUPPORTED_ACTION'] },
  { mode: 'upsert', tc: 'refused',  then: { ovs: 'new' }, declined: ['NO_SPACE'] },
  { mode: 'upsert', tc: 'taken',    then: {},             error: 'EXISTS' },

  // OVS puts it into TC and leaves the other copy.
  { old: 'ovs', mode: 'create', tc: 'ok',       then: { ovs: 'old' }, error: 'EXISTS' },
  { old: 'ovs', mode: 'create', tc: 'declined', then: { ovs: 'old' }, error: 'EXISTS' },
  { old: 'ovs', mode: 'create', tc: 'refused',  then: { ovs: 'old' }, error: 'EXISTS' },
  // OVS loses the counters.
  { old: 'ovs', mode: 'modify', tc: 'ok',       then: { tc: 'new' } },
  { old: 'ovs', mode: 'modify', tc: 'declined', then: { ovs: 'new' }, declined: ['UNSUPPORTED_ACTION'] },
  { old: 'ovs', mode: 'modify', tc: 'refused',  then: { ovs: 'new' }, declined: ['NO_SPACE'] },
  { old: 'ovs', mode: 'modify', tc: 'taken',    then: { ovs: 'old' }, error: 'EXISTS' },
  { old: 'ovs', mode: 'upsert', tc: 'ok',       then: { tc: 'new' } },
  { old: 'ovs', mode: 'upsert', tc: 'declined', then: { ovs: 'new' }, declined: ['UNSUPPORTED_ACTION'] },
  { old: 'ovs', mode: 'upsert', tc: 'refused',  then: { ovs: 'new' }, declined: ['NO_SPACE'] },
  { old: 'ovs', mode: 'upsert', tc: 'taken',    then: { ovs: 'old' }, error: 'EXISTS' },

  // OVS replaces it.
  { old: 'tc', mode: 'create', tc: 'ok',       then: { tc: 'old' }, error: 'EXISTS' },
  // OVS puts a second one into openvswitch.
  { old: 'tc', mode: 'create', tc: 'declined', then: { tc: 'old' }, error: 'EXISTS' },
  // OVS has deleted the old one by then, and its counters are lost.
  { old: 'tc', mode: 'create', tc: 'refused',  then: { tc: 'old' }, error: 'EXISTS' },
  { old: 'tc', mode: 'modify', tc: 'ok',       then: { tc: 'new' } },
  { old: 'tc', mode: 'modify', tc: 'declined', then: { ovs: 'new' }, declined: ['UNSUPPORTED_ACTION'] },
  { old: 'tc', mode: 'modify', tc: 'refused',  then: { ovs: 'new' }, declined: ['NO_SPACE'] },
  // OVS answers that all is well, and the flow keeps its old actions. Here both are there for a while, and that is said.
  { old: 'tc', mode: 'modify', tc: 'stuck',    then: { tc: 'old', ovs: 'new' }, declined: ['UNSUPPORTED_ACTION', 'BUSY'] },
  { old: 'tc', mode: 'upsert', tc: 'ok',       then: { tc: 'new' } },
  { old: 'tc', mode: 'upsert', tc: 'declined', then: { ovs: 'new' }, declined: ['UNSUPPORTED_ACTION'] },
  { old: 'tc', mode: 'upsert', tc: 'refused',  then: { ovs: 'new' }, declined: ['NO_SPACE'] },
  { old: 'tc', mode: 'upsert', tc: 'stuck',    then: { tc: 'old', ovs: 'new' }, declined: ['UNSUPPORTED_ACTION', 'BUSY'] },
]

const policy = (...backends: readonly BackendName[]): Policy => ({
  name: backends.join(),
  place: () => ({ choices: backends.map((backend) => ({ backend })), reason: '' }),
})

const ufid = '00000000-0000-4000-8000-000000000001'
const key = 'in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.0.1,frag=no)'
const frame = {
  ethernet: { src: '02:00:00:00:00:01', dst: '02:00:00:00:00:02' },
  etherType: 0x0800,
  ipv4: { src: '10.9.9.9', dst: '10.0.0.1', proto: 17, tos: 0, ttl: 64, frag: 0 },
  udp: { src: 1, dst: 2 },
}

const ENOSPC = 28
const EBUSY = 16

for (const { old, mode, tc, then, error, declined } of rows) {
  t.test(`7.1: ${mode} of a flow in ${old ?? 'neither'}, and TC: ${tc}`, async (t) => {
    const kernel = new SimulatedKernel()
    for (const name of ['v0', 'v1']) kernel.addDevice(name)
    await createDatapath('dp0', { transport: kernel })
    const open = async (...backends: readonly BackendName[]) => {
      const dpif = await openDpif({ datapath: 'dp0', policy: policy(...backends), transport: kernel })
      t.teardown(() => dpif.close())
      return dpif
    }
    const dpif = await open('tc', 'ovs')
    for (const name of ['v0', 'v1']) await dpif.addPort(name)
    if (old !== undefined) {
      dpif.setPolicy(policy(old))
      t.equal((await dpif.put({ ufid, key, actions: '1' })).backend, old)
      dpif.setPolicy(policy('tc', 'ovs'))
      for (let turn = 0; turn < 5; turn++) kernel.receive('v0', frame)
    }
    if (tc === 'taken') {
      const other = { ufid: ufid.replace('1', '2'), key, actions: '' }
      t.equal((await (await open('tc')).put(other)).backend, 'tc')
    }
    const heal = kernel.fault(({ type }) => {
      if (tc === 'refused' && type === types.NEWTFILTER) return ENOSPC
      return tc === 'stuck' && type === types.DELTFILTER ? EBUSY : undefined
    })
    // What TC has no word for.
    const extra = tc === 'declined' || tc === 'stuck' ? 'set(skb_priority(0x5/0x7)),' : ''
    const result: OpResult = await dpif.put({ ufid, key, actions: `${extra}2` }, { mode, stats: true })

    t.equal(result.error?.code, error)
    t.same(
      result.declined?.map(({ code }) => code),
      error === undefined ? declined : undefined,
    )
    if (error === undefined) {
      t.equal(result.backend, then.ovs === 'new' ? 'ovs' : 'tc')
      t.equal(result.stats?.packets, old === undefined ? 0n : 5n, 'what was counted before is told')
    }
    const stranger = await open('ovs')
    for (const backend of ['tc', 'ovs'] as const) {
      const held: (string | undefined)[] = []
      for await (const flow of stranger.dump({ types: [backend] }))
        if (flow.ufid === ufid) held.push(flow.actions.at(-1)?.output === 1 ? 'old' : 'new')
      t.same(held, then[backend] === undefined ? [] : [then[backend]], `in ${backend}`)
    }
    heal()
    const now = await dpif.get({ ufid })
    if (Object.keys(then).length === 0) t.equal(now.error?.code, 'NOT_FOUND')
    else t.equal(now.stats?.packets, old === undefined ? 0n : 5n, 'and counted on')
    const gone = await dpif.del({ ufid, stats: true })
    t.equal(gone.error?.code, Object.keys(then).length === 0 ? 'NOT_FOUND' : undefined)
    if (old !== undefined) t.equal(gone.stats?.packets, 5n)
    for await (const flow of stranger.dump()) t.not(flow.ufid, ufid, 'it leaves nothing')
  })
}
