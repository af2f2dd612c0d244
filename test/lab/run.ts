import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { guestEnv, newJob } from './job.js'
import { runMachine } from './machine.js'
import { selftests } from './provision.js'
import type { Target } from './target.js'

export interface LabOptions {
  /** Test files that node runs one after another in one boot, each in fresh namespaces. */
  files?: string[]
  /** Or one command, in the kernel's first network namespace. */
  command?: string[]
  cwd?: string
  env?: Record<string, string>
  /** LAB_ESWITCH names the e-switch's module, see eswitch/README.md, where the target's kernel can load it. */
  eswitch?: boolean
  /** LAB_SELFTESTS names the folder with the kernel's own tests of openvswitch, and LAB_SELFTESTS_ROOT the programs they call. */
  selftests?: boolean
  /** For everything, boot included. Default ten minutes. */
  timeoutMs?: number
  /** For one file. Default two minutes. */
  fileTimeoutMs?: number
  onOutput?: (bytes: Buffer, channel: 'stdout' | 'stderr') => void
}

export interface LabFile {
  file: string
  /** Undefined if the kernel did not live to tell. */
  exitCode: number | undefined
  output: string
  durationMs: number
}

export interface LabResult {
  /** The command's or the first failing file's; 124 after a timeout, 125 when the kernel stopped before the job. */
  exitCode: number
  output: string
  files: LabFile[]
  /** Everything the kernel said on its console. */
  kernelLog: string
  /** Until the job began. */
  bootMs: number | undefined
  /** What went wrong with the lab itself, as opposed to the job. */
  failure: string | undefined
}

/** Runs a command or test files in a target's kernel. */
export async function runInLab(target: Target, options: LabOptions): Promise<LabResult> {
  const { files, command, timeoutMs = 600_000, fileTimeoutMs = 120_000 } = options
  if ((files === undefined) === (command === undefined)) {
    throw new TypeError('cannot run in the lab: give either files or a command')
  }
  const status = target.available()
  if (!status.available) throw new Error(`cannot run in the lab's ${target.name}: ${status.reason}`)
  const module = options.eswitch ? target.eswitch?.() : undefined
  const tests = options.selftests ? selftests() : undefined
  const env = {
    ...options.env,
    LAB_KERNEL: target.name,
    ...(module === undefined ? {} : { LAB_ESWITCH: module }),
    ...(tests === undefined ? {} : { LAB_SELFTESTS: tests.folder, LAB_SELFTESTS_ROOT: tests.root }),
  }
  const job = newJob({
    cwd: options.cwd ?? process.cwd(),
    env: guestEnv(env),
    steps: files?.map((file) => [process.execPath, file]) ?? [command ?? []],
    separate: files !== undefined,
    stepTimeoutMs: fileTimeoutMs,
  })
  const dir = mkdtempSync(join(tmpdir(), 'dpif-hw-acc-lab-'))
  const { steps, ...machine } = await runMachine({ target, job, dir, timeoutMs, onOutput: options.onOutput })
  return { ...machine, files: (files ?? []).map((file, index) => ({ file, ...(steps[index] ?? UNRUN) })) }
}

const UNRUN = { exitCode: undefined, output: '', durationMs: 0 }
