import { getSystemErrorName } from 'node:util'
import { DpifError } from '../errors.js'
import type { AddonError, Done, NetlinkDump, NetlinkListener, NetlinkSocket } from './addon.js'
import { Turns } from './turns.js'

const turns = new Turns()

/** Makes a promise of a call to the addon, which is either refused at once or answered later. */
export function call<T>(attempt: string, start: (done: Done<T>) => AddonError | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    const refused = start((error, value) => {
      turns.take(() => {
        if (error) reject(toDpifError(attempt, error))
        else resolve(value)
      })
    })
    if (refused) reject(toDpifError(attempt, refused))
  })
}

type Closable = NetlinkSocket | NetlinkDump | NetlinkListener
const closings = new WeakMap<Closable, Promise<void>>()

/** Resolves when it is closed, whoever closed it first. */
export function closed(closable: Closable): Promise<void> {
  let closing = closings.get(closable)
  if (closing === undefined) {
    // In line, so that what was under way is answered first.
    closing = new Promise((resolve) => closable.close(() => turns.take(resolve)))
    closings.set(closable, closing)
  }
  return closing
}

/** What the addon says went wrong, as a sentence that begins with what was attempted. */
export function toDpifError(attempt: string, { stage, errno }: AddonError): DpifError {
  switch (stage) {
    case 'closed':
      return new DpifError('CLOSED', `${attempt}: the transport was closed; open another one`)
    case 'busy':
      return new DpifError('BUSY', `${attempt}: too many calls are waiting already; await some of them first`)
    case 'framing':
      return new DpifError(
        'BAD_MESSAGE',
        `${attempt}: the bytes are not whole, padded netlink messages; nothing was sent`,
      )
    case 'page':
      return new DpifError(
        'SOCKET',
        `${attempt}: the memory of its page was given away; copy what is to be kept or sent elsewhere`,
        { errno },
      )
    default:
      return new DpifError('SOCKET', `${attempt}: ${stage} failed with ${named(errno)}`, { errno })
  }
}

/** `ENOENT (2)`. */
export function named(errno: number): string {
  try {
    return `${getSystemErrorName(-errno)} (${errno})`
  } catch {
    // getSystemErrorName knows the errors of libuv only.
    return `errno ${errno}`
  }
}
