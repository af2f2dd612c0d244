import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import process from 'node:process'

/** The addon keeps this many idle threads per environment, for the next socket. */
export const spareThreads = 4

/** What one process may leak: sockets that are open, and threads of the addon. */
export function held(): { sockets: number; threads: number } {
  const names = (folder: string, read: (file: string) => string) =>
    readdirSync(folder).map((name) => {
      try {
        return read(`${folder}/${name}`)
      } catch {
        // Gone since the folder was read; the descriptor that reads the folder always is.
        return ''
      }
    })
  const sockets = names('/proc/self/fd', readlinkSync).filter((target) => target.startsWith('socket:'))
  const threads = names('/proc/self/task', (task) => readFileSync(`${task}/comm`, 'utf8').trim())
  return { sockets: sockets.length, threads: threads.filter((name) => name === 'ovs_dpif').length }
}

/** Where the compiled modules are, for programs that are given as text. */
export const modules = {
  native: new URL('../../lib/transport/native.js', import.meta.url).href,
  load: new URL('../../lib/transport/load.js', import.meta.url).href,
  requests: new URL('./requests.js', import.meta.url).href,
  process: new URL('./process.js', import.meta.url).href,
}

/** The imports that the programs in these tests begin with. */
export const preamble = `
  const { nativeTransport } = await import('${modules.native}')
  const { loadAddon } = await import('${modules.load}')
  const { concat, getLink } = await import('${modules.requests}')
  const { held } = await import('${modules.process}')
  const links = (count) => concat(Array.from({ length: count }, () => getLink(1)))
`

/** Runs a module, given as text, in a Node of its own. Resolves when it has ended, however it did. */
export function run(source: string, options: { args?: string[]; env?: NodeJS.ProcessEnv } = {}) {
  const args = [...(options.args ?? []), '--input-type=module', '--eval', preamble + source]
  const child = spawn(process.execPath, args, { env: { ...process.env, ...options.env } })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  return new Promise<{ code: number | null; signal: string | null; stdout: string; stderr: string }>(
    (resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
    },
  )
}
