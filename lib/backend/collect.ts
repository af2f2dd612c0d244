import type { Dump } from '../../types/transport.js'
import { DpifError } from '../errors.js'
import { type Message, messagesOf } from '../netlink/reader.js'

/**
 * Everything a dump yields, read; what is read as undefined is left out. One that was interrupted is begun again, a few times: whatever holds still was seen by then, and what
 * comes and goes may be missing. Rejects with what the dump rejects with.
 */
export async function collect<T>(dump: () => Dump, read: (message: Message) => T | undefined): Promise<T[]> {
  for (let turn = 1; ; turn++) {
    const found: T[] = []
    try {
      for await (const page of dump()) {
        for (const message of messagesOf(page)) {
          const item = read(message)
          if (item !== undefined) found.push(item)
        }
      }
      return found
    } catch (error) {
      if (!(error instanceof DpifError) || error.code !== 'DUMP_INTERRUPTED') throw error
      if (turn === MAX_TURNS) return found
    }
  }
}

const MAX_TURNS = 3
