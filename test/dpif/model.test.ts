import t from 'tap'
import {
  createDatapath,
  kernelOnly,
  type Op,
  openDpif,
  type Policy,
  type Protocol,
  type Transport,
} from '../../lib/index.js'
import { GENL_ID_CTRL } from '../../lib/netlink/genl.js'
import { HEADER_SIZE } from '../../lib/netlink/message.js'
import { type Message, messagesOf } from '../../lib/netlink/reader.js'
import { commands } from '../../lib/ovs/family.js'
import { types } from '../../lib/tc/message.js'
import { SimulatedKernel } from '../../lib/testing/index.js'
import { FLOWS, type Order, tryModel, type World } from '../fixtures/model.js'
import { seedOf } from '../fixtures/random-actions.js'

// Thousands of random steps on the simulated kernel: puts, modifies, deletions, refusals, moves, and processes that die half-way.

const seed = seedOf()
const RUNS = 64
const LANES = 8
t.setTimeout(300_000)
t.comment(`SEED=${seed} gives the same steps again`)

/** A transport of a process that dies after so many messages that change flows: nothing behind them gets to the kernel. */
function mortal(
  kernel: SimulatedKernel,
  messages: number,
): { readonly transport: Transport; readonly dead: Promise<void> } {
  let left = messages
  let die = () => {}
  const dead = new Promise<void>((resolve) => {
    die = resolve
  })
  const never = new Promise<never>(() => {})
  const transport: Transport = {
    name: 'mortal',
    exchange: async (protocol, batch, lane) => {
      for (const message of messagesOf(batch)) {
        if (!changesFlows(protocol, message) || --left >= 0) continue
        await kernel.exchange(protocol, batch.slice(0, message.start), lane)
        die()
        return never
      }
      return kernel.exchange(protocol, batch, lane)
    },
    dump: (protocol, request) => kernel.dump(protocol, request),
    listen: (protocol, options) => kernel.listen(protocol, options),
    close: async () => {},
  }
  return { transport, dead }
}

function changesFlows(protocol: Protocol, { type, bytes, start }: Message): boolean {
  if (protocol === 'route') return type === types.NEWTFILTER || type === types.DELTFILTER
  // The families' own is no flow.
  return type > GENL_ID_CTRL && bytes[start + HEADER_SIZE] !== commands.GET
}

async function fresh() {
  const kernel = new SimulatedKernel()
  await createDatapath('dp0', { transport: kernel })
  const dpif = await openDpif({ datapath: 'dp0', transport: kernel, policy: kernelOnly() })
  for (const name of ['eth1', 'eth2', 'eth3']) {
    kernel.addDevice(name)
    await dpif.addPort(name)
  }
  await dpif.close()
  let relent = () => {}
  const world: World = {
    ports: [1, 2, 3],
    hasHardware: false,
    open: (policy: Policy) => openDpif({ datapath: 'dp0', transport: kernel, policy }),
    send: async (number, count) => {
      const frame = { ethernet: {}, etherType: 0x0800, ipv4: { dst: `10.0.0.${number}` } }
      for (let turn = 0; turn < count; turn++) kernel.receive('eth1', frame)
    },
    refuse: (isOn) => {
      relent()
      relent = isOn
        ? kernel.fault(({ protocol, type }) =>
            protocol === 'route' && type === types.NEWTFILTER
              ? { errno: 95, text: 'the model says no' }
              : undefined,
          )
        : () => {}
    },
    crash: async (ops: readonly Op[], choices: Order, moment) => {
      const { transport, dead } = mortal(kernel, Math.floor(moment * Math.max(ops.length, FLOWS) * 2))
      const policy = { name: 'dying', place: () => ({ choices, reason: 'to the end' }) }
      const dying = openDpif({ datapath: 'dp0', transport, policy }).then(async (dpif) => {
        if (ops.length > 0) await dpif.operate(ops)
        else for await (const { moved } of dpif.replace({ movesPerSecond: 10_000 })) if (moved > FLOWS) return
      })
      await Promise.race([dead, dying])
    },
    settled: async (ask) => ask(),
  }
  return { world, dispose: () => kernel.close() }
}

t.test(
  'whatever is done, both tables hold what they should, once, and nothing counts backwards',
  async (t) => {
    // Side by side, since a look that measures takes its time and no processor's.
    const parts = await Promise.all(
      Array.from({ length: LANES }, (_, lane) =>
        tryModel(fresh, { runs: RUNS / LANES, length: 60, ms: 240_000, seed: seed + lane }),
      ),
    )
    const seen = new Map<string, number>()
    for (const [what, count] of parts.flatMap((part) => [...part]))
      seen.set(what, (seen.get(what) ?? 0) + count)
    t.comment(
      [...seen]
        .sort()
        .map(([what, count]) => `${what}: ${count}`)
        .join(', '),
    )
    for (const what of [
      'crash',
      'deletion',
      'EXISTS',
      'NOT_FOUND',
      'crash between moves',
      'replaced to tc',
      'replaced to ovs',
      'rebalanced to tc',
      'rebalanced to ovs',
      'moved to tc',
      'moved to ovs',
      'changed in tc',
      'changed in ovs',
      'a crash left a flow in both',
      'a crash between moves left a flow in both',
      'tidied: DUPLICATE',
      'declined: UNSUPPORTED',
      'declined: UNSUPPORTED_ACTION',
      'refused: UNSUPPORTED',
    ])
      t.ok((seen.get(what) ?? 0) > 0, `${what} came up`)
  },
)
