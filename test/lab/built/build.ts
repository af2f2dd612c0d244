import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { BuildError, execute } from '../execute.js'
import { once } from '../once.js'
import { depends, unpack } from '../packages.js'
import {
  buildEnvironment,
  entry,
  type Headers,
  indexModules,
  type Kernel,
  moduleVersion,
} from '../provision.js'
import { source } from '../sources.js'

/*
 * The kernel of the target `built`: user-mode Linux from the distribution's packaged source, with `config` on top of nothing.
 *
 * It is built once for each version of the package and state of `config`, which takes minutes. Of more than a gigabyte three things are
 * kept: the image, an index that tells modprobe what is built in, and what other modules are built against.
 */

const config = source('test', 'lab', 'built', 'config')

/** What make is told each time. */
const VARIABLES = ['ARCH=um']

/** The kernel, built if need be. */
export const builtKernel = once((): Kernel => {
  const hash = createHash('sha256').update(readFileSync(config)).digest('hex').slice(0, 12)
  const dir = entry('linux-source', build, `linux-source-${hash}`)
  const root = join(dir, 'root')
  return { id: basename(dir), image: join(dir, 'linux'), version: moduleVersion(root), root }
})

/** What a module for it is built against. */
export function builtHeaders(): Headers {
  const build = join(dirname(builtKernel().image), 'headers')
  return { build, variables: VARIABLES, libraries: '' }
}

function build(dir: string): void {
  const work = join(dir, 'work')
  mkdirSync(work)
  const tree = extract(work)
  const make = ['make', '-C', tree, ...VARIABLES]
  const env = buildEnvironment()
  execute('configure the kernel', [...make, `KCONFIG_ALLCONFIG=${config}`, 'allnoconfig'], env)
  confirm(join(tree, '.config'))
  compile([...make, `-j${availableParallelism()}`, 'linux', 'modules'], env)
  keep(tree, dir)
  rmSync(work, { recursive: true })
}

/** Sources that user-mode Linux has no use for, two thirds of all. What Kconfig and make read on the way stays. */
const UNUSED = [
  'Documentation/*/*',
  'tools/testing/*',
  'sound/*.[ch]',
  ...['gpu', 'net/ethernet', 'net/wireless', 'media', 'scsi', 'staging', 'usb'].map(
    (name) => `drivers/${name}/*.[ch]`,
  ),
  ...['arm', 'arm64', 'powerpc', 'mips'].map((name) => `arch/${name}/*.[chSd]*`),
]

/** Unpacks the source; its directory. */
function extract(work: string): string {
  const name = depends('linux-source', /^linux-source-\d/)[0]
  if (name === undefined)
    throw new Error('cannot find a kernel to build: package linux-source names no source')
  unpack([name], work)
  const archive = archiveIn(join(work, 'usr/src'))
  const excluded = UNUSED.map((path) => `--exclude=*/${path}`)
  execute('unpack the kernel', ['tar', '-C', work, ...excluded, '-xf', archive], buildEnvironment())
  return join(work, basename(archive).replace(/\.tar\..*/, ''))
}

/** Debian has it at the top, Ubuntu one folder deeper. */
function archiveIn(folder: string): string {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  const name = names.find((path) => /linux-source-[^/]*\.tar\.\w+$/.test(path))
  if (name === undefined) throw new Error(`cannot find a kernel to build: no archive in ${folder}`)
  return join(folder, name)
}

/** Kconfig leaves out silently what hangs on something that is not there. */
function confirm(made: string): void {
  const found = new Set(readFileSync(made, 'utf8').split('\n'))
  const lost = readFileSync(config, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('CONFIG_') && !found.has(line))
  if (lost.length > 0) throw new Error(`cannot configure the kernel: it has no ${lost.join(', ')}`)
}

/** Counts the files on a terminal. */
const COUNT = `n=0
while read -r line; do n=$((n + 1)); printf '\\rbuilding a kernel: %d files' $n; done
printf '\\r\\033[K'`

function compile(command: string[], env: NodeJS.ProcessEnv): void {
  const progress = process.stderr.isTTY ? COUNT : 'cat >/dev/null'
  // The exit code of the first of a pipeline has to be carried by hand.
  const script = `{ "$@" 3>&- 4>&-; echo $? >&3; } | { ${progress}; } >&4`
  const result = spawnSync('sh', ['-c', script, 'sh', ...command], {
    env,
    encoding: 'utf8',
    maxBuffer: 64 << 20,
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', 2],
  })
  if (result.output?.[3]?.trim() === '0') return
  throw new BuildError('build the kernel', command, result)
}

/** Puts what is needed later into the cache's directory. */
function keep(tree: string, dir: string): void {
  const version = readFileSync(join(tree, 'include/config/kernel.release'), 'utf8').trim()
  execute('strip the kernel', ['strip', '-o', join(dir, 'linux'), join(tree, 'linux')], process.env)
  const modules = join(dir, 'root/usr/lib/modules', version)
  mkdirSync(modules, { recursive: true })
  for (const name of ['modules.order', 'modules.builtin', 'modules.builtin.modinfo']) {
    renameSync(join(tree, name), join(modules, name))
  }
  // Where depmod looks, as on the root file system this is laid over.
  symlinkSync('usr/lib', join(dir, 'root/lib'))
  indexModules(join(dir, 'root'))
  for (const path of HEADERS) {
    cpSync(join(tree, path), join(dir, 'headers', path), { recursive: true, filter: isHeader })
  }
}

/** What kbuild reads when a module is made somewhere else. */
const HEADERS = ['Makefile', '.config', 'Module.symvers', 'include', 'scripts', 'arch/um', 'arch/x86']

function isHeader(path: string): boolean {
  return !/\.(o|a|c|S|cmd|dts|dtsi)$/.test(path) && !/\/(dt-bindings|dtc)$/.test(path)
}
