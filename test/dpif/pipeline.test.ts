import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { Arrivals } from '../../lib/dpif/arrivals.js'
import type { Engine } from '../../lib/dpif/engine.js'
import { Pipeline } from '../../lib/dpif/pipeline.js'
import { Events } from '../../lib/dpif/events.js'
import { PlacementMap } from '../../lib/dpif/placement.js'
import type { PlanContext } from '../../lib/dpif/plan.js'
import { BackOff } from '../../lib/dpif/back-off.js'
import { Devices } from '../../lib/dpif/devices.js'
import { News } from '../../lib/dpif/news.js'
import { kernelOnly } from '../../lib/index.js'
import type { BackendOp } from '../../types/backend.js'
import type { FlowId } from '../../types/flow.js'
import type { BackendName, Op } from '../../types/op.js'

function context(): PlanContext {
  const placement = new PlacementMap()
  const devices = new Devices(placement)
  const policy = kernelOnly()
  const facts = {
    port: () => undefined,
    location: () => undefined,
    device: () => undefined,
    history: () => undefined,
    refusals: () => [],
    now: () => 0,
  }
  const events = new Events('dp')
  const news = new News(() => policy, facts, placement, events)
  return {
    placement,
    arrivals: new Arrivals(),
    devices,
    backOff: new BackOff(devices, () => 0),
    news,
    policy,
    facts,
    events,
    backends: ['ovs'],
  }
}

/** A pipeline over a backend that deletes whatever it is told to, and that counts how often a flow's ufid is looked at. */
function pipelineOf(ufidOf: (key: string) => number, onBatch: (batch: number) => void = () => {}) {
  const seen = { looks: 0, batches: 0, order: [] as string[] }
  const backend = {
    operate: async (ops: readonly (BackendOp & { verb: 'del' })[]) => {
      onBatch(seen.batches++)
      for (const { key } of ops) seen.order.push(key as string)
      return ops.map(() => ({}))
    },
  }
  const engine = {
    context: context(),
    backends: new Map([['ovs' as BackendName, backend]]),
    language: {
      identify: ({ key }: { readonly key: string }): { readonly id: FlowId; readonly key: string } => ({
        id: {
          get ufid() {
            seen.looks++
            return `${ufidOf(key)}`
          },
          ...{ w0: ufidOf(key), w1: 0, w2: 0, w3: 0 },
        },
        key,
      }),
    },
    namesUnknownPort: () => false,
    learnPorts: async () => {},
  }
  return { seen, pipeline: new Pipeline(engine as unknown as Engine) }
}

const ops = (count: number, first = 0): Op[] =>
  Array.from({ length: count }, (_, index) => ({ op: 'del', key: `${first + index}` }))

const numbers = (count: number) => Array.from({ length: count }, (_, index) => `${index}`)

t.test(
  'many ops on one flow stand in line: each is looked at a few times, however many there are',
  async (t) => {
    for (const count of [500, 5000]) {
      const { seen, pipeline } = pipelineOf(() => 1)
      t.equal((await pipeline.run(ops(count))).length, count)
      t.same(seen.order, numbers(count), 'and they are carried out in order')
      t.ok(seen.looks <= count * 10, `${seen.looks} looks at ${count} ops`)
    }
  },
)

t.test('ops on one flow keep their order among many others', async (t) => {
  const { seen, pipeline } = pipelineOf((key) => Number(key) % 7)
  await pipeline.run(ops(3000))
  for (let flow = 0; flow < 7; flow++) {
    const order = seen.order.map(Number).filter((index) => index % 7 === flow)
    t.same(
      order,
      [...order].sort((a, b) => a - b),
    )
  }
  t.equal(seen.order.length, 3000)
})

t.test('calls that wait share a batch, and keep their order', async (t) => {
  const { seen, pipeline } = pipelineOf(Number)
  const results = await Promise.all(numbers(500).map((n) => pipeline.run(ops(1, Number(n)))))
  t.equal(results.flat().length, 500)
  t.same(seen.order, numbers(500))
  t.ok(seen.batches <= 3, `${seen.batches} batches for 500 calls`)
})

t.test('a later call on a flow waits behind an earlier one', async (t) => {
  const { seen, pipeline } = pipelineOf(() => 1)
  await Promise.all([pipeline.run(ops(3)), pipeline.run(ops(3, 3)), pipeline.run([])])
  t.same(seen.order, numbers(6))
})

