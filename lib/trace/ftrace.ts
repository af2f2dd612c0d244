import { readlink } from 'node:fs/promises'
import { basename } from 'node:path'
import type { NetDevice } from '../../types/device.js'
import type { KernelTracer, TraceCall } from '../../types/dpif.js'
import { readGraph } from './graph.js'
import { Tracefs } from './tracefs.js'

/**
 * Watches the kernel with ftrace's function_graph, through the files of tracefs.
 *
 * A kernel that lets an instance have that tracer (6.11 and later) gets one of our own, and whatever else is traced goes on. On others there is
 * one for all, and it is only taken when nobody uses it: no tracer, no events, no filter for tasks, nothing in the buffer. What is
 * changed is written down before, and put back afterwards, also when the process is ended by a signal meanwhile.
 *
 * Only the threads that talk to the kernel are traced, and of the functions only those of TC, of openvswitch and of the drivers: to trace
 * all of them a kernel rewrites some 50,000 places in its code, one after the other, and everybody waits.
 */
export class Ftrace implements KernelTracer {
  readonly #root: string
  readonly #threads: () => Promise<readonly number[]>

  /** `threads` are the ids of those that talk to the kernel; `root` is where tracefs is. */
  constructor(threads: () => Promise<readonly number[]>, root = '/sys/kernel/tracing') {
    this.#root = root
    this.#threads = threads
  }

