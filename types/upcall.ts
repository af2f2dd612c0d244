import type { Action } from './action.js'
import type { FlowKey, TunnelKey } from './flow.js'

/**
 * Whose packets go to which socket. `per-cpu`: each processor has one, whatever port a packet came in on (OVS_DP_F_DISPATCH_UPCALL_PER_CPU,
 * Linux 5.15). `per-vport`: each port has a list of them, and the packet's hash picks one (OVS_VPORT_ATTR_UPCALL_PID).
 */
export type UpcallDispatch = 'per-cpu' | 'per-vport'

export interface UpcallOptions {
  /** `per-cpu` where the kernel has it, else `per-vport`, when left out. */
  readonly dispatch?: UpcallDispatch
  /**
   * Sockets, 1 to 64, read in turn; 8 when left out. There are never more of them than processors: the kernel takes no more. More of them hold more packets, and one
   * processor or flow that floods its own leaves the others alone.
   */
  readonly handlers?: number
  /**
   * Bytes of packets that may wait in each socket, as the kernel counts them (SO_RCVBUF); from 4 KiB to 1 GiB, 4 MiB when left out. It is all that ever
   * waits: what does not fit is dropped by the kernel, and counted.
   */
  readonly buffer?: number
}

/** Why the datapath hands a packet over: no flow matched it (`miss`), or a `userspace` action did (`action`). */
export type UpcallKind = 'miss' | 'action'

/**
 * A packet the datapath handed over. Keys and actions are decoded when first looked at, and throw BAD_MESSAGE when they are none. It may
 * be kept; it then keeps the bytes of its whole batch.
 */
export interface Upcall {
  readonly kind: UpcallKind
  /** From the Ethernet header on, as it is now: of an `action`, with what the actions before it changed. */
  readonly packet: Uint8Array
  /** How long the packet was before it was cut off (action `trunc`), in bytes. */
  readonly length: number
  /** As the packet came in. */
  readonly key: FlowKey
  /** The same, not decoded: to be put or executed as it came (the payload of OVS_PACKET_ATTR_KEY). */
  readonly rawKey: Uint8Array
  /** Of an `action` that has some. */
  readonly userdata: Uint8Array | undefined
  /** Of an `action` that asks for it, when the packet would leave by a tunnel. */
  readonly egressTunnel: TunnelKey | undefined
  /** Of an `action` that asks for them: those of the flow. */
  readonly actions: readonly Action[] | undefined
  /** Of a packet put together from fragments: the size of the largest one. To be handed to `execute`. */
  readonly mru: number | undefined
  /**
   * Of the packet's headers, in its lowest 32 bits; bit 32 is set when software computed it, bit 33 when it covers ports too. To be
   * handed to `execute`, so that what goes by hash goes the same way (Linux 5.5).
   */
  readonly hash: bigint | undefined
}

/** What was waiting. Many batches may come out of one crossing from the kernel. */
export interface UpcallBatch {
  /** In the order of each socket, 256 at most, so that answering them holds nobody up. Empty when there is only a loss to tell of. */
  readonly upcalls: readonly Upcall[]
  /**
   * Packets the datapath could not hand over since the last batch. The kernel is asked whenever a socket has overflowed, until what
   * waited in it is read; losses of another cause are in `dpif.stats()` alone.
   */
  readonly lost: bigint
}

/** Where upcalls go, from now on. */
export interface UpcallRoute {
  readonly dispatch: UpcallDispatch
  /** How many sockets there are. */
  readonly handlers: number
  /** What a `userspace` action has to name as its `pid` to come out here. */
  readonly pid: number
}

/**
 * The upcalls of one datapath. Pulls: nothing is read from the kernel before the next batch is asked for. Ends when it is returned
 * from, by `break` or by `return()`, and when its dpif closes; a `next()` that waits meanwhile then answers that it is done. Waiting
 * keeps the process alive, and nothing else here does.
 */
export interface Upcalls extends AsyncIterableIterator<UpcallBatch> {
  /** Takes the dispatch over now, rather than with the first `next()`. */
  start(): Promise<UpcallRoute>
  /** Gives the dispatch back, as far as it is still ours, and closes the sockets. Idempotent. */
  return(): Promise<IteratorResult<UpcallBatch>>
}

/** The upcalls of one datapath, as its kernel hands them over. */
export interface UpcallControl {
  /** Throws BUSY while there are others of this object, and a RangeError on options that make no sense. */
  open(options: UpcallOptions): Upcalls
  /** Ends those there are. */
  close(): Promise<void>
}
