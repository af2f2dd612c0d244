/**
 * Which kernel subsystem a message is for: `generic` carries openvswitch, `route` carries TC and links, `netfilter` tracked
 * connections.
 */
export type Protocol = 'generic' | 'route' | 'netfilter'

/**
 * The one door to a kernel, real or simulated. A transport moves messages and knows nothing of what they say.
 *
 * Messages are framed by a 16-byte `nlmsghdr` in host order and padded to 4 bytes. Their sequence number and
 * port id are zero; the transport stamps them.
 */
export interface Transport {
  /** Names the kernel behind the door in reports, for example `native` or `simulated`. */
  readonly name: string

  /**
   * Sends every message of `batch`, in order, and answers once the kernel has dealt with all of them.
   * Batches of one protocol and one lane are carried out in the order of the calls; lanes go on beside one another. `lane` is a
   * whole number from 0, and 0 when left out.
   *
   * `batch` is read before the call returns and is never written to: it is the caller's again at once.
   *
   * A message the kernel refuses is a {@link MessageFailure}, not a rejection. Rejects with a `DpifError`: `CLOSED`,
   * `BUSY` (more than 1024 exchanges of one protocol and lane wait), `BAD_MESSAGE` (framing; nothing was sent), `ADDON_MISSING`, or `SOCKET` (the socket itself failed; nothing is known
   * of the messages).
   */
  exchange(protocol: Protocol, batch: Uint8Array, lane?: number): Promise<Exchange>

  /**
   * Starts a dump. `request` is one framed message; the transport adds the dump flags. Nothing is sent before the first
   * `next()`. Breaking out of the loop frees the dump.
   */
  dump(protocol: Protocol, request: Uint8Array): Dump

  /**
   * Opens sockets the kernel can send to by itself, and begins to listen. Nothing is read before the first `next()`: what comes
   * meanwhile waits in the kernel, and what does not fit there is dropped by it.
   *
   * Rejects with a `DpifError`: `CLOSED`, `ADDON_MISSING` or `SOCKET`; and with a RangeError on options that make no sense.
   */
  listen(protocol: Protocol, options?: ListenOptions): Promise<Listener>

  /** Waits for what is under way, ends what only waits, then frees the sockets. Idempotent. */
  close(): Promise<void>
}

/** How to listen. */
export interface ListenOptions {
  /** Sockets, 1 to 64, that are read together; 1 when left out. */
  readonly sockets?: number
  /** SO_RCVBUF of each, from 4 KiB to 1 GiB; 4 MiB when left out. The kernel doubles it, for what it needs to keep a message. */
  readonly buffer?: number
  /** Numbers of multicast groups of the protocol. The first socket joins them; the others hear what is sent to them alone. */
  readonly groups?: readonly number[]
}

/**
 * Messages the kernel sends by itself, pulled. `next()` waits until there is one, and then answers all that are there, from every socket
 * in turn, up to 256 KiB and a message. One `next()` at a time: another one is BUSY.
 *
 * Ends when it is closed: a `next()` that waits then answers that it is done. Rejects with `SOCKET` when a socket fails.
 */
export interface Listener extends AsyncIterableIterator<ListenPage> {
  /** Netlink port id of each socket: what the kernel is told to send to. */
  readonly pids: readonly number[]
  /** Closes the sockets. Idempotent. */
  close(): Promise<void>
  return(): Promise<IteratorResult<ListenPage>>
}

/** What was there at one time. */
export interface ListenPage {
  /** Whole messages, one behind the other, of each socket in their order. They are the caller's to keep. */
  readonly bytes: Uint8Array
  /** How many sockets have told that something did not fit in (ENOBUFS). They tell once, until they are read empty. */
  readonly overruns: number
  /** Nothing was left in any socket. */
  readonly drained: boolean
}

/** What became of one batch. */
export interface Exchange {
  /** How many messages the batch held. */
  readonly count: number
  /** The messages that failed, ascending by index. A message that is not listed has succeeded. */
  readonly failures: readonly MessageFailure[]
  /**
   * The replies the kernel sent, framed one after the other. `nlmsg_seq` of each reply holds the index, in the batch, of the
   * message it answers.
   */
  readonly replies: Uint8Array
}

/** One message of a batch that did not succeed. */
export interface MessageFailure {
  /** Position in the batch, from 0. */
  readonly index: number
  /**
   * Positive errno. `ENOBUFS` (105) here means that the answer was lost on the way: the kernel may or may not have carried
   * the message out. It is never sent again by the transport.
   */
  readonly errno: number
  /** The kernel's own words (NLMSGERR_ATTR_MSG), if it said any. */
  readonly text?: string
  /** Where the attribute the kernel objects to begins, in bytes from the start of the message (NLMSGERR_ATTR_OFFS). */
  readonly offset?: number
}

/**
 * Pages of a dump, pulled: each `next()` is a few reads, of at most 256 KiB together. A page holds whole messages, without the closing
 * NLMSG_DONE. It is the caller's until the next `next()`: then its memory is used again, and what is to be kept has to be
 * copied; a dump fails when the memory was transferred elsewhere.
 *
 * After the last page the iterator throws a `DpifError`: `DUMP_INTERRUPTED` when the kernel marked any message with
 * NLM_F_DUMP_INTR, or the kernel's own error when NLMSG_DONE or NLMSG_ERROR carried one.
 */
export type Dump = AsyncIterableIterator<Uint8Array>
