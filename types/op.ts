import type { Action } from './action.js'
import type { Failure } from './errors.js'
import type { FlowKey, FlowStats, Ufid } from './flow.js'

/** Where a flow can live. */
export type BackendName = 'ovs' | 'tc'

/**
 * A flow in one of three spellings: typed objects, ovs-dpctl text, or raw netlink attributes as OVS and upcalls carry them. Text
 * holds key and mask together (`in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.0.0/8)`), so it comes without `mask`.
 *
 * Raw bytes are the payload of OVS_FLOW_ATTR_KEY, _MASK and _ACTIONS and go to openvswitch as they are.
 */
export interface FlowSpec {
  /** Generated from the key when left out: the same key always gives the same ufid, in every process. */
  readonly ufid?: Ufid
  readonly key: FlowKey | string | Uint8Array
  readonly mask?: FlowKey | Uint8Array
  readonly actions: readonly Action[] | string | Uint8Array
}

/**
 * What a put may do.
 *
 * | mode | flow absent | flow present, in whichever backend |
 * |---|---|---|
 * | `create` | created | EXISTS |
 * | `modify` | NOT_FOUND | actions replaced, counters go on |
 * | `upsert` | created | actions replaced, counters go on |
 *
 * A ufid stands for one match. Under another match, TC changes the flow's match too; openvswitch looks at the ufid alone and keeps
 * the old one (ovs_flow_cmd_set(), net/openvswitch/datapath.c).
 */
export type PutMode = 'create' | 'modify' | 'upsert'

export interface PutOp extends FlowSpec {
  readonly op: 'put'
  /** `create` when left out. */
  readonly mode?: PutMode
  /** With `modify` and `upsert`: counters start again at 0. */
  readonly zeroStats?: boolean
  /** Asks for `stats` in the result; a flow that changes then costs a reply more. */
  readonly stats?: boolean
  /**
   * Asks for `offloaded` in the result: the flow is read back once it is put. That costs a question and an answer more, so ask with a few
   * puts out of many; of all flows `sweep` tells.
   */
  readonly confirm?: boolean
}

export interface DelOp {
  readonly op: 'del'
  readonly ufid?: Ufid
  /** Identifies the flow when there is no ufid, or none the kernel knows; its mask does not count. */
  readonly key?: FlowKey | string | Uint8Array
  /** Asks for `stats` in the result. */
  readonly stats?: boolean
}

export interface GetOp {
  readonly op: 'get'
  readonly ufid?: Ufid
  readonly key?: FlowKey | string | Uint8Array
}

/**
 * Sends one packet through actions, as a flow would: mostly the answer to an upcall, behind the put of the flow for those to come.
 *
 * ```ts
 * await dpif.operate([
 *   { op: 'put', key: upcall.rawKey, mask, actions },
 *   { op: 'execute', packet: upcall.packet, key: upcall.rawKey, actions },
 * ])
 * ```
 */
export interface ExecuteOp {
  readonly op: 'execute'
  /** From the Ethernet header on, 65,531 bytes at most. */
  readonly packet: Uint8Array
  /**
   * What does not stand in the packet: its port, tunnel, mark, conntrack state, recirc_id, hash. The rest of a whole key is passed over,
   * the kernel reads it from the packet; so is a mask. Left out, the packet is from no port.
   */
  readonly key?: FlowSpec['key']
  readonly actions: FlowSpec['actions']
  /** Of the upcall, for a packet that was put together from fragments: it is taken apart again for that size. */
  readonly mru?: number | undefined
  /** Of the upcall. */
  readonly hash?: bigint | undefined
  /** Keeps the kernel's log quiet about what it refuses. */
  readonly probe?: boolean
}

export type Op = PutOp | DelOp | GetOp | ExecuteOp

/**
 * A flow as a kernel holds it. Key, mask and actions are decoded when first looked at; flows that have a mask or actions in common may
 * share the object.
 */
export interface Flow {
  readonly ufid: Ufid
  /** False when the kernel stores none, and `ufid` was computed from the key. */
  readonly ufidPresent: boolean
  readonly key: FlowKey
  readonly mask: FlowKey
  readonly actions: readonly Action[]
  readonly stats: FlowStats
  readonly backend: BackendName
  /** True when a device has taken the flow (`in_hw`). */
  readonly offloaded: boolean
  /**
   * True when a device says that it has the flow, and software has counted packets of it all the same. A filter begins to count when it
   * is put, which is when the device takes it: so packets get past the device, or it has lost the flow.
   */
  readonly suspect: boolean
}

/** Why a backend did not take a flow. */
export interface Refusal extends Failure {
  readonly backend: BackendName
}

/** What became of one op. A failure is data: `error` is there exactly when the op did not do what it was asked. */
export interface OpResult {
  /** Empty when the op could not be read, and of `execute`, which is about no flow. */
  readonly ufid: Ufid
  /** Where the flow lives now (put, get) or lived (del). */
  readonly backend?: BackendName
  readonly error?: Failure
  /** The backends that were asked before the one that took the flow, each with its reason. */
  readonly declined?: readonly Refusal[]
  /** When asked for with `confirm`: whether a device has taken the flow (`in_hw`). */
  readonly offloaded?: boolean
  /** When asked for: counters before the op, which are zeros when created, and the last ones when deleted. */
  readonly stats?: FlowStats
  /** The flow, for a get. */
  readonly flow?: Flow
}

/**
 * The counters of many flows, column by column: entry `i` of each array is about the flow `i` of the page, up to `count`. The arrays are
 * used again for the next page.
 */
export interface CounterPage {
  readonly backend: BackendName
  readonly count: number
  /** Four words for each flow; see FlowId. */
  readonly ids: Int32Array
  readonly packets: BigUint64Array
  readonly bytes: BigUint64Array
  /**
   * When a packet last hit the flow: milliseconds on CLOCK_MONOTONIC, 0 for never.
   *
   * In TC it is when sweeps of this object last saw the counters move, or saw the flow first, and never 0: the last packet came no
   * later. A sweep carries no times of TC (tcf_action_dump_terse(), net/sched/act_api.c), so that is as exact as one sweeps often, and
   * begins anew with each object; for the kernel's own times there is `dump`. It costs 16 to 40 bytes a flow.
   */
  readonly used: Float64Array
  /** 1 when a device has taken the flow (`in_hw`), else 0. */
  readonly offloaded: Uint8Array
  /** Throws a RangeError when there is no such flow on the page. */
  ufid(index: number): Ufid
}

/** Which flows a dump yields, as `dpctl/dump-flows type=`; a flow passes if any of the named kinds fits. */
export type DumpType = 'ovs' | 'tc' | 'offloaded' | 'non-offloaded'

export interface DumpOptions {
  /**
   * Leaves out key, mask and actions: `flow.key` and `flow.mask` are then `{}`, `flow.actions` is `[]`. A flow without a ufid of its
   * own keeps its key, since nothing else names it.
   */
  readonly terse?: boolean
  /** All when left out or empty. */
  readonly types?: readonly DumpType[]
}