t.test('a failure is told to the calls it struck, and others go on', async (t) => {
  let turn = 0
  const backend = {
    operate: async (list: readonly unknown[]) => {
      if (turn++ === 0) throw new Error('the socket broke')
      return list.map(() => ({}))
    },
  }
  const pipeline = new Pipeline({
    context: context(),
    backends: new Map([['ovs' as BackendName, backend]]),
    language: {
      identify: ({ key }: { key: string }) => ({
        id: { ufid: key, w0: Number(key) % 5, w1: 0, w2: 0, w3: 0 },
        key,
      }),
    },
    namesUnknownPort: () => false,
    learnPorts: async () => {},
  } as unknown as Engine)
  const [first, second] = await Promise.allSettled([pipeline.run(ops(4)), pipeline.run(ops(4))])
  t.match(first, { status: 'rejected', reason: { message: 'the socket broke' } })
  t.match(second, { status: 'fulfilled', value: { length: 4 } }, 'those who waited in line got their turn')
})

/** As {@link pipelineOf}, with an executor that notes what it is asked for among the deletions. */
function withExecutor(execute?: () => Promise<never>) {
  const order: string[] = []
  const backend = {
    operate: async (list: readonly (BackendOp & { verb: 'del' })[]) => {
      await new Promise(setImmediate)
      for (const { key } of list) order.push(key as string)
      return list.map(({ key }) => ((key as string) === '13' ? { error: { code: 'BUSY', message: '' } } : {}))
    },
  }
  const pipeline = new Pipeline({
    context: context(),
    backends: new Map([['ovs' as BackendName, backend]]),
    executor: {
      execute: async (list: readonly { readonly actions: string }[]) => {
        if (execute !== undefined) return execute()
        for (const { actions } of list) order.push(`execute ${actions}`)
        return list.map(({ actions }) =>
          actions === '7' ? { code: 'INVALID', message: 'no such action' } : undefined,
        )
      },
    },
    language: {
      identify: ({ key }: { key: string }) => ({
        id: { ufid: `${Number(key) % 5}`, w0: Number(key) % 5, w1: 0, w2: 0, w3: 0 },
        key,
      }),
      failure: (error: Error) => ({ code: 'SYNTAX', message: error.message }),
    },
    namesUnknownPort: () => false,
    learnPorts: async () => {},
  } as unknown as Engine)
  return { order, pipeline }
}

const executes = (count: number): Op[] =>
  numbers(count).map((actions) => ({ op: 'execute', packet: new Uint8Array(), actions }))

t.test(
  'an execution waits for all that stands before it in its call, also for what stands in line',
  async (t) => {
    const { order, pipeline } = withExecutor()
    const [first, second, third] = executes(3) as [Op, Op, Op]
    // Four of each flow, so that most stand in line.
    const results = await pipeline.run([...ops(20), first, ...ops(5, 20), second, third])
    t.equal(results.length, 28)
    const at = (what: string) => order.indexOf(what)
    for (const number of numbers(20)) t.ok(at(number) < at('execute 0'), `${number} comes before`)
    for (const number of numbers(25)) t.ok(at(number) < at('execute 1'), `${number} comes before the second`)
    t.equal(at('execute 2'), at('execute 1') + 1, 'executions keep their order')
  },
)

t.test('executions wait for nobody else, and fail alone', async (t) => {
  const { order, pipeline } = withExecutor()
  const slow = pipeline.run(ops(20))
  const results = await pipeline.run(executes(10))
  t.same(
    order.slice(0, 10),
    numbers(10).map((number) => `execute ${number}`),
    'they were not in its call',
  )
  t.same(
    results.flatMap(({ error }, index) => (error === undefined ? [] : [[index, error.code]])),
    [[7, 'INVALID']],
  )
  await slow
})

t.test('what is refused or cannot be read holds no execution back', async (t) => {
  const { order, pipeline } = withExecutor()
  const bad = undefined as unknown as Op
  const [execute] = executes(1) as [Op]
  const results = await pipeline.run([...ops(1, 13), bad, execute, bad])
  t.same(
    results.map(({ error }) => error?.code),
    ['BUSY', 'SYNTAX', undefined, 'SYNTAX'],
  )
  t.same(order, ['13', 'execute 0'])
})

