import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { cached } from '../cache.js'
import { distributionKernel, kernelHeaders, libraries } from '../provision.js'
import { source } from '../sources.js'

/** Our e-switch as a module for the distribution's kernel, built once per kernel and state of the sources; the file's path. */
export function eswitchModule(): string {
  const folder = source('test', 'lab', 'eswitch')
  const files = readdirSync(folder).filter((name) => name === 'Kbuild' || /\.[ch]$/.test(name))
  const hash = createHash('sha256')
  for (const name of files.sort()) hash.update(name).update(readFileSync(join(folder, name)))
  const key = `eswitch_${hash.digest('hex').slice(0, 12)}_${distributionKernel().version}`
  const dir = cached(key, (into) => {
    const work = join(into, 'build')
    mkdirSync(work)
    for (const name of files) copyFileSync(join(folder, name), join(work, name))
    make(work)
    // Twenty times smaller without what a debugger wants.
    execute('strip', ['--strip-debug', '-o', join(into, 'eswitch.ko'), join(work, 'eswitch.ko')], process.env)
    rmSync(work, { recursive: true })
  })
  return join(dir, 'eswitch.ko')
}

function make(work: string): void {
  const { build, root } = kernelHeaders()
  // The compiler's name in the headers is one of the distribution's versions, which need not be installed.
  const args = ['-C', build, `M=${work}`, 'CC=gcc', 'modules']
  const path = [process.env.LD_LIBRARY_PATH, libraries(root)].filter(Boolean).join(':')
  const env = { ...process.env, LD_LIBRARY_PATH: path, LC_ALL: 'C' }
  execute('make', args, env)
}

function execute(command: string, args: string[], env: NodeJS.ProcessEnv): void {
  const result = spawnSync(command, args, { env, encoding: 'utf8' })
  if (result.status === 0) return
  const words = result.error === undefined ? result.stderr.trim() : result.error.message
  throw new Error(`cannot build the e-switch's module with '${command} ${args.join(' ')}': ${words}`)
}
