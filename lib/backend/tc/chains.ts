import type { FlowWords } from '../../../types/flow.js'
import { UfidTable } from '../../memory/ufid-table.js'

/** A flow that sends packets to other chains of its port, on its way to the kernel. */
export interface Jump {
  readonly flow: FlowWords
  readonly ifindex: number
  /** At most {@link MAX_TARGETS}, none of them 0. */
  readonly targets: readonly number[]
  /** The kernel refused it; what the flow did before still holds. */
  refused: boolean
}

/** The two branches of a check_pkt_len. */
const MAX_TARGETS = 2

/**
 * Which chains of which ports packets are sent to.
 *
 * A filter in a chain that no filter jumps to sees no packet, while openvswitch would show the flow to packets that openvswitch itself
 * recirculates. So a flow is put into a chain only behind one that leads there, and only once the kernel has taken that one.
 */
export class Chains {
  // Three words a flow: ifindex, and the chains it jumps to.
  readonly #byFlow = new UfidTable(1 + MAX_TARGETS)
  /** How many flows jump to a chain of a port. */
  readonly #reached = new Counts()
  /** How many are under way. */
  readonly #expected = new Counts()
  /** The ports whose filters of other processes were looked at. */
  readonly #known = new Set<number>()

  /** How often a flow was found to jump somewhere. */
  news = 0

  /** Whether packets get to a chain; `expected` when that hangs on an answer of the kernel, `unknown` when nobody has looked. */
  state(ifindex: number, chain: number): 'reached' | 'expected' | 'unknown' | 'unreached' {
    if (chain === 0 || this.#reached.has(ifindex, chain)) return 'reached'
    if (this.#expected.has(ifindex, chain)) return 'expected'
    return this.#known.has(ifindex) ? 'unreached' : 'unknown'
  }

  /** A flow is asked for. Answers what {@link settle} wants to see again. */
  expect(flow: FlowWords, ifindex: number, targets: readonly number[]): Jump {
    for (const chain of targets) this.#expected.add(ifindex, chain, 1)
    return { flow, ifindex, targets, refused: false }
  }

  /** The kernel has answered. */
  settle(jump: Jump): void {
    for (const chain of jump.targets) this.#expected.add(jump.ifindex, chain, -1)
    if (!jump.refused) this.set(jump.flow, jump.ifindex, jump.targets)
  }

  /** A flow does this, and no more what it did before. */
  set(flow: FlowWords, ifindex: number, targets: readonly number[]): void {
    this.forget(flow)
    if (targets.length === 0) return
    this.news++
    const at = this.#byFlow.insert(flow)
    this.#byFlow.setWord(at, 0, ifindex)
    targets.slice(0, MAX_TARGETS).forEach((chain, index) => {
      this.#byFlow.setWord(at, 1 + index, chain)
      this.#reached.add(ifindex, chain, 1)
    })
  }

  /** The chains a flow leads to. */
  targets(flow: FlowWords): readonly number[] {
    const at = this.#byFlow.size === 0 ? -1 : this.#byFlow.find(flow)
    if (at < 0) return []
    const chains = Array.from({ length: MAX_TARGETS }, (_, index) => this.#byFlow.word(at, 1 + index))
    return chains.filter((chain) => chain !== 0)
  }

  forget(flow: FlowWords): void {
    if (this.#byFlow.size === 0) return
    const at = this.#byFlow.find(flow)
    if (at < 0) return
    const ifindex = this.#byFlow.word(at, 0)
    for (let index = 1; index <= MAX_TARGETS; index++) {
      const chain = this.#byFlow.word(at, index)
      if (chain !== 0) this.#reached.add(ifindex, chain, -1)
    }
    this.#byFlow.remove(at)
  }

  /** What other processes have put on a port is known from now on. */
  learned(ifindex: number): void {
    this.#known.add(ifindex)
  }

  /** Forgets the ports that are not among `ifindexes`. */
  keep(ifindexes: ReadonlySet<number>): void {
    const gone: FlowWords[] = []
    this.#byFlow.each((flow, at) => {
      if (!ifindexes.has(this.#byFlow.word(at, 0))) gone.push(flow)
    })
    for (const flow of gone) this.forget(flow)
    for (const ifindex of this.#known) if (!ifindexes.has(ifindex)) this.#known.delete(ifindex)
  }
}

/** Numbers by port and chain. */
class Counts {
  readonly #ports = new Map<number, Map<number, number>>()

  has(ifindex: number, chain: number): boolean {
    return this.#ports.get(ifindex)?.has(chain) ?? false
  }

  add(ifindex: number, chain: number, more: number): void {
    const chains = this.#ports.get(ifindex) ?? new Map<number, number>()
    const count = (chains.get(chain) ?? 0) + more
    if (count === 0) chains.delete(chain)
    else chains.set(chain, count)
    if (chains.size === 0) this.#ports.delete(ifindex)
    else this.#ports.set(ifindex, chains)
  }
}
