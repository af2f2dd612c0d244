import { type ChildProcess, spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import type { Readable } from 'node:stream'
import type { Job } from './job.js'
import { Marks } from './marks.js'
import type { Target } from './target.js'

/** How long a kernel may take to power off once its job is done. */
const POWEROFF_MS = 10_000

interface Step {
  exitCode: number | undefined
  output: string
  durationMs: number
}

export interface MachineResult {
  exitCode: number
  output: string
  steps: Step[]
  kernelLog: string
  bootMs: number | undefined
  failure: string | undefined
}

interface MachineOptions {
  target: Target
  job: Job
  /** Removed when the machine has stopped. */
  dir: string
  timeoutMs: number
  onOutput: ((bytes: Buffer, channel: 'stdout' | 'stderr') => void) | undefined
}

/** Starts a target's kernel, reads its channels until the job has ended, and leaves nothing behind. */
export async function runMachine({
  target,
  job,
  dir,
  timeoutMs,
  onOutput,
}: MachineOptions): Promise<MachineResult> {
  const started = Date.now()
  const steps: Step[] = []
  const output: Buffer[] = []
  const console: Buffer[] = []
  let current: { step: Step; parts: Buffer[]; since: number } | undefined
  let bootMs: number | undefined
  let exitCode: number | undefined
  let timedOut = false
  let open = 2
  let stop = () => {}

  const take = (channel: 'stdout' | 'stderr') => (bytes: Buffer) => {
    output.push(bytes)
    current?.parts.push(bytes)
    onOutput?.(bytes, channel)
  }
  const mark = (words: string[]) => {
    const [verb, first, second] = words
    if (verb === 'ready') bootMs = Date.now() - started
    if (verb === 'begin') {
      current = { step: { exitCode: undefined, output: '', durationMs: 0 }, parts: [], since: Date.now() }
      steps[Number(first)] = current.step
    }
    if (verb === 'end') finishStep(Number(second))
    if (verb === 'exit') {
      exitCode = Number(first)
      open -= 1
      if (open === 0) stop()
    }
  }
  const finishStep = (code: number | undefined) => {
    if (current === undefined) return
    current.step.exitCode = code
    current.step.output = Buffer.concat(current.parts).toString()
    current.step.durationMs = Date.now() - current.since
    current = undefined
  }

  const guard = new Guard(dir)
  let launch: ReturnType<Target['prepare']>
  try {
    launch = target.prepare(job, dir)
    const child = guard.start(launch.argv, launch.env)
    const timer = setTimeout(() => {
      timedOut = true
      guard.kill()
    }, timeoutMs)
    let grace: NodeJS.Timeout | undefined
    stop = () => {
      grace = setTimeout(() => guard.kill(), POWEROFF_MS)
    }
    const channels = [3, 4].map((fd) => {
      const marks = new Marks(job.nonce, take(fd === 3 ? 'stdout' : 'stderr'), mark)
      const stream = child.stdio[fd] as Readable
      return ended(stream.on('data', (bytes: Buffer) => marks.push(bytes))).then(() => marks.end())
    })
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (bytes: Buffer) => console.push(bytes))
    await new Promise<void>((resolve) =>
      child
        .on('error', (error) => {
          console.push(Buffer.from(`${error.message}\n`))
          resolve()
        })
        .on('exit', () => resolve()),
    )
    clearTimeout(timer)
    clearTimeout(grace)
    // Whatever the job left running may hold the channels.
    guard.kill()
    await Promise.all(channels)
  } finally {
    guard.end()
  }
  finishStep(undefined)

  const kernelLog = Buffer.concat(console).toString().replaceAll('\r\n', '\n') + (launch.kernelLog?.() ?? '')
  const failed = steps.find((step) => step.exitCode !== 0)?.exitCode
  const result = { output: Buffer.concat(output).toString(), steps, kernelLog, bootMs }
  if (timedOut && exitCode === undefined) {
    return { ...result, exitCode: 124, failure: `the lab's ${target.name} was stopped after ${timeoutMs} ms` }
  }
  if (exitCode === undefined) {
    const when = bootMs === undefined ? 'did not boot' : 'stopped in the middle of the job'
    return { ...result, exitCode: 125, failure: `the lab's ${target.name} ${when}` }
  }
  return { ...result, exitCode: failed ?? exitCode, failure: undefined }
}

function ended(stream: Readable): Promise<void> {
  return new Promise((resolve) => stream.on('close', resolve).on('error', () => resolve()))
}

/**
 * Becomes "$@". Should we be killed outright, our end of stdin closes: then a watcher beside it kills the process group
 * and removes the temporary directory ($0). User-mode Linux is several processes, so a death signal would not do, and it
 * leaves the group by setsid unless it leads it, hence the exec.
 */
const WATCHED = `exec 5<&0 </dev/null
( (cat <&5 >/dev/null; rm -rf "$0"; kill -KILL 0) >/dev/null 2>&1 3>&- 4>&- & )
exec "$@" 5<&-`

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Owns the kernel's process group and the temporary directory, and ends both whichever way we end. */
class Guard {
  #dir: string
  #child: ChildProcess | undefined
  #onExit = () => this.end()
  #onSignal = (signal: NodeJS.Signals) => {
    this.end()
    // Ours was the only handler for the default's sake: let the default happen, unless others care too.
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal)
  }

  constructor(dir: string) {
    this.#dir = dir
    process.on('exit', this.#onExit)
    for (const signal of SIGNALS) process.on(signal, this.#onSignal)
  }

  /** In a process group of its own, watched over from inside: see WATCHED. */
  start(argv: string[], env: NodeJS.ProcessEnv): ChildProcess {
    const stdio: 'pipe'[] = ['pipe', 'pipe', 'pipe', 'pipe', 'pipe']
    const args = ['-c', WATCHED, this.#dir, ...argv]
    this.#child = spawn('/bin/sh', args, { env, detached: true, stdio })
    return this.#child
  }

  kill(): void {
    const pid = this.#child?.pid
    if (pid === undefined) return
    try {
      process.kill(-pid, 'SIGKILL')
    } catch {
      // Already gone.
    }
  }

  end(): void {
    this.kill()
    rmSync(this.#dir, { recursive: true, force: true })
    process.off('exit', this.#onExit)
    for (const signal of SIGNALS) process.off(signal, this.#onSignal)
  }
}
