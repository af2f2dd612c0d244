import { randomBytes } from 'node:crypto'
import { DEFAULT_MODULES } from './modules.js'
import { quote } from './shell.js'

/** What to do in the kernel: one command, or files that node runs one after another. */
export interface Job {
  nonce: string
  cwd: string
  env: Record<string, string>
  /** One argv per step. */
  steps: string[][]
  /** Each step in its own network and mount namespace, with stderr in stdout's place, so that it can be read alone. */
  separate: boolean
  stepTimeoutMs: number
}

/** Variables that go from our environment into the guest; what a tap runner tells the child it started stays out. */
const PASSED = /^(CI|NODE_OPTIONS|TAP_(?!CHILD|JOB).*|DPIF_.*|LAB_.*|SEED)$/

export function newJob(part: Omit<Job, 'nonce'>): Job {
  return { ...part, nonce: randomBytes(12).toString('hex') }
}

export function guestEnv(extra: Record<string, string>): Record<string, string> {
  const env: Record<string, string> = {}
  for (const [name, value] of Object.entries(process.env)) {
    if (PASSED.test(name) && value !== undefined) env[name] = value
  }
  return { ...env, ...extra }
}

/** Modules to load first; undefined for LAB_MODULES=none: then the kernel may not load any by itself either. */
export function jobModules(job: Job): string[] | undefined {
  const wanted = job.env.LAB_MODULES
  if (wanted === undefined || wanted === '') return DEFAULT_MODULES
  if (wanted === 'none') return undefined
  return wanted.split(/[\s,]+/).filter((name) => name !== '')
}

/** Shell text that runs the job, its output on 3 and 4. `before` prepares a separate step's namespaces. */
export function jobScript(job: Job, before: string): string {
  const exports = Object.entries(job.env).map(([name, value]) => `export ${name}=${quote(value)}`)
  const mark = (text: string, fd: number) => `printf '\\036%s %s\\n' ${job.nonce} "${text}" >&${fd}`
  const seconds = Math.ceil(job.stepTimeoutMs / 1000)
  const steps = job.steps.map((argv, index) => {
    const command = argv.map(quote).join(' ')
    if (!job.separate) return `( exec ${command} ) </dev/null >&3 2>&4 3>&- 4>&-; status=$?`
    const inside = quote(`${before}\nexec "$@"`)
    const alone = `timeout -s KILL ${seconds} unshare -n -m sh -c ${inside} step ${command}`
    return [
      mark(`begin ${index}`, 3),
      `( exec ${alone} ) </dev/null >&3 2>&3 3>&- 4>&-; status=$?`,
      mark(`end ${index} $status`, 3),
    ].join('\n')
  })
  return [
    ...exports,
    `cd ${quote(job.cwd)} || exit 1`,
    'status=0',
    mark('ready', 3),
    ...steps,
    mark('exit $status', 3),
    mark('exit $status', 4),
    '',
  ].join('\n')
}
