import { u32 } from '../../netlink/integers.js'
import { flags } from '../../netlink/message.js'
import { filterFlags, flower } from '../../tc/flower.js'
import { filterInfo, prioAndProtocol, type TcHeader, tcMessage, types } from '../../tc/message.js'
import type { Span } from './attributes.js'
import { type Block, Classifier, type Filter } from './block.js'
import { textOf } from './datapath.js'
import type { Device } from './devices.js'
import { notSimulated, refuse } from './errors.js'
import { putFlower, readFlower, readOptions } from './flower-key.js'
import type { Qdiscs } from './qdisc.js'
import { frame, nest } from './request.js'
import type { State } from './state.js'
import { type KernelAction, putActions, readActions, targetsOf } from './tc-actions.js'

// TCA_*.
const attr = { KIND: 1, OPTIONS: 2, CHAIN: 11, DUMP_FLAGS: 15 } as const

/** Kinds of classifiers a real kernel has beside flower. */
const otherKinds = ['basic', 'bpf', 'cgroup', 'flow', 'fw', 'matchall', 'route', 'u32']

/** A message about filters, parsed. */
export interface FilterRequest {
  readonly header: TcHeader
  readonly attributes: ReadonlyMap<number, Span>
  readonly flags: number
  /** Where the message begins in its buffer, for offsets. */
  readonly origin: number
}

/** RTM_NEWTFILTER, RTM_DELTFILTER and RTM_GETTFILTER for flower (net/sched/cls_api.c, cls_flower.c). */
export class Filters {
  readonly #state: State
  readonly #qdiscs: Qdiscs
  readonly #hasFlower: boolean
  /** Attributes of flower this kernel does not know yet. */
  readonly #unknown: ReadonlySet<number>

  constructor(state: State, qdiscs: Qdiscs, hasFlower: boolean, unknown: ReadonlySet<number>) {
    this.#unknown = unknown
    this.#state = state
    this.#qdiscs = qdiscs
    this.#hasFlower = hasFlower
  }

  /** tc_new_tfilter(). Returns what an echo says. */
  create(request: FilterRequest): Uint8Array {
    const { header, attributes, flags: messageFlags, origin } = request
    const { prio: wanted, protocol } = prioAndProtocol(header.info ?? 0)
    const creates = (messageFlags & flags.CREATE) !== 0
    if (wanted === 0 && !creates) refuse('ENOENT', 'Invalid filter command with priority of zero')
    const block = this.#blockOf(header)
    const kind = kindOf(attributes)
    const chain = chainOf(attributes)
    const automatic = wanted === 0
    let classifier = findClassifier(block, chain, automatic ? 0x8000 : wanted, protocol, automatic)
    let fresh = false
    if (classifier === undefined) {
      if (kind === undefined || protocol === 0) refuse('EINVAL', 'Filter kind and protocol must be specified')
      if (!creates) refuse('ENOENT', NEEDS_CREATE)
      const prio = automatic ? automaticPrio(block, chain) : wanted
      if (kind !== 'flower' || !this.#hasFlower) {
        if (otherKinds.includes(kind)) notSimulated(`cls_${kind}`)
        refuse('ENOENT', 'TC classifier not found')
      }
      classifier = new Classifier(prio, protocol)
      fresh = true
    }
    if (kind !== undefined && kind !== classifier.kind) refuse('EINVAL', KIND_MISMATCH)
    const old = classifier.get(header.handle ?? 0)
    if (old === undefined && !creates) refuse('ENOENT', NEEDS_CREATE)
    if (old !== undefined && messageFlags & flags.EXCL) refuse('EEXIST', 'Filter already exists')
    const filter = this.#make(block, classifier, header.handle ?? 0, old, attributes, origin)
    if (old !== undefined) {
      block.release(old)
      classifier.remove(old)
    }
    classifier.insert(filter)
    if (fresh) block.add(chain, classifier)
    return this.#write(request.header, chain, classifier, filter, types.NEWTFILTER, 0, false)
  }

