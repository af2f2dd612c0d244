import type { BackendResult } from '../../types/backend.js'
import type { Failure } from '../../types/errors.js'
import type { BackendName } from '../../types/op.js'
import type { MessageFailure } from '../../types/transport.js'
import { codeOf, DpifError, errnoName, errorCodes } from '../errors.js'

/** A refusal of the kernel as a failure people can read: what was attempted, the kernel's words, and what usually helps. */
export function kernelFailure(
  attempt: string,
  { errno, text }: Pick<MessageFailure, 'errno' | 'text'>,
  more: {
    readonly backend?: BackendName
    readonly path?: string
    readonly code?: Failure['code']
    readonly hint?: string
  } = {},
): Failure {
  const code = more.code ?? codeOf(errno)
  const { meaning, advice } = errorCodes[code]
  const words = text === undefined ? '' : `the kernel says '${text}': `
  return {
    code,
    message: `cannot ${attempt}: ${words}${more.hint ?? `${lower(meaning)} ${advice}`} (${errnoName(errno)})`,
    errno,
    ...(text === undefined ? {} : { kernel: text }),
    ...(more.backend === undefined ? {} : { backend: more.backend }),
    ...(more.path === undefined ? {} : { path: more.path }),
  }
}

/** Throws the first refusal among the answers to deletions. What is gone already was to go. */
export function throwFirst(results: readonly BackendResult[]): void {
  const failed = results.find(({ error }) => error !== undefined && error.code !== 'NOT_FOUND')
  if (failed?.error !== undefined) throw DpifError.from(failed.error)
}

const lower = (sentence: string): string => `${sentence.charAt(0).toLowerCase()}${sentence.slice(1)}`

/** Work on a long list in parts that fit in a batch. */
export async function inSlices<T>(
  list: readonly T[],
  work: (slice: readonly T[]) => Promise<unknown>,
): Promise<void> {
  for (let from = 0; from < list.length; from += SLICE) await work(list.slice(from, from + SLICE))
}

const SLICE = 4096
