import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { cached } from './cache.js'
import { source } from './sources.js'

/** What has to stand before user-mode Linux's command line on this processor; `native/xstate.c` says why. */
export function xstatePrefix(): string[] {
  return hasTiles() ? ['/usr/bin/env', `LD_PRELOAD=${library()}`] : []
}

/** Whether the processor has AMX, whose tiles user-mode Linux 6.1 has no room for. */
function hasTiles(): boolean {
  return /^flags\s*:.*\bamx_tile\b/m.test(readFileSync('/proc/cpuinfo', 'utf8'))
}

function library(): string {
  const file = source('test', 'lab', 'native', 'xstate.c')
  const hash = createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 12)
  const dir = cached(`xstate_${hash}`, (into) => compile(file, path.join(into, 'xstate.so')))
  return path.join(dir, 'xstate.so')
}

function compile(from: string, to: string): void {
  const cc = process.env.CC || 'cc'
  const result = spawnSync(cc, ['-O2', '-shared', '-fPIC', '-o', to, from], { encoding: 'utf8' })
  if (result.status === 0) return
  const words = result.error === undefined ? result.stderr.trim() : result.error.message
  throw new Error(`cannot compile ${from}, which user-mode Linux needs on this processor: ${words}`)
}
