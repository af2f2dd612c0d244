import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import type { Action } from '../../../types/action.js'
import type { Dpif } from '../../../types/dpif.js'
import type { ErrorCode } from '../../../types/errors.js'
import type { FlowKey } from '../../../types/flow.js'
import type { BackendName, DumpOptions, Flow, FlowSpec, OpResult } from '../../../types/op.js'
import type { Choice, Policy } from '../../../types/policy.js'
import type { Transport } from '../../../types/transport.js'
import { openDpif } from '../../index.js'
import { exactMask } from '../../ovs/view.js'
import type { ConformanceKernel } from '../conformance.js'

/** One case, and what it is tried on. */
export interface Case {
  readonly name: string
  readonly run: (lab: Lab) => Promise<void>
}

/** The places a flow can live in, for cases that are there once for each. */
export const backends: readonly BackendName[] = ['ovs', 'tc']
export const other = (backend: BackendName): BackendName => (backend === 'ovs' ? 'tc' : 'ovs')

/** The datapath of one case, and the objects opened on it. */
export class Lab {
  readonly #kernel: ConformanceKernel
  readonly #open: Dpif[] = []
  /** Numbers of the first three ports. */
  readonly ports: readonly [number, number, number]

  constructor(kernel: ConformanceKernel) {
    this.#kernel = kernel
    const [one, two, three] = kernel.ports
    assert(one && two && three, 'a case needs three ports')
    this.ports = [one.number, two.number, three.number]
  }

  get transport(): Transport {
    return this.#kernel.transport
  }

