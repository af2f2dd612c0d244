/** Errnos the simulated kernel answers with. */
export const errnos = {
  EPERM: 1,
  ENOENT: 2,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  EFBIG: 27,
  ENOSPC: 28,
  ERANGE: 34,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
} as const

/** A message the kernel does not carry out. Thrown by the families, caught where messages are dispatched. */
export class Refusal extends Error {
  readonly errno: number
  /** The kernel's words, where the real one says any. */
  readonly text: string | undefined
  /** Bytes from the start of the message to the attribute that is to blame. */
  readonly offset: number | undefined

  constructor(errno: number, text?: string, offset?: number) {
    super(text ?? `errno ${errno}`)
    this.errno = errno
    this.text = text
    this.offset = offset
  }
}

/** Refuses a message. */
export function refuse(errno: keyof typeof errnos, text?: string, offset?: number): never {
  throw new Refusal(errnos[errno], text, offset)
}

/**
 * Refuses what a real kernel might well do but this one does not imitate. The text says so, lest a test mistakes it for the
 * real thing.
 */
export function notSimulated(what: string): never {
  throw new Refusal(errnos.EOPNOTSUPP, `not simulated: ${what}`)
}
