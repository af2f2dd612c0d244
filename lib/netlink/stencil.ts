import type { Scalar } from './codec.js'
import { compileFill, type StencilFill } from './compile.js'

/** A value somewhere in an object, and where its bytes belong. */
export interface Part {
  readonly attribute: string
  /** Absent where the attribute is the value. */
  readonly part?: string
  readonly offset: number
  readonly codec: Scalar<unknown>
}

/**
 * A message that is sent again and again with other values in it. What did not change since the last time is left as it is: flows of
 * one kind share most of their values, and reading the text of an address costs more than all the rest.
 */
export class Stencil<T> {
  readonly bytes: Uint8Array
  readonly #fill: StencilFill<T>
  /** The values the bytes stand for. */
  readonly #last: unknown[]

  /** The values in `message` are taken for unknown. */
  constructor(message: Uint8Array, parts: readonly Part[]) {
    this.bytes = message
    this.#fill = fillFor(parts) as StencilFill<T>
    this.#last = parts.map(() => NOTHING)
  }

  /** Puts the values of `value` at their places; what it does not have is 0. Throws what a codec throws, and can be used again. */
  fill(value: T): void {
    this.#fill(this.bytes, value, this.#last, NOTHING)
  }
}

/** No value is this one. */
const NOTHING = Symbol('nothing')

/** Compiled once for flows of one shape, of which there are few. */
const fills = new Map<string, StencilFill<never>>()
const MOST_FILLS = 256

function fillFor(parts: readonly Part[]): StencilFill<never> {
  const shape = parts.map(({ attribute, part = '', offset }) => `${attribute}.${part}@${offset}`).join()
  let fill = fills.get(shape)
  if (fill === undefined) {
    fill = compileFill<never>(parts) ?? fillLoop(parts)
    if (fills.size === MOST_FILLS) fills.clear()
    fills.set(shape, fill)
  }
  return fill
}

/** What `compileFill` makes, where code may not be made from text. */
export function fillLoop<T>(parts: readonly Part[]): StencilFill<T> {
  return (bytes, value, last, nothing) => {
    for (const [index, { attribute, part, offset, codec }] of parts.entries()) {
      const whole = (value as Record<string, unknown>)[attribute]
      const found = part === undefined ? whole : (whole as Record<string, unknown> | undefined)?.[part]
      if (found === last[index]) continue
      last[index] = nothing
      codec.put(bytes, offset, found ?? codec.zero)
      last[index] = found
    }
  }
}
