import { randomInt } from 'node:crypto'
import { flags } from '../../netlink/message.js'
import { type Feature, linux61, type Supports } from '../../tc/features.js'
import { types } from '../../tc/message.js'
import { type Probe, plain, probes } from '../../tc/probes.js'
import type { Answers, Batch } from './batch.js'
import { writeFilter } from './message.js'

/**
 * What the kernel has of what flower learned over the years. It is found out the first time a flow depends on it, on the port of that
 * flow, and remembered: filters are put into a chain nothing leads to, looked at and taken away, all in one batch.
 */
export class Features implements Supports {
  #found: Supports | undefined
  #isAsked = false
  /** Where it is to be found out. */
  #question: number | undefined
  /** Where no filter can be put; whoever tries is told why. */
  #barred: number | undefined

  /** `found` is what is known beforehand. */
  constructor(found?: Supports) {
    this.#found = found
  }

  /** As long as nothing was found out: what Linux 6.1 has, which is good enough to tell people. */
  has(feature: Feature): boolean {
    if (this.#found === undefined) this.#isAsked = true
    return (this.#found ?? linux61).has(feature)
  }

  /** Whether a kernel was asked, and could answer. */
  get isFound(): boolean {
    return this.#found !== undefined
  }

  /** Whether somebody wanted to know what is not known; then it is to be found out on this port. */
  isMissing(ifindex: number): boolean {
    if (this.#found !== undefined || !this.#isAsked || ifindex === this.#barred) return false
    this.#question ??= ifindex
    return true
  }

  /** The port to find it out on, if that is wanted. */
  get question(): number | undefined {
    return this.#question
  }

  /** Writes the filters that tell; the caller sees to the qdisc. Answers what reads the kernel's answers. */
  write(batch: Batch, ifindex: number): (answers: Answers) => void {
    // Another process may be asking the same at the same place.
    const chain = FIRST_CHAIN + randomInt(CHAINS)
    const ask = (probe: Probe, index: number) => {
      const asked = { ifindex, protocol: probe.protocol, prio: FIRST_PRIO + index, handle: 1, chain }
      return { probe, ...writeProbe(batch, asked, probe) }
    }
    const basis = ask(plain, 0)
    const asked = probes.map((probe, index) => ask(probe, index + 1))
    return (answers) => {
      this.#question = undefined
      if (!holds(basis, answers)) {
        this.#barred = ifindex
        return
      }
      const found = new Set(probes.map(({ feature }) => feature))
      asked.forEach((each, index) => {
        const feature = probes[index]?.feature
        if (feature !== undefined && !holds(each, answers)) found.delete(feature)
      })
      this.#found = found
    }
  }
}

/** The uppermost chains: openvswitch counts recirculation ids up from 1. */
const FIRST_CHAIN = 0x0fff0000
const CHAINS = 0x10000
const FIRST_PRIO = 1

interface Asked {
  readonly probe: Probe
  /** The numbers of the messages that ask for the filter, and for what became of it. */
  readonly create: number
  readonly get: number
}

function writeProbe(
  batch: Batch,
  id: Parameters<typeof writeFilter>[3],
  { write }: Probe,
): Pick<Asked, 'create' | 'get'> {
  const create = batch.add((writer) =>
    writeFilter(writer, types.NEWTFILTER, flags.CREATE | flags.EXCL, id, write),
  )
  const get = batch.add((writer) => writeFilter(writer, types.GETTFILTER, 0, id))
  batch.add((writer) => writeFilter(writer, types.DELTFILTER, 0, id))
  return { create, get }
}

function holds({ probe, create, get }: Asked, answers: Answers): boolean {
  if (probe.isRefused) return answers.failure(create) !== undefined
  const filter = answers.failure(create) === undefined ? answers.found(get) : undefined
  return filter !== undefined && probe.isProven(filter.body)
}
