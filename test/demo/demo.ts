/**
 * `npm run demo`: the library's main job on the best kernel at hand. The machine's own kernel is used only inside a network namespace
 * made for it, so nothing of the user's is touched; else the lab's user-mode kernel; else the simulated one.
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runInLab } from '../lab/run.js'
import type { Target } from '../lab/target.js'
import { targets } from '../lab/targets.js'

const here = fileURLToPath(new URL('.', import.meta.url))
const tour = join(here, 'tour.js')
const labels = {
  host: "this machine's own kernel, in a network namespace of its own",
  uml: "the lab's user-mode Linux: a real kernel, run as a process",
} as const

async function runIn(target: Target, label: string): Promise<number> {
  const { exitCode, failure, kernelLog } = await runInLab(target, {
    command: [process.execPath, tour, 'native', label],
    timeoutMs: 120_000,
    onOutput: (bytes, channel) => process[channel].write(bytes),
  })
  if (failure !== undefined) process.stderr.write(`demo: ${failure}\n${kernelLog.slice(-2000)}\n`)
  return exitCode
}

const reasons: string[] = []
for (const name of ['host', 'uml'] as const) {
  const status = targets[name].available()
  if (status.available) {
    process.exit(await runIn(targets[name], labels[name]))
  }
  reasons.push(`${name}: ${status.reason}`)
}
process.stdout.write(`No real kernel at hand:\n${reasons.map((reason) => `  ${reason}\n`).join('')}\n`)
const { runTour } = await import('./tour.js')
await runTour('simulated', 'the simulated kernel: no packet will ever flow')
