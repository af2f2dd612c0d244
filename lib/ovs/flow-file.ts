import type { Action } from '../../types/action.js'
import { DpifError } from '../errors.js'
import { Scanner } from '../netlink/scanner.js'
import { skipCounters, skipExtra } from './flow-line.js'
import { scanActions } from './text-action.js'
import type { ParseOptions } from './text-attribute.js'
import { failField, type ParsedKey, scanKey } from './text-key.js'

/** What a line of a flow file asks for. */
export type FlowVerb = 'add' | 'modify' | 'delete'

/** A line that could be read. */
export interface FlowFileEntry extends ParsedKey {
  /** Counted from 1. */
  readonly line: number
  readonly verb: FlowVerb
  /** There with `add` and `modify`, absent with `delete`. */
  readonly actions?: readonly Action[]
  readonly error?: never
}

/** A line that could not be read. The others still count, as in OVS. */
export interface FlowFileError {
  readonly line: number
  /** Its position counts within the line. */
  readonly error: DpifError
}

/**
 * Reads the file that `ovs-dpctl add-flows`, `mod-flows` and `del-flows` take: `[add|modify|delete] FLOW [ACTIONS]` on each line,
 * with comments from `#` on. A verb may be cut short (`mod`); `defaultVerb` is for lines without one. Lines of `dump-flows` can be
 * pasted as they are.
 */
export function parseFlowFile(
  text: string,
  defaultVerb: FlowVerb,
  options: ParseOptions = {},
): (FlowFileEntry | FlowFileError)[] {
  return text.split('\n').flatMap((raw, index): (FlowFileEntry | FlowFileError)[] => {
    const line = index + 1
    const content = raw.replace(/#.*/, '').trimEnd()
    if (content.trim() === '') return []
    try {
      return [{ line, ...parseLine(content, defaultVerb, options) }]
    } catch (error) {
      if (error instanceof DpifError) return [{ line, error }]
      throw error
    }
  })
}

const verbs: readonly FlowVerb[] = ['add', 'delete', 'modify']

function parseLine(
  text: string,
  defaultVerb: FlowVerb,
  options: ParseOptions,
): Omit<FlowFileEntry, 'line' | 'error'> {
  const scanner = new Scanner(text)
  scanner.delimiters()
  const verb = parseVerb(scanner) ?? defaultVerb
  const match = scanKey(scanner, options)
  const nothing = Object.keys(match.key).length === 0 && match.ufid === undefined
  if (nothing || startsField(scanner)) failField(scanner)
  const pasted = skipCounters(scanner)
  const labelled = scanner.eat('actions:')
  if (pasted && !labelled) scanner.fail("'actions:' expected")
  if (verb === 'delete') {
    // A pasted line names its actions, and they do no harm; others are probably meant for another verb.
    if (!labelled && !scanner.done) scanner.fail('no actions expected, as delete takes none')
    return { verb, ...match }
  }
  if (scanner.done) scanner.fail(`actions expected, as ${verb} needs them,`)
  const actions = scanActions(scanner, options)
  skipExtra(scanner)
  if (!scanner.done) scanner.fail('an action like 2, pop_vlan or set(…) expected')
  return { verb, ...match, actions }
}

function parseVerb(scanner: Scanner): FlowVerb | undefined {
  const from = scanner.at
  const word = scanner.match(/[a-z]+(?![^, \t\r])/y) ?? ''
  const verb = word === '' ? undefined : verbs.find((name) => name.startsWith(word))
  if (verb === undefined) scanner.at = from
  return verb
}

/** Whether what comes next was meant as a field: OVS separates the flow from the actions with a blank, never with a comma. */
function startsField(scanner: Scanner): boolean {
  return /[^ \t\r]$/.test(scanner.text.slice(0, scanner.at)) && !scanner.done
}