  async during<T>(
    { roots, devices }: { readonly roots: readonly string[]; readonly devices: readonly NetDevice[] },
    work: () => Promise<T>,
  ): Promise<{ readonly value: T; readonly calls: readonly TraceCall[]; readonly untraced?: string }> {
    const pids = (await this.#threads()).join(' ')
    const begun = await this.#start({ pids, functions: [...functions, ...(await driversOf(devices))] })
    if (typeof begun === 'string') return { value: await work(), calls: [], untraced: begun }
    const { traced, release } = begun
    try {
      await traced.write('tracing_on', '1')
      let value: T
      try {
        value = await work()
      } finally {
        await traced.write('tracing_on', '0')
      }
      return { value, calls: readGraph(await traced.readUpTo('trace', MAX_TEXT), roots) }
    } finally {
      await traced.restore().finally(release)
    }
  }

  /** Everything made ready, or why it cannot be. */
  async #start(scope: Scope): Promise<Begun | string> {
    try {
      const global = new Tracefs(this.#root)
      const tracers = (await global.read('available_tracers')).split(/\s+/)
      if (!tracers.includes(TRACER))
        return `this kernel has no ${TRACER} tracer (CONFIG_FUNCTION_GRAPH_TRACER)`
      const own = await this.#ownInstance(scope)
      if (own !== undefined) return own
      const user = await userOf(global)
      if (user !== undefined) return `ftrace is in use: ${user}`
      return await settle(global, scope)
    } catch (error) {
      return reasonOf(error, this.#root)
    }
  }

  /** Undefined on a kernel that has the tracer only once. */
  async #ownInstance(scope: Scope): Promise<Begun | undefined> {
    let own: Tracefs
    try {
      own = await Tracefs.instance(this.#root, `dpif-hw-acc-${process.pid}`)
    } catch (error) {
      if (codeOf(error) === 'ENOENT' || codeOf(error) === 'EEXIST') return undefined
      throw error
    }
    try {
      return await settle(own, scope)
    } catch (error) {
      if (codeOf(error) === 'EINVAL') return undefined
      throw error
    }
  }
}

/** Puts everything in place but the switch. On failure everything is as before. */
async function settle(traced: Tracefs, { pids, functions }: Scope): Promise<Begun> {
  const release = restoreOnSignals(traced)
  try {
    await traced.change('tracing_on', '0')
    // An empty text takes all of them out (O_TRUNC, ftrace_pid_open()).
    await traced.change('set_ftrace_pid', pids, '')
    // So it is with all functions, which is no filter.
    await traced.change('set_ftrace_filter', '', '')
    for (const pattern of functions) {
      await traced.append('set_ftrace_filter', `${pattern}\n`).catch((error: unknown) => {
        // Nothing of that name: it is built in, or not there.
        if (codeOf(error) !== 'EINVAL') throw error
      })
    }
    await traced.change('current_tracer', TRACER)
    await traced.change('options/funcgraph-proc', '1')
    return { traced, release }
  } catch (error) {
    await traced.restore().finally(release)
    throw error
  }
}

/** What shows that somebody uses the one tracer there is. */
async function userOf(global: Tracefs): Promise<string | undefined> {
  const tracer = (await global.read('current_tracer')).trim()
  if (tracer !== 'nop') return `current_tracer is ${tracer}`
  if ((await global.read('set_event')).trim() !== '') return 'events are traced (set_event)'
  const pids = (await global.read('set_ftrace_pid')).trim()
  if (pids !== '' && pids !== 'no pid') return 'it is limited to some tasks (set_ftrace_pid)'
  const filter = (await global.read('set_ftrace_filter')).trim()
  if (filter !== '' && !filter.startsWith('#')) return 'it is limited to some functions (set_ftrace_filter)'
  const head = await global.readUpTo('trace', 4096)
  const [, entries = '0'] = /entries-in-buffer\/entries-written: (\d+)\//.exec(head) ?? []
  if (entries !== '0')
    return 'its buffer holds a trace of somebody else; `echo > trace` in tracefs empties it'
  return undefined
}

/** Ends when what it answers is called. */
function restoreOnSignals(traced: Tracefs): () => void {
  const onExit = () => traced.restoreNow()
  const onSignal = (signal: NodeJS.Signals) => {
    traced.restoreNow()
    // Where nobody else listens, the signal does what it does without us.
    if (process.listenerCount(signal) > 1) return
    process.off(signal, onSignal)
    process.kill(process.pid, signal)
  }
  for (const signal of signals) process.on(signal, onSignal)
  process.on('exit', onExit)
  return () => {
    for (const signal of signals) process.off(signal, onSignal)
    process.off('exit', onExit)
  }
}

function reasonOf(error: unknown, root: string): string {
  const code = codeOf(error)
  if (code === 'ENOENT') return `there is no tracefs at ${root}: mount -t tracefs tracefs ${root}`
  if (code === 'EACCES' || code === 'EPERM') return `tracefs at ${root} is for root`
  if (code === 'EBUSY') return `ftrace is in use (${root})`
  if (code === undefined) throw error
  return `tracefs at ${root} does not let itself be used: ${(error as Error).message}`
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}

/** What is traced. */
interface Scope {
  readonly pids: string
  /** Patterns, as set_ftrace_filter has them. */
  readonly functions: readonly string[]
}

interface Begun {
  readonly traced: Tracefs
  /** Signals are no business of ours any more. */
  readonly release: () => void
}

/** By name where they are built in, by module where they are in one. */
const functions = [
  ...['tc_*', 'tcf_*', 'fl_*', 'flow_*', 'ovs_*', 'ingress_*', 'clsact_*'],
  ...['cls_flower', 'sch_ingress', 'openvswitch', 'act_*'].map((module) => `*:mod:${module}`),
]

/** Everything in the modules of the devices' drivers. */
async function driversOf(devices: readonly NetDevice[]): Promise<string[]> {
  const places = devices.flatMap(({ name, devlink }) => [
    `/sys/class/net/${name}/device/driver/module`,
    ...(devlink === undefined ? [] : [`/sys/bus/${devlink.replace('/', '/devices/')}/driver/module`]),
  ])
  // A device without a driver has none, and one that is built in is in no module.
  const modules = await Promise.all(places.map((place) => readlink(place).catch(() => undefined)))
  const names = modules.flatMap((target) => (target === undefined ? [] : basename(target)))
  return [...new Set(names)].map((module) => `*:mod:${module}`)
}

const TRACER = 'function_graph'
const MAX_TEXT = 64 * 1024 * 1024
const signals: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP']