  /** fl_change(): flags, actions, match, mask, twin, hardware; in this order. */
  #make(
    block: Block,
    classifier: Classifier,
    wanted: number,
    old: Filter | undefined,
    attributes: ReadonlyMap<number, Span>,
    origin: number,
  ): Filter {
    const nested = attributes.get(attr.OPTIONS) ?? refuse('EINVAL')
    const options = readOptions(nested, origin, this.#unknown)
    const flagSpan = options.get(22)
    const given = flagSpan === undefined ? 0 : u32.take(flagSpan.bytes, flagSpan.start)
    const skips = given & (filterFlags.SKIP_HW | filterFlags.SKIP_SW)
    if (given & ~(3 | VERBOSE) || skips === 3) refuse('EINVAL')
    const handle = wanted || classifier.freeHandle()
    const actions = readActions(options.get(3), skips, this.#state)
    const match = readFlower(options)
    // A filter keeps its mask for life (fl_check_assign_mask()).
    if (old !== undefined && old.match.mask.some((byte, at) => byte !== match.mask[at])) refuse('EINVAL')
    if (old === undefined && classifier.twin(match) !== undefined) refuse('EEXIST')
    const placed = offload(block, skips, old, this.#strangers(block, actions))
    return { handle, match, actions, flags: given | placed }
  }

  /** Whether the actions lead to ports the e-switch of the block's device does not have. */
  #strangers({ device }: Block, actions: readonly KernelAction[]): boolean {
    const { devices } = this.#state
    return (
      device.switchId !== undefined &&
      targetsOf(actions).some((target) => devices.byIndex(target)?.switchId !== device.switchId)
    )
  }

  /** tc_del_tfilter(). */
  remove({ header, attributes }: FilterRequest): Uint8Array | undefined {
    const { prio, protocol } = prioAndProtocol(header.info ?? 0)
    const kind = kindOf(attributes)
    if (prio === 0 && (protocol !== 0 || header.handle || kind !== undefined))
      refuse('ENOENT', 'Cannot flush filters with protocol, handle or kind set')
    const block = this.#blockOf(header)
    const chain = chainOf(attributes)
    if (block.chain(chain) === undefined) {
      if (prio === 0) return undefined
      refuse('ENOENT', 'Cannot find specified filter chain')
    }
    if (prio === 0) {
      block.flush(chain)
      return undefined
    }
    const classifier = findClassifier(block, chain, prio, protocol) ?? refuse('ENOENT', NO_CLASSIFIER)
    if (kind !== undefined && kind !== classifier.kind) refuse('EINVAL', KIND_MISMATCH)
    if (!header.handle) {
      block.drop(chain, classifier)
      return this.#write(header, chain, classifier, undefined, types.DELTFILTER, 0, false)
    }
    const filter = classifier.get(header.handle) ?? refuse('ENOENT', NO_HANDLE)
    const echo = this.#write(header, chain, classifier, filter, types.DELTFILTER, 0, false)
    block.release(filter)
    classifier.remove(filter)
    if (classifier.size === 0) block.drop(chain, classifier)
    return echo
  }

  /** tc_ctl_chain(); templates are not simulated. */
  makeChain({ header, attributes, flags: messageFlags }: FilterRequest): void {
    if (attributes.has(attr.KIND)) notSimulated('a template of a chain')
    const block = this.#blockOf(header)
    const chain = chainOf(attributes)
    if (block.has(chain)) refuse('EEXIST', 'Filter chain already exists')
    if (!(messageFlags & flags.CREATE))
      refuse('ENOENT', 'Need both RTM_NEWCHAIN and NLM_F_CREATE to create a new chain')
    block.make(chain)
  }

  /** tc_ctl_chain(). */
  getChain({ header, attributes }: FilterRequest): Uint8Array {
    const block = this.#blockOf(header)
    const chain = chainOf(attributes)
    if (!block.has(chain)) refuse('EINVAL', 'Cannot find specified filter chain')
    return frame(types.NEWCHAIN, 0, (writer) => {
      tcMessage.header.write(writer, { ifindex: header.ifindex, parent: header.parent ?? 0 })
      tcMessage.body.write(writer, { chain })
    })
  }

  /** tc_get_tfilter(). */
  get({ header, attributes }: FilterRequest): Uint8Array {
    const { prio, protocol } = prioAndProtocol(header.info ?? 0)
    if (prio === 0) refuse('ENOENT', 'Invalid filter command with priority of zero')
    const block = this.#blockOf(header)
    const chain = chainOf(attributes)
    // A deletion calls this ENOENT.
    if (block.chain(chain) === undefined) refuse('EINVAL', 'Cannot find specified filter chain')
    const classifier = findClassifier(block, chain, prio, protocol) ?? refuse('ENOENT', NO_CLASSIFIER)
    const kind = kindOf(attributes)
    if (kind !== undefined && kind !== classifier.kind) refuse('EINVAL', KIND_MISMATCH)
    const filter = classifier.get(header.handle ?? 0) ?? refuse('ENOENT', NO_HANDLE)
    return this.#write(header, chain, classifier, filter, types.NEWTFILTER, 0, false)
  }

  /** tc_dump_tfilter(): no device, no qdisc or no filter all make an empty dump. */
  *dump({ header, attributes }: Pick<FilterRequest, 'header' | 'attributes'>): Generator<Uint8Array> {
    const qdisc = this.#qdiscs.on(header.ifindex)
    if (qdisc === undefined || (header.parent ?? 0) >>> 16 !== 0xffff) return
    const block = header.parent === CLSACT_EGRESS && qdisc.kind === 'clsact' ? qdisc.egress : qdisc.ingress
    const dumpFlags = attributes.get(attr.DUMP_FLAGS)
    const terse = dumpFlags !== undefined && (u32.take(dumpFlags.bytes, dumpFlags.start) & 1) !== 0
    const { prio, protocol } = prioAndProtocol(header.info ?? 0)
    for (const [chain, classifiers] of block.chains()) {
      if (attributes.has(attr.CHAIN) && chainOf(attributes) !== chain) continue
      for (const classifier of classifiers) {
        if ((prio !== 0 && classifier.prio !== prio) || (protocol !== 0 && classifier.protocol !== protocol))
          continue
        // Every priority is introduced by a record of its own.
        yield this.#write(header, chain, classifier, undefined, types.NEWTFILTER, flags.MULTI, terse)
        for (const filter of classifier.all()) {
          if (classifier.get(filter.handle) === filter)
            yield this.#write(header, chain, classifier, filter, types.NEWTFILTER, flags.MULTI, terse)
        }
      }
    }
  }

  #blockOf({ ifindex, parent = 0 }: TcHeader): Block {
    if (ifindex === -1) notSimulated('shared filter blocks')
    if (this.#state.devices.byIndex(ifindex) === undefined) refuse('ENODEV')
    if (parent === 0) refuse('EINVAL', 'Qdisc not classful')
    const qdisc = parent >>> 16 === 0xffff ? this.#qdiscs.on(ifindex) : undefined
    if (qdisc === undefined) refuse('EINVAL', "Parent Qdisc doesn't exists")
    if (qdisc.kind === 'ingress') return qdisc.ingress
    if (parent === CLSACT_EGRESS) return qdisc.egress
    return parent === CLSACT_INGRESS ? qdisc.ingress : refuse('ENOENT', "Specified class doesn't exist")
  }

  /** tcf_fill_node(), and in it fl_dump() or fl_terse_dump(). */
  #write(
    { ifindex, parent = 0 }: TcHeader,
    chain: number,
    { prio, protocol, kind }: Classifier,
    filter: Filter | undefined,
    type: number,
    messageFlags: number,
    terse: boolean,
  ): Uint8Array {
    return frame(type, messageFlags, (writer) => {
      const info = filterInfo(prio, protocol)
      tcMessage.header.write(writer, { ifindex, handle: filter?.handle ?? 0, parent, info })
      tcMessage.body.write(writer, { kind })
      tcMessage.body.write(writer, { chain })
      if (filter === undefined) return
      nest(writer, attr.OPTIONS, () => {
        const offloaded = (filter.flags & filterFlags.IN_HW) !== 0
        if (!terse) putFlower(writer, filter.match)
        flower.write(writer, { flags: filter.flags })
        if (!terse) flower.write(writer, { inHwCount: offloaded ? 1 : 0 })
        if (filter.actions.length === 0) return
        const now = this.#state.now()
        nest(writer, 3, () => putActions(writer, filter.actions, { now, terse, offloaded }))
      })
    })
  }
}