t.test('many executions behind many ops are each asked for once', async (t) => {
  const { order, pipeline } = withExecutor()
  const list = ops(6000).flatMap((op, index) => [op, executes(1)[0] as Op].slice(0, index % 2 === 0 ? 2 : 1))
  t.equal((await pipeline.run(list)).length, 9000)
  t.equal(order.filter((what) => what.startsWith('execute')).length, 3000)
})

t.test('when executions cannot be sent their call is told, once nothing of it is under way', async (t) => {
  const { order, pipeline } = withExecutor(async () => {
    throw new Error('the socket broke')
  })
  await t.rejects(pipeline.run([...ops(20), ...executes(3), ...ops(5, 20)]), { message: 'the socket broke' })
  const before = order.length
  t.equal((await pipeline.run(ops(3))).length, 3)
  t.equal(order.length, before + 3, 'and others go on')
})

t.test('a small call does not pass a large one before it', async (t) => {
  const { seen, pipeline } = pipelineOf(Number)
  await Promise.all([pipeline.run(ops(1500)), pipeline.run(ops(1, 1500)), pipeline.run(ops(2, 1501))])
  t.same(seen.order, numbers(1503))
})

t.test('timers come to their turn before many ops are sent', async (t) => {
  const { seen, pipeline } = pipelineOf(Number)
  // What begins here goes on in the next turn, which begins with timers.
  await turn()
  let batches: number | undefined
  setTimeout(() => {
    batches = seen.batches
  })
  const due = performance.now() + 2
  while (performance.now() < due);
  await pipeline.run(ops(1500))
  t.equal(batches, 0, 'nothing was sent yet')
})

/** A pipeline that puts flows, named by numbers: what it is asked for, and what a test makes of it. */
function putting({
  add = () => {},
  look = () => {},
  send = async () => {},
  learn = async () => {},
  weight = 1,
}: Partial<Putting> = {}) {
  const sent: string[][] = []
  const asked: string[] = []
  const backend = {
    weight,
    newFlows: () => {
      const flows: FlowId[] = []
      return {
        flows,
        add: (flow: FlowId) => {
          add(flow)
          flows.push(flow)
        },
        send: async () => {
          sent.push(flows.map(({ ufid }) => ufid))
          await send()
          return []
        },
      }
    },
    operate: async (list: readonly { readonly verb: string; readonly flow: FlowId }[]) => {
      for (const { verb, flow } of list) asked.push(`${verb} ${flow.ufid}`)
      return list.map(() => ({}))
    },
  }
  const pipeline = new Pipeline({
    context: context(),
    backends: new Map([['ovs' as BackendName, backend]]),
    language: {
      view: ({ ufid = '' }: { readonly ufid?: string }, mode: string) => {
        return { ufid, w0: Number(ufid), w1: 0, w2: 0, w3: 0, mode, ufidGiven: true }
      },
      failure: (error: Error) => {
        throw error
      },
    },
    namesUnknownPort: (flow: FlowId) => {
      look(flow)
      return Number(flow.ufid) % 10 === 9
    },
    learnPorts: async () => {
      asked.push('ports')
      await learn()
    },
  } as unknown as Engine)
  return { pipeline, sent, asked }
}

interface Putting {
  add(flow: FlowId): void
  look(flow: FlowId): void
  send(): Promise<void>
  learn(): Promise<void>
  readonly weight: number
}

const puts = (count: number, first = 0): Op[] =>
  Array.from({ length: count }, (_, n) => ({ op: 'put', ufid: `${first + n}`, key: {}, actions: [] }))

t.test(
  'new flows go in one list; one that names a strange port follows once the ports are known',
  async (t) => {
    const { pipeline, sent, asked } = putting()
    const results = await pipeline.run(puts(200))
    const strange = numbers(200).filter((n) => n.endsWith('9'))
    t.same(sent, [numbers(200).filter((n) => !n.endsWith('9'))])
    t.same(asked, ['ports', ...strange.map((n) => `create ${n}`)])
    t.same(
      results,
      numbers(200).map((ufid) => ({ ufid, backend: 'ovs' })),
      'each has its own result',
    )
  },
)

