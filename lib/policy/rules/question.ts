import type { FlowKey } from '../../../types/flow.js'
import type { Facts, PolicyPut } from '../../../types/policy.js'
import type { Port } from '../../../types/port.js'
import { ipv4, ipv6 } from '../../netlink/addresses.js'
import { kindsOf } from '../action-kinds.js'
import type { Labels } from '../labels.js'

/** Which addresses a flow has: 4, 6, none (0), or it does not say (-1). */
export type AddressFamily = 4 | 6 | 0 | -1

export const IPV4 = 0x0800
export const IPV6 = 0x86dd

/** An address with the bits that count, as words; which bytes make a word does not matter as long as all agree. */
export interface MaskedAddress {
  readonly value: Int32Array
  readonly mask: Int32Array
}

/**
 * What rules want to know of one flow, each found out once. There is one of it, used again for every decision: nothing is made for a
 * flow.
 */
export class Question {
  put!: PolicyPut
  facts!: Facts
  /** Key and mask behind tags. */
  key!: FlowKey
  mask!: FlowKey
  #port: Port | undefined
  #portKnown = false
  #kinds = UNKNOWN
  #label: number | undefined
  #labelKnown = false
  #sourceKnown = false
  #destinationKnown = false
  readonly #source = new Address()
  readonly #destination = new Address()
  readonly #labels: Labels

  constructor(labels: Labels) {
    this.#labels = labels
  }

  about(put: PolicyPut, facts: Facts): this {
    this.put = put
    this.facts = facts
    let { key, mask } = put
    while (key.encap !== undefined) {
      key = key.encap
      mask = mask.encap ?? nothing
    }
    this.key = key
    this.mask = mask
    this.#portKnown = false
    this.#kinds = UNKNOWN
    this.#labelKnown = false
    this.#sourceKnown = false
    this.#destinationKnown = false
    return this
  }

  /** Lets go of the flow. */
  done(): void {
    this.put = nobody
    this.key = nothing
    this.mask = nothing
    this.#port = undefined
  }

  /** The port packets come in through. */
  get port(): Port | undefined {
    if (!this.#portKnown) {
      const { inPort } = this.put.key
      this.#port = inPort === undefined ? undefined : this.facts.port(inPort)
      this.#portKnown = true
    }
    return this.#port
  }

  get kinds(): number {
    if (this.#kinds === UNKNOWN) this.#kinds = kindsOf(this.put.actions)
    return this.#kinds
  }

  /** The number of the tenant. */
  get tenant(): number | undefined {
    if (!this.#labelKnown) {
      this.#label = this.#labels.ofFlow(this.put, this.facts)
      this.#labelKnown = true
    }
    return this.#label
  }

  get family(): AddressFamily {
    if (this.key.ipv4 !== undefined) return 4
    if (this.key.ipv6 !== undefined) return 6
    if ((this.mask.etherType ?? 0) !== 0xffff) return -1
    return this.key.etherType === IPV4 ? 4 : this.key.etherType === IPV6 ? 6 : 0
  }

  get protocol(): number | undefined {
    return this.key.ipv6 === undefined ? this.key.ipv4?.proto : this.key.ipv6.proto
  }

  get protocolMask(): number | undefined {
    return this.key.ipv6 === undefined ? this.mask.ipv4?.proto : this.mask.ipv6?.proto
  }

  get source(): MaskedAddress {
    if (!this.#sourceKnown) {
      const { key, mask } = this
      if (key.ipv4 !== undefined) this.#source.set4(key.ipv4.src, mask.ipv4?.src)
      else this.#source.set6(key.ipv6?.src, mask.ipv6?.src)
      this.#sourceKnown = true
    }
    return this.#source
  }

  get destination(): MaskedAddress {
    if (!this.#destinationKnown) {
      const { key, mask } = this
      if (key.ipv4 !== undefined) this.#destination.set4(key.ipv4.dst, mask.ipv4?.dst)
      else this.#destination.set6(key.ipv6?.dst, mask.ipv6?.dst)
      this.#destinationKnown = true
    }
    return this.#destination
  }
}

const UNKNOWN = -1
const nothing: FlowKey = {}
const nobody: PolicyPut = { ufid: '', mode: 'create', key: nothing, mask: nothing, actions: [] }

/** An address of either family and its mask. */
class Address implements MaskedAddress {
  readonly value = new Int32Array(4)
  readonly mask = new Int32Array(4)
  readonly #valueBytes = new Uint8Array(this.value.buffer)
  readonly #maskBytes = new Uint8Array(this.mask.buffer)

  #maskText: string | undefined

  /** What is left out of a key is 0, and of a mask does not count. */
  set4(value: string | undefined, mask = ipv4.zero): void {
    ipv4.put(this.#valueBytes, 0, value ?? ipv4.zero)
    if (mask === this.#maskText) return
    ipv4.put(this.#maskBytes, 0, mask)
    this.#maskText = mask
  }

  set6(value: string | undefined, mask = ipv6.zero): void {
    ipv6.put(this.#valueBytes, 0, value ?? ipv6.zero)
    // Most masks are those of the flow before.
    if (mask === this.#maskText) return
    ipv6.put(this.#maskBytes, 0, mask)
    this.#maskText = mask
  }
}