const NEEDS_CREATE = 'Need both RTM_NEWTFILTER and NLM_F_CREATE to create a new filter'
const KIND_MISMATCH = 'Specified filter kind does not match existing one'
const NO_CLASSIFIER = 'Filter with specified priority/protocol not found'
const NO_HANDLE = 'Specified filter handle not found'
const VERBOSE = 16
const CLSACT_INGRESS = 0xfffffff2
const CLSACT_EGRESS = 0xfffffff3

function kindOf(attributes: ReadonlyMap<number, Span>): string | undefined {
  const span = attributes.get(attr.KIND)
  const kind = span && textOf(span)
  if (kind !== undefined && kind.length > 15) refuse('EINVAL', 'Specified TC filter name too long')
  return kind
}

function chainOf(attributes: ReadonlyMap<number, Span>): number {
  const span = attributes.get(attr.CHAIN)
  const chain = span === undefined ? 0 : u32.take(span.bytes, span.start)
  return chain <= 0x0fffffff ? chain : refuse('EINVAL', 'Specified chain index exceeds upper limit')
}

/** tcf_chain_tp_find(): a priority is taken by one protocol; 0 stands for whichever it is. */
function findClassifier(
  block: Block,
  chain: number,
  prio: number,
  protocol: number,
  automatic = false,
): Classifier | undefined {
  const found = block.chain(chain)?.find((classifier) => classifier.prio === prio)
  if (found !== undefined && (automatic || (protocol !== 0 && found.protocol !== protocol)))
    refuse('EINVAL', NO_CLASSIFIER)
  return found
}

