import type { Action } from '../../types/action.js'
import type { FlowView, RawFlow } from '../../types/backend.js'
import type { Failure } from '../../types/errors.js'
import type { FlowId, FlowKey, Ufid } from '../../types/flow.js'
import type { FlowSpec, PutMode } from '../../types/op.js'
import { DpifError } from '../errors.js'
import { u32 } from '../netlink/integers.js'
import { AttributeCursor } from '../netlink/reader.js'
import { Writer } from '../netlink/writer.js'
import { actionList } from './action.js'
import { exactMask } from './exact-mask.js'
import { flowKey } from './key.js'
import { parseActions, parseKey } from './text.js'
import { ParsedUfid, readUfid, ufidOfKey, ufidWords } from './ufid.js'

export { exactMask } from './exact-mask.js'

/** What identifies a flow: its ufid, or its key in any spelling. */
export interface Identified {
  readonly ufid?: Ufid
  readonly key?: FlowSpec['key']
}

/** The typed key of any spelling, and the mask and ufid a text may hold. Throws SYNTAX, BAD_MESSAGE or a TypeError. */
export function readKey(key: FlowSpec['key']): { key: FlowKey; mask?: FlowKey; ufid?: Ufid } {
  if (typeof key === 'string') return parseKey(key)
  if (key instanceof Uint8Array) return { key: flowKey.read(key, 0, key.length) }
  if (typeof key !== 'object' || key === null)
    throw new TypeError(`a flow's key is an object, text or raw bytes, not ${key}`)
  return { key }
}

const scratch = new Writer(512)

/** The ufid that belongs to a key: the same for the same key in every process, whatever its spelling. */
export function ufidFor(key: FlowKey): Ufid {
  scratch.truncate(0)
  flowKey.write(scratch, key)
  return ufidOfKey(scratch.view())
}

/** Ufid and typed key of what an op names. Throws a TypeError when it names nothing. */
export function identify(op: Identified): { readonly id: FlowId; readonly key?: FlowKey } {
  if (op.key === undefined) {
    if (op.ufid === undefined)
      throw new TypeError('an op needs a ufid or a key to say which flow it is about')
    return { id: new ParsedUfid(op.ufid) }
  }
  const { key, ufid = op.ufid } = readKey(op.key)
  return { id: new ParsedUfid(ufid ?? ufidFor(key)), key }
}

/** A flow in any spelling, as every room below wants to look at it. Throws SYNTAX, BAD_MESSAGE or a TypeError. */
export function viewOf(spec: FlowSpec, mode: PutMode): FlowView {
  const { key, mask, actions, ufid } = spec
  if (typeof key === 'string') {
    if (mask !== undefined) throw new TypeError('a key in text form brings its own mask; leave out `mask`')
    const parsed = parseKey(key)
    return new TypedView(parsed.ufid ?? ufid, mode, parsed.key, parsed.mask, readActions(actions))
  }
  if (!(key instanceof Uint8Array)) {
    if (typeof key !== 'object' || key === null)
      throw new TypeError(`a flow's key is an object, text or raw bytes, not ${key}`)
    return new TypedView(ufid, mode, key, readMask(mask), readActions(actions))
  }
  if (actions instanceof Uint8Array && (mask === undefined || mask instanceof Uint8Array)) {
    return new RawView(mode, spec as RawSpec)
  }
  return new TypedView(ufid, mode, readKey(key).key, readMask(mask), readActions(actions))
}

function readMask(mask: FlowSpec['mask']): FlowKey | undefined {
  return mask instanceof Uint8Array ? flowKey.read(mask, 0, mask.length) : mask
}

/** The typed actions of any spelling. Throws as {@link readKey}. */
export function readActions(actions: FlowSpec['actions']): readonly Action[] {
  if (typeof actions === 'string') return parseActions(actions)
  if (actions instanceof Uint8Array) return actionList.read(actions, 0, actions.length)
  if (!Array.isArray(actions)) throw new TypeError("a flow's actions are a list, text or raw bytes")
  // Not every backend encodes every action, so what is none is found out here.
  for (const action of actions) actionList.rowOf(action)
  return actions
}

// A view is made for every put. Neither extends `ParsedUfid`: V8 calls the constructor of what a class extends, and never inlines it.

class TypedView implements FlowView {
  readonly ufid: Ufid
  readonly w0: number
  readonly w1: number
  readonly w2: number
  readonly w3: number
  readonly mode: PutMode
  readonly ufidGiven: boolean
  readonly key: FlowKey
  readonly mask: FlowKey
  readonly actions: readonly Action[]

  constructor(
    ufid: Ufid | undefined,
    mode: PutMode,
    key: FlowKey,
    mask: FlowKey | undefined,
    actions: readonly Action[],
  ) {
    this.ufid = readUfid(ufid ?? ufidFor(key))
    this.w0 = ufidWords[0] as number
    this.w1 = ufidWords[1] as number
    this.w2 = ufidWords[2] as number
    this.w3 = ufidWords[3] as number
    this.mode = mode
    this.ufidGiven = ufid !== undefined
    this.key = key
    this.mask = mask ?? exactMask(key)
    this.actions = actions
  }

  get inPort(): number | undefined {
    return this.key.inPort
  }

  get raw(): undefined {
    return undefined
  }
}

type RawSpec = RawFlow & Pick<FlowSpec, 'ufid'>

/** Raw attributes are decoded only for those who look, and sent as they are. */
class RawView implements FlowView {
  readonly ufid: Ufid
  readonly w0: number
  readonly w1: number
  readonly w2: number
  readonly w3: number
  readonly mode: PutMode
  readonly raw: RawFlow
  readonly ufidGiven: boolean
  #key: FlowKey | undefined
  #mask: FlowKey | undefined
  #actions: readonly Action[] | undefined

  constructor(mode: PutMode, spec: RawSpec) {
    this.ufid = readUfid(spec.ufid ?? ufidFor(flowKey.read(spec.key, 0, spec.key.length)))
    this.w0 = ufidWords[0] as number
    this.w1 = ufidWords[1] as number
    this.w2 = ufidWords[2] as number
    this.w3 = ufidWords[3] as number
    this.mode = mode
    this.raw = spec
    this.ufidGiven = spec.ufid !== undefined
  }

  get inPort(): number | undefined {
    const { key } = this.raw
    const attributes = new AttributeCursor(key, 0, key.length)
    try {
      if (!attributes.seek(flowKey.ids.inPort)) return undefined
      return attributes.end - attributes.start === 4 ? u32.take(key, attributes.start) : undefined
    } catch {
      // Whether these bytes are a key is said by whoever decodes them.
      return undefined
    }
  }

  get key(): FlowKey {
    this.#key ??= flowKey.read(this.raw.key, 0, this.raw.key.length)
    return this.#key
  }

  get mask(): FlowKey {
    const { mask } = this.raw
    this.#mask ??= mask === undefined ? exactMask(this.key) : flowKey.read(mask, 0, mask.length)
    return this.#mask
  }

  get actions(): readonly Action[] {
    this.#actions ??= actionList.read(this.raw.actions, 0, this.raw.actions.length)
    return this.#actions
  }
}

/** An error of the caller's, as the data a result carries. Rethrows what is none. */
export function inputFailure(error: unknown): Failure {
  // Plain data: the message of an Error does not survive a spread.
  if (error instanceof DpifError) return { ...error, code: error.code, message: error.message }
  if (error instanceof TypeError || error instanceof RangeError)
    return { code: 'SYNTAX', message: error.message, cause: error }
  throw error
}
