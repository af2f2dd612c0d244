import { existsSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where something lies in the project's sources, which this file leaves when it is compiled. */
export function source(...names: string[]): string {
  let folder = path.dirname(fileURLToPath(import.meta.url))
  // Walked, not counted: this file lies one level deeper in dist/ than in the sources.
  while (!existsSync(path.join(folder, 'package.json'))) folder = path.dirname(folder)
  return path.join(folder, ...names)
}
