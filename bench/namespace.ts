import { spawn } from 'node:child_process'
import { constants } from 'node:os'

const INSIDE = 'DPIF_BENCH_INSIDE'

/**
 * For malloc of glibc: what is freed stays with the process, so that turns find the memory that the ones before have touched. In user
 * mode touching a page for the first time costs as much as 40 flows.
 */
const keepsMemory = { MALLOC_MMAP_THRESHOLD_: '33554432', MALLOC_TRIM_THRESHOLD_: '1073741824' }

/** Whether this process is the one that works, in a network namespace of its own. */
export function isInside(): boolean {
  return process.env[INSIDE] === '1'
}

/**
 * Runs this program once more in a network namespace that ends with it, so that nothing of the user's is touched and nothing
 * is left behind, however it ends. Answers the exit code.
 */
export function runInside(): Promise<number> {
  // Without root a user namespace of our own gives us CAP_NET_ADMIN, where the machine allows that.
  const separate = process.getuid?.() === 0 ? ['-n'] : ['-r', '-n']
  const args = [...separate, process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  const child = spawn('unshare', args, {
    stdio: 'inherit',
    env: { ...keepsMemory, ...process.env, [INSIDE]: '1' },
  })
  const pass = (signal: NodeJS.Signals) => child.kill(signal)
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, pass)
  return new Promise((resolve, reject) => {
    child.on('error', (error) =>
      reject(
        new Error(`cannot make a network namespace to work in: ${error.message}; is util-linux installed?`),
      ),
    )
    child.on('close', (code, signal) => {
      for (const name of signals) process.off(name, pass)
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]))
    })
  })
}
