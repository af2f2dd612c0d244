import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { DpifError } from '../errors.js'
import type { Addon } from './addon.js'

const packageName = 'dpif-hw-acc'
const builtFile = 'build/Release/ovs_dpif.node'
const classes: readonly (keyof Addon)[] = ['NetlinkSocket', 'NetlinkDump', 'NetlinkListener']
const pathVariable = 'DPIF_HW_ACC_ADDON'
const howToBuild =
  `Type \`npm rebuild ${packageName}\` (it needs Linux, a C++20 compiler, make and python3), ` +
  'or use the simulated kernel from `dpif-hw-acc/testing`.'

/**
 * Loads the native addon. Called when the first socket is needed, never on import, so that everything else works where
 * the addon cannot be built. `DPIF_HW_ACC_ADDON` names another file, for example one built with sanitizers.
 *
 * Throws a `DpifError` with code `ADDON_MISSING`.
 */
export function loadAddon(): Addon {
  const file = addonFile()
  if (!existsSync(file)) throw missing(file, 'there is no such file')
  let addon: Partial<Addon>
  try {
    addon = createRequire(import.meta.url)(file)
  } catch (cause) {
    throw missing(file, `it does not load: ${cause instanceof Error ? cause.message : String(cause)}`, cause)
  }
  if (classes.some((name) => typeof addon[name] !== 'function')) {
    throw missing(file, 'it is another addon, or one of another version')
  }
  return addon as Addon
}

function addonFile(): string {
  const chosen = process.env[pathVariable]
  if (chosen !== undefined && chosen !== '') return path.resolve(chosen)
  const here = path.dirname(fileURLToPath(import.meta.url))
  const root = packageRoot(here)
  if (root !== undefined) return path.join(root, builtFile)
  throw new DpifError(
    'ADDON_MISSING',
    `cannot load the native addon: looked for the package.json of ${packageName} in ${here} and above, ` +
      `and found none; was the library bundled? Keep it external, or set ${pathVariable} to the path of ovs_dpif.node.`,
  )
}

// Walked, not counted: this file lies one level deeper in dist/ than in the sources.
function packageRoot(from: string): string | undefined {
  for (let folder = from; ; folder = path.dirname(folder)) {
    const file = path.join(folder, 'package.json')
    if (existsSync(file) && JSON.parse(readFileSync(file, 'utf8')).name === packageName) return folder
    if (folder === path.dirname(folder)) return undefined
  }
}

function missing(file: string, found: string, cause?: unknown): DpifError {
  const chosen = process.env[pathVariable] ? ` (from ${pathVariable})` : ''
  return new DpifError(
    'ADDON_MISSING',
    `cannot load the native addon: looked for ${file}${chosen}, and ${found}. ${howToBuild}`,
    { cause },
  )
}
