/** What `build/Release/ovs_dpif.node` exports. The names are those of the C++ classes in `addon/napi/`. */
export interface Addon {
  readonly NetlinkSocket: new (protocol: number) => NetlinkSocket
  readonly NetlinkDump: new (protocol: number, request: Uint8Array) => NetlinkDump
  readonly NetlinkListener: new (
    protocol: number,
    sockets: number,
    buffer: number,
    groups?: readonly number[],
  ) => NetlinkListener
}

/**
 * A socket with a thread of its own. Both start at the first exchange. Calls are carried out in order; a call that is
 * under way keeps the event loop and the object alive, an idle socket keeps neither.
 *
 * A call is either refused at once, by what it returns, or `done` is called exactly once; unless the environment ends.
 */
export interface NetlinkSocket {
  /** Copies `batch`, sends it, and tells what became of it. */
  exchange(batch: Uint8Array, done: Done<ExchangeAnswer>): AddonError | undefined
  /** Lets what is under way finish, then frees socket and thread. Later calls are refused as `closed`. */
  close(done: () => void): AddonError | undefined
}

/** A dump with a socket and a thread of its own. */
export interface NetlinkDump {
  /** Reads one page into `into`, of 64 KiB at least. Refused as `busy` while another one is read, as `page` when it has no memory. */
  next(into: Uint8Array, done: Done<DumpPage>): AddonError | undefined
  /** As in {@link NetlinkSocket}. */
  close(done: () => void): AddonError | undefined
}

/** Sockets the kernel sends to by itself, with a thread of their own. */
export interface NetlinkListener {
  /** Opens the sockets; answers their port ids. */
  open(done: Done<readonly number[]>): AddonError | undefined
  /** Waits for something and reads what is there. Refused as `busy` while another one waits. */
  next(done: Done<HeardPage>): AddonError | undefined
  /** Ends a `next` that waits, then as in {@link NetlinkSocket}. */
  close(done: () => void): AddonError | undefined
}

/** How an answer comes back: `value` is there when `error` is not. */
export type Done<T> = (error: AddonError | undefined, value: T) => void

/** Why the addon or its socket, not the kernel's subsystem, could not do it. */
export interface AddonError {
  /** `busy`, `closed`, `framing`, `thread`, `page` (its memory was given away), or the system call that failed. */
  readonly stage: string
  /** Positive errno. */
  readonly errno: number
}

/** What became of a batch. */
export interface ExchangeAnswer {
  readonly count: number
  /** Four items for each failure: index, errno, text, offset. */
  readonly failures: readonly (number | string | undefined)[]
  readonly replies: Uint8Array
}

/** One page of a dump. */
export interface DumpPage {
  /** How many bytes of `into` it has. */
  readonly size: number
  /** This was the last page. `error`, `errno` and `interrupted` tell whether the dump is complete. */
  readonly last: boolean
  readonly error?: AddonError
  readonly interrupted: boolean
  /** The kernel's own error, and its words. */
  readonly errno?: number
  readonly text?: string
}

/** What a listener has read. */
export interface HeardPage {
  readonly bytes: Uint8Array
  readonly overruns: number
  readonly drained: boolean
  /** It was closed meanwhile. */
  readonly ended: boolean
  /** A socket failed, after what is in `bytes`. */
  readonly error?: AddonError
}