/** tcf_auto_prio(): one above the lowest of the automatic ones, which begin at 0xc000. */
function automaticPrio(block: Block, chain: number): number {
  const next = block.chain(chain)?.find(({ prio }) => prio > 0x8000)
  return next === undefined ? 0xc000 : next.prio - 1
}

/** fl_hw_replace_filter(): in hardware if there is some and it has room; an error only for those that can be nowhere else. */
function offload({ device }: Block, skips: number, old: Filter | undefined, strangers: boolean): number {
  const table = device.offload
  const only = (skips & filterFlags.SKIP_SW) !== 0
  if (skips & filterFlags.SKIP_HW) return filterFlags.NOT_IN_HW
  if (table === undefined) {
    if (only) refuse('EOPNOTSUPP')
    return filterFlags.NOT_IN_HW
  }
  const objection = objectionOf(device, strangers)
  if (objection !== undefined) {
    if (only) refuse('EOPNOTSUPP', objection)
    return filterFlags.NOT_IN_HW
  }
  const mine = old !== undefined && old.flags & filterFlags.IN_HW ? 1 : 0
  if (table.used - mine >= table.capacity) {
    if (only) refuse('ENOSPC', 'simulated: the flow table of the device is full')
    return filterFlags.NOT_IN_HW
  }
  table.used++
  device.rules++
  return filterFlags.IN_HW
}

/** What a driver has against any filter, in the words of tc_can_offload_extack(), or in our own. */
function objectionOf({ hwTcOffload }: Device, strangers: boolean): string | undefined {
  if (hwTcOffload === 'off' || hwTcOffload === 'absent') return 'TC offload is disabled on net device'
  return strangers ? 'simulated: cannot send to a port that is not of this e-switch' : undefined
}
