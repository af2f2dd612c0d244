import { readdir, readFile } from 'node:fs/promises'
import type { Transport } from '../../types/transport.js'

/**
 * The threads of this process that send what goes through `transport`, as the kernel numbers them. They begin with the first message, so
 * a batch without any goes ahead.
 */
export async function threadsOf(transport: Transport): Promise<number[]> {
  await Promise.all((['route', 'generic'] as const).map((protocol) => transport.exchange(protocol, nothing)))
  const found: number[] = []
  for (const id of await readdir(TASKS)) {
    // One that has ended meanwhile was none of them.
    const name = await readFile(`${TASKS}/${id}/comm`, 'utf8').catch(() => '')
    if (name.trim() === THREAD) found.push(Number(id))
  }
  return found
}

const nothing = new Uint8Array()
const TASKS = '/proc/self/task'
/** What the addon calls them (addon/socket/worker.cc). */
const THREAD = 'ovs_dpif'
