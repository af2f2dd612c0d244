import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { join } from 'node:path'

/** The distribution's ID and its ancestors, e.g. ['ubuntu', 'debian']. */
export function distribution(): string[] {
  let text = ''
  try {
    text = readFileSync('/etc/os-release', 'utf8')
  } catch {
    return []
  }
  const value = (name: string) => new RegExp(`^${name}="?([^"\n]*)"?$`, 'm').exec(text)?.[1] ?? ''
  return [value('ID'), ...value('ID_LIKE').split(' ')].filter((id) => id !== '')
}

/** Why packages cannot be fetched here, or undefined if they can. */
export function packagesMissing(need: string): string | undefined {
  if (process.arch !== 'x64') return `the lab's kernels are built for x86-64, this is ${process.arch}`
  if (distribution().some((id) => id === 'debian' || id === 'ubuntu')) return undefined
  return `only Debian and Ubuntu are provisioned automatically; this system needs ${need}`
}

/** The version apt would install of each name it knows; its lists are fetched once if it has never heard of one. */
export function candidates(names: string[]): Map<string, string> {
  const known = policy(names)
  if (known.size === names.length) return known
  // Works as root only; otherwise what apt knows already has to do.
  spawnSync('apt-get', ['update', '-qq'], { stdio: 'ignore', timeout: 300_000 })
  return policy(names)
}

/** The packages `name` depends on directly whose names match. */
export function depends(name: string, match: RegExp): string[] {
  const lines = apt('apt-cache', ['depends', '--important', name]).split('\n')
  const names = lines.map((line) => /^ *\|?(?:Pre)?Depends: (\S+)$/.exec(line)?.[1] ?? '')
  return [...new Set(names.filter((found) => match.test(found)))]
}

/** `names` and what they need that is not installed on this machine. */
export function closure(names: string[]): string[] {
  const lines = apt('apt-get', ['--simulate', '--no-install-recommends', 'install', ...names]).split('\n')
  const found = lines.map((line) => /^Inst (\S+) /.exec(line)?.[1] ?? '')
  // A second libc beside the machine's own loader would not run.
  return found.filter((name) => name !== '' && name !== 'libc6' && name !== 'libc-bin')
}

/** Downloads packages and unpacks them into `dir`: no root, no maintainer scripts, no services. */
export function unpack(names: string[], dir: string): void {
  if (names.length === 0) return
  const downloads = mkdtempSync(join(dir, '.downloads-'))
  // The sandbox user could not write here; apt then falls back to root with a warning for every file.
  const user = process.getuid?.() === 0 ? ['-o', 'APT::Sandbox::User=root'] : []
  apt('apt-get', [...user, '-qq', 'download', ...names], downloads)
  for (const file of readdirSync(downloads)) apt('dpkg', ['-x', join(downloads, file), dir])
  rmSync(downloads, { recursive: true })
  mergeUsr(dir)
}

/** /bin, /lib and the others become links into /usr, as they are on the root file system this is laid over. */
function mergeUsr(dir: string): void {
  for (const name of ['bin', 'sbin', 'lib', 'lib32', 'lib64']) {
    const from = join(dir, name)
    if (!existsSync(from)) continue
    merge(from, join(dir, 'usr', name))
    symlinkSync(join('usr', name), from)
  }
}

function merge(from: string, to: string): void {
  mkdirSync(to, { recursive: true })
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const target = join(to, entry.name)
    if (entry.isDirectory() && existsSync(target)) merge(join(from, entry.name), target)
    else renameSync(join(from, entry.name), target)
  }
  rmSync(from, { recursive: true })
}

function policy(names: string[]): Map<string, string> {
  const found = new Map<string, string>()
  for (const part of apt('apt-cache', ['policy', ...names]).split(/^(?=\S)/m)) {
    const [, name, version] = /^(\S+):\n[^]*?^ {2}Candidate: (\S+)$/m.exec(part) ?? []
    if (name !== undefined && version !== undefined && version !== '(none)') found.set(name, version)
  }
  return found
}

function apt(command: string, args: string[], cwd?: string): string {
  const env = { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' }
  const result = spawnSync(command, args, {
    cwd,
    env,
    encoding: 'utf8',
    timeout: 300_000,
    maxBuffer: 64 << 20,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  if (result.status === 0) return result.stdout
  const why = result.error?.message ?? (result.stderr.trim() || `exit code ${result.status}`)
  throw new Error(`cannot run '${command} ${args.join(' ')}': ${why}`)
}
