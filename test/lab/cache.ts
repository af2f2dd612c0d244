import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** Where unpacked packages live: outside the work tree, so that `git clean` and a second clone keep them. */
export function cacheDir(): string {
  const base = process.env.XDG_CACHE_HOME || join(homedir(), '.cache')
  return join(base, 'dpif-hw-acc', 'lab')
}

/**
 * The directory called `key`, built by `build` if it is not there yet.
 * Built aside and renamed: two provisioners may both work, but a reader never sees half a directory.
 */
export function cached(key: string, build: (dir: string) => void): string {
  // An epoch's colon would end the path in lowerdir= and LD_LIBRARY_PATH.
  const dir = join(cacheDir(), key.replaceAll(':', '%3a'))
  if (existsSync(dir)) return dir
  mkdirSync(cacheDir(), { recursive: true })
  const aside = mkdtempSync(join(cacheDir(), '.building-'))
  try {
    build(aside)
    try {
      renameSync(aside, dir)
    } catch (error) {
      // ENOTEMPTY or EEXIST: another provisioner was faster, and its copy is as good as ours.
      if (!existsSync(dir)) throw error
    }
  } finally {
    rmSync(aside, { recursive: true, force: true })
  }
  return dir
}

/** The directory made last among those whose keys begin so. */
export function newest(prefix: string): string | undefined {
  if (!existsSync(cacheDir())) return undefined
  const names = readdirSync(cacheDir()).filter((name) => name.startsWith(prefix))
  const dirs = names.map((name) => join(cacheDir(), name))
  return dirs.sort((a, b) => statSync(b).ctimeMs - statSync(a).ctimeMs)[0]
}
