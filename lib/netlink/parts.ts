import type { Scalar } from './codec.js'

/** A value somewhere in an object, and where its bytes belong. */
export interface Part {
  readonly attribute: string
  /** Absent where the attribute is the value. */
  readonly part?: string
  readonly offset: number
  readonly codec: Scalar<unknown>
}

/** Puts values at their places, counted from `at`, over what is there. */
export type PutParts<T> = (bytes: Uint8Array, at: number, value: T) => void

/** A function that puts values from anywhere in an object at their places. What an object does not have is put as zero. */
export function putParts<T>(parts: readonly Part[]): PutParts<T> {
  return (bytes, at, value) => {
    for (const { attribute, part, offset, codec } of parts) {
      const whole = (value as Record<string, unknown>)[attribute]
      const found = part === undefined ? whole : (whole as Record<string, unknown> | undefined)?.[part]
      codec.put(bytes, at + offset, found ?? codec.zero)
    }
  }
}
