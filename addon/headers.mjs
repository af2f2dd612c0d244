import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'

/**
 * What node-gyp and cmake-js need in their environment to use the headers that most distributions of Node carry with
 * them, which saves a download and works offline. Empty when npm has been told already, or when they are not there.
 */
export function headersConfig() {
  if (process.env.npm_config_nodedir) return {}
  const prefix = path.join(path.dirname(process.execPath), '..')
  const file = path.join(prefix, 'include/node/node_version.h')
  if (!existsSync(file)) return {}
  const text = readFileSync(file, 'utf8')
  const part = (name) => text.match(new RegExp(`#define NODE_${name}_VERSION (\\d+)`))?.[1]
  // Another version's headers may be left in the prefix of a Node that was installed over it.
  const found = `v${['MAJOR', 'MINOR', 'PATCH'].map(part).join('.')}`
  return found === process.version ? { npm_config_nodedir: prefix } : {}
}
