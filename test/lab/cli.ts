import { parseArgs } from 'node:util'
import { runInLab } from './run.js'
import { targets } from './targets.js'
import type { Target, TargetName } from './target.js'

const USAGE = `usage: node dist/test/lab/cli.js TARGET [--timeout SECONDS] [--log] [--eswitch] [--selftests] -- COMMAND...
       node dist/test/lab/cli.js TARGET [--timeout SECONDS] [--log] [--eswitch] [--selftests] --files FILE...
       node dist/test/lab/cli.js provision
TARGET is host, uml, built or qemu. --log shows the kernel's log afterwards. LAB_MODULES="a b" loads these modules instead of
the usual ones; LAB_MODULES=none loads none and keeps the kernel from loading any by itself.
--eswitch builds a NIC's e-switch for built and qemu: 'insmod $LAB_ESWITCH' there (see test/lab/eswitch/README.md).
--selftests brings the kernel's own tests of openvswitch, in $LAB_SELFTESTS.`

/** Exit codes: the command's own; 124 timeout, 125 the kernel died, 2 wrong usage, 3 target not available. */
async function main(): Promise<number> {
  const options = {
    timeout: { type: 'string', default: '600' },
    files: { type: 'boolean', default: false },
    log: { type: 'boolean', default: false },
    eswitch: { type: 'boolean', default: false },
    selftests: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  } as const
  const { values, positionals } = parseArgs({ options, allowPositionals: true })
  const [verb = '', ...words] = positionals
  if (values.help) {
    process.stdout.write(`${USAGE}\n`)
    return 0
  }
  if (verb === 'provision' && words.length === 0) return provision()
  const target = isTarget(verb) ? targets[verb] : undefined
  const seconds = Number(values.timeout)
  if (target === undefined || words.length === 0 || !(seconds > 0)) {
    process.stderr.write(`${USAGE}\n`)
    return 2
  }
  const { files, log, eswitch, selftests } = values
  return run(target, words, { files, log, eswitch, selftests, timeoutMs: seconds * 1000 })
}

interface RunOptions {
  timeoutMs: number
  files: boolean
  log: boolean
  eswitch: boolean
  selftests: boolean
}

async function run(target: Target, words: string[], { timeoutMs, files, log, ...brought }: RunOptions) {
  const status = target.available()
  if (!status.available) {
    process.stderr.write(`cannot run in the lab's ${target.name}: ${status.reason}\n`)
    return 3
  }
  const result = await runInLab(target, {
    ...(files ? { files: words } : { command: words }),
    ...brought,
    timeoutMs,
    fileTimeoutMs: timeoutMs,
    onOutput: (bytes, channel) => process[channel].write(bytes),
  })
  if (log || result.failure !== undefined) process.stderr.write(`${result.kernelLog.trimEnd()}\n`)
  if (result.failure !== undefined) process.stderr.write(`${result.failure}\n`)
  return result.exitCode
}

/** Fetches everything now; a target that cannot be is an error, except the machine's own kernel. */
function provision(): number {
  let failed = 0
  for (const target of Object.values(targets)) {
    const status = target.available()
    process.stdout.write(`${target.name}: ${status.available ? 'available' : status.reason}\n`)
    if (!status.available && target.name !== 'host') failed = 3
    if (status.available && target.eswitch !== undefined) process.stdout.write(`${target.eswitch()}\n`)
  }
  return failed
}

function isTarget(name: string): name is TargetName {
  return Object.hasOwn(targets, name)
}

process.exitCode = await main()
