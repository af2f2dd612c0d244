import { type SpawnSyncReturns, spawnSync } from 'node:child_process'

/** How much of what a compiler says is worth repeating. */
const LAST_LINES = 20

/** Runs one step of a build; `what` is what it is for, as a verb with its object. */
export function execute(what: string, command: readonly string[], env: NodeJS.ProcessEnv): void {
  const [program = '', ...args] = command
  const result = spawnSync(program, args, { env, encoding: 'utf8', maxBuffer: 64 << 20 })
  if (result.status !== 0) throw new BuildError(what, command, result)
}

/** A step of a build that failed, with the last lines it said. */
export class BuildError extends Error {
  constructor(what: string, command: readonly string[], { error, stderr }: SpawnSyncReturns<string>) {
    const words = error?.message ?? stderr.trim().split('\n').slice(-LAST_LINES).join('\n')
    super(`cannot ${what} with '${command.join(' ')}': ${words}`)
  }
}