t.test('fewer flows are sent at a time where the kernel takes longer for one', async (t) => {
  // None of them names a strange port.
  const ops = puts(6000).filter((_, n) => n % 10 !== 9)
  const largest = async (weight: number): Promise<number> => {
    const { pipeline, sent } = putting({ weight })
    await pipeline.run(ops)
    t.equal(sent.flat().length, ops.length)
    return Math.max(...sent.map(({ length }) => length))
  }
  const [light, heavy] = [await largest(1), await largest(4)]
  t.ok(light > 1000)
  t.ok(
    heavy >= light / 4 && heavy < light / 3,
    `${heavy} of them, and ${light} of those that weigh a quarter`,
  )
})

t.test('when the ports cannot be learned, the call is told after all that was sent has ended', async (t) => {
  let ended = false
  const { pipeline, asked } = putting({
    send: async () => {
      await turn()
      ended = true
    },
    learn: async () => {
      throw new Error('the socket broke')
    },
  })
  await t.rejects(pipeline.run(puts(20)), { message: 'the socket broke' })
  t.ok(ended)
  t.same(asked, ['ports'])
  t.equal((await pipeline.run(puts(5, 30))).length, 5, 'and others go on')
})

t.test('a bug where flows are encoded fails its call, and leaves nothing under way', async (t) => {
  let bugs = 1
  const { pipeline, sent } = putting({
    add: ({ ufid }) => {
      if (ufid === '3' && bugs-- > 0) throw new Error('a bug')
    },
  })
  await t.rejects(pipeline.run(puts(8)), { message: 'a bug' })
  t.same(sent, [['0', '1', '2']])
  t.equal((await pipeline.run(puts(5, 3))).length, 5, 'those that were not begun, and the one it struck')
  t.same(sent.at(-1), ['3', '4', '5', '6', '7'])
})

t.test(
  'ops that throw when they are looked at fail their call, and the others are put as ever',
  async (t) => {
    for (const property of ['stats', 'confirm']) {
      const { pipeline, sent } = putting()
      const list = puts(6)
      list[2] = Object.defineProperty({ ...(list[2] as Op) }, property, {
        get: () => {
          throw new Error(`no ${property}`)
        },
      })
      const [bad, good] = await Promise.allSettled([pipeline.run(list), pipeline.run(puts(4, 20))])
      t.match(bad, { status: 'rejected', reason: { message: `no ${property}` } })
      t.match(good, {
        status: 'fulfilled',
        value: numbers(4).map((n) => ({ ufid: `2${n}`, backend: 'ovs' })),
      })
      t.notOk(sent.flat().includes('2'))
      t.equal((await pipeline.run(puts(1, 2))).length, 1, 'nothing is under way on it')
    }
  },
)

t.test('a port that throws when it is looked at fails its call alone', async (t) => {
  let isBad = true
  const { pipeline, sent } = putting({
    look: ({ ufid }) => {
      if (ufid === '64' && isBad) throw new Error('no port')
    },
  })
  const list = puts(70)
  const [bad, good] = await Promise.allSettled([pipeline.run(list), pipeline.run(puts(3, 80))])
  t.match(bad, { status: 'rejected', reason: { message: 'no port' } })
  t.equal(good.status, 'fulfilled')
  isBad = false
  t.equal((await pipeline.run(puts(1, 64))).length, 1)
  t.ok(sent.flat().includes('64'))
})

t.test(
  'a change that throws when it is begun fails its call, and new flows beside it have their results',
  async (t) => {
    const { pipeline } = putting({ send: () => turn() })
    const bad = Object.defineProperty({ ...(puts(1, 5)[0] as Op), mode: 'modify' }, 'stats', {
      get: () => {
        throw new Error('no stats')
      },
    }) as Op
    const calls = [pipeline.run(puts(4)), pipeline.run([bad]), pipeline.run(puts(2, 10))]
    const [first, second, third] = await Promise.allSettled(calls)
    t.match(second, { status: 'rejected', reason: { message: 'no stats' } })
    t.match(first, { status: 'fulfilled', value: numbers(4).map((ufid) => ({ ufid, backend: 'ovs' })) })
    t.equal(third?.status, 'fulfilled')
  },
)

t.test('timers come to their turn before many ops that stood in line are begun', async (t) => {
  let batches: number | undefined
  // The first of each flow is sent; the others come to their turn together.
  const { seen, pipeline } = pipelineOf(
    (key) => Number(key) % 1000,
    (batch) => {
      if (batch > 0) return
      setTimeout(() => {
        batches = seen.batches
      })
      const due = performance.now() + 2
      while (performance.now() < due);
    },
  )
  await pipeline.run(ops(2000))
  t.equal(batches, 1)
})
