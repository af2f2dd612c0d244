import { createHash } from 'node:crypto'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { cached } from '../cache.js'
import { execute } from '../execute.js'
import type { Headers, Kernel } from '../provision.js'
import { source } from '../sources.js'

/** Our e-switch as a module for a kernel, built once per kernel and state of the sources; the file's path. */
export function eswitchModule(kernel: Kernel, headers: Headers): string {
  const folder = source('test', 'lab', 'eswitch')
  const files = readdirSync(folder).filter((name) => name === 'Kbuild' || /\.[ch]$/.test(name))
  const hash = createHash('sha256')
  for (const name of files.sort()) hash.update(name).update(readFileSync(join(folder, name)))
  const key = `eswitch_${hash.digest('hex').slice(0, 12)}_${kernel.id}`
  const dir = cached(key, (into) => {
    const work = join(into, 'build')
    mkdirSync(work)
    for (const name of files) copyFileSync(join(folder, name), join(work, name))
    make(work, headers)
    // Twenty times smaller without what a debugger wants.
    const strip = ['strip', '--strip-debug', '-o', join(into, 'eswitch.ko'), join(work, 'eswitch.ko')]
    execute("strip the e-switch's module", strip, process.env)
    rmSync(work, { recursive: true })
  })
  return join(dir, 'eswitch.ko')
}

function make(work: string, { build, variables, libraries }: Headers): void {
  const path = [process.env.LD_LIBRARY_PATH, libraries].filter(Boolean).join(':')
  const env = { ...process.env, LD_LIBRARY_PATH: path, LC_ALL: 'C' }
  execute("build the e-switch's module", ['make', '-C', build, ...variables, `M=${work}`, 'modules'], env)
}