  /** A new look at the datapath, as another process would have it. */
  async open(policy: Policy): Promise<Dpif> {
    const dpif = await openDpif({ transport: this.transport, datapath: this.#kernel.datapath, policy })
    this.#open.push(dpif)
    return dpif
  }

  /** Opened so that every flow goes to one backend. */
  only(backend: BackendName): Promise<Dpif> {
    return this.open(to(backend))
  }

  send(port: number, frame: Uint8Array, count: number): Promise<void> {
    return this.#kernel.send(port, frame, count)
  }

  async dispose(): Promise<void> {
    for (const dpif of this.#open) await dpif.close()
    await this.#kernel.dispose()
  }

  /** A match on the first port that both backends carry; a different one for every number. */
  key(number = 1, port = this.ports[0]): string {
    const address = `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`
    return `recirc_id(0),in_port(${port}),eth(),eth_type(0x0800),ipv4(dst=${address},frag=no)`
  }

  /** A flow with that match that goes out of the second port. */
  flow(number = 1): FlowSpec & { readonly key: string } {
    return { key: this.key(number), actions: `${this.ports[1]}` }
  }

  /** A frame that {@link flow} of the same number matches: 20 bytes of UDP in IPv4 behind 14 of Ethernet, padded to 60. */
  frame(number = 1): Uint8Array {
    const ip = [0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 10, number >> 16, number >> 8, number]
    const sum = ip.reduce(
      (total, byte, index) => total + (index % 2 === 0 ? (byte & 255) << 8 : byte & 255),
      0,
    )
    const check = ~((sum & 0xffff) + (sum >>> 16)) & 0xffff
    ip[10] = check >> 8
    ip[11] = check & 255
    const udp = [0x12, 0x34, 0x56, 0x78, 0, 26, 0, 0]
    const frame = new Uint8Array(60)
    frame.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, ...ip, ...udp])
    return frame
  }
}

/** A policy that names these backends, in this order. */
export function to(...choices: readonly (BackendName | Choice)[]): Policy {
  const placement = {
    choices: choices.map((choice) => (typeof choice === 'string' ? { backend: choice } : choice)),
    reason: 'the case wants it so',
  }
  return { name: 'to', place: () => placement }
}

/** A policy whose mind can be changed. */
export function steering(start: readonly BackendName[]): {
  policy: Policy
  to(...names: BackendName[]): void
} {
  let policy = to(...start)
  return {
    policy: { name: 'steering', place: (put, facts) => policy.place(put, facts) },
    to: (...names) => {
      policy = to(...names)
    },
  }
}

/** The result of an op that did what it was asked. */
export function ok(result: OpResult | undefined, backend?: BackendName): OpResult {
  assert(result !== undefined, 'the op has no result')
  assert.equal(result.error, undefined, `refused: ${result.error?.message}`)
  if (backend !== undefined) assert.equal(result.backend, backend)
  return result
}

/** The failure of an op that did not. */
export function refused(result: OpResult | undefined, code: ErrorCode): NonNullable<OpResult['error']> {
  assert(result !== undefined, 'the op has no result')
  assert(result.error !== undefined, `expected ${code}, but it went to ${result.backend}`)
  assert.equal(result.error.code, code, result.error.message)
  assert(result.error.message.length > 0)
  return result.error
}

export async function collect(dpif: Dpif, options?: DumpOptions): Promise<Flow[]> {
  const flows: Flow[] = []
  for await (const flow of dpif.dump(options)) flows.push(flow)
  return flows
}

/** Where every flow lives: `{ ufid: backend }`. Each is dumped once. */
export async function homes(dpif: Dpif, options?: DumpOptions): Promise<Record<string, BackendName>> {
  const flows = await collect(dpif, options)
  const found = Object.fromEntries(flows.map(({ ufid, backend }) => [ufid, backend]))
  assert.equal(Object.keys(found).length, flows.length, 'a flow is dumped twice')
  return found
}

/** Asks again until `check` is content, and fails with what it last saw. */
export async function eventually<T>(ask: () => Promise<T>, check: (seen: T) => boolean): Promise<T> {
  const until = Date.now() + PATIENCE_MS
  for (;;) {
    const seen = await ask()
    if (check(seen)) return seen
    if (Date.now() > until) {
      const text = JSON.stringify(seen, (_, value) => (typeof value === 'bigint' ? `${value}n` : value))
      assert.fail(`waited in vain; last seen: ${text}`)
    }
    await delay(5)
  }
}

/** A slow machine under emulation is still much faster than this. */
const PATIENCE_MS = 10_000

/** Waits until the flow has counted that many packets. */
export async function counted(dpif: Dpif, flow: { ufid: string }, packets: bigint): Promise<OpResult> {
  return eventually(
    () => dpif.get({ ufid: flow.ufid }),
    (seen) => seen.stats?.packets === packets,
  )
}

/**
 * What a match is about: every part with a bit that counts, as `value/mask`. Kernels report parts nobody asked for, with a mask of
 * zero, and each reports others.
 */
export function significant(key: FlowKey, mask: FlowKey, path = ''): Record<string, string> {
  const found: Record<string, string> = {}
  for (const [name, bits] of Object.entries(mask)) {
    const value = (key as Record<string, unknown>)[name]
    if (name === 'unknown') continue
    if (path.endsWith('arp.') && name === 'op') {
      // Kernels keep a byte of it: openvswitch in ip.proto of its key (ovs_key_from_nlattrs()), flower in arp.op.
      if (Number(bits) & 0xff) found[`${path}op`] = `${value}/${Number(bits) & 0xff}`
      continue
    }
    if (typeof bits === 'object') Object.assign(found, significant(value ?? {}, bits, `${path}${name}.`))
    else if (!/^[0:.]*$/.test(String(bits))) found[`${path}${name}`] = `${value}/${bits}`
  }
  return found
}

/** Actions such that equal ones are alike however a kernel spells them. */
export function plainActions(actions: readonly Action[]): unknown[] {
  return actions.map((action) => {
    if (action.pushVlan !== undefined)
      return { pushVlan: { tpid: 0x8100, vid: 0, pcp: 0, cfi: 1, ...action.pushVlan } }
    // Bits that are all written are a whole header to openvswitch, and bits to TC.
    const { set, setMasked = set && { key: set, mask: exactMask(set) } } = action
    return setMasked === undefined ? action : { set: significant(setMasked.key, setMasked.mask) }
  })
}

/** What people see of a flow, without counters. */
export function plain(flow: Pick<Flow, 'key' | 'mask' | 'actions'>): unknown {
  return { match: significant(flow.key, flow.mask), actions: plainActions(flow.actions) }
}
