import type { Action, ActionSet } from '../../types/action.js'
import type { UnknownAttribute } from '../../types/flow.js'
import { hex } from '../netlink/integers.js'
import { Scanner } from '../netlink/scanner.js'
import { actionList, deepest } from './action.js'
import { ctSpelling } from './text-action-ct.js'
import {
  checkPktLenSpelling,
  cloneSpelling,
  decTtlSpelling,
  hashSpelling,
  psampleSpelling,
  sampleSpelling,
} from './text-action-nested.js'
import { pushNshSpelling } from './text-action-nsh.js'
import {
  addMplsSpelling,
  popMplsSpelling,
  pushEthSpelling,
  pushMplsSpelling,
  pushVlanSpelling,
} from './text-action-push.js'
import {
  type ActionSpelling,
  decimal,
  type FormatContext,
  type ParseContext,
} from './text-action-spelling.js'
import { setMaskedSpelling, setSpelling } from './text-action-set.js'
import { userspaceSpelling } from './text-action-userspace.js'
import { type FormatOptions, formatBytes, type ParseOptions, parseBytes } from './text-attribute.js'
import { scanPortName } from './text-key.js'

/** Actions as `ovs-dpctl dump-flows` prints them: `push_vlan(vid=7,pcp=0),2`. An empty list is `drop`. */
export function formatActions(
  actions: readonly Action[],
  options: Pick<FormatOptions, 'portName'> = {},
): string {
  const context: FormatContext = { ...options, list: (inner) => formatList(inner, context) }
  return formatList(actions, context)
}

function formatList(actions: readonly Action[], context: FormatContext): string {
  if (actions.length === 0) return 'drop'
  return actions
    .map((action) => {
      const name = actionList.rowOf(action)?.name ?? 'unknown'
      const { format } = spellings[name as keyof ActionSet] as ActionSpelling<unknown>
      return format(action[name as keyof ActionSet], context)
    })
    .join(',')
}

/**
 * Reads what `formatActions()` and ovs-dpctl write. `drop` alone is the empty list, which drops on every kernel. Throws SYNTAX with
 * the position.
 */
export function parseActions(text: string, options: ParseOptions = {}): Action[] {
  const scanner = new Scanner(text)
  const actions = scanActions(scanner, options)
  if (!scanner.done) scanner.fail(anAction)
  return actions
}

/** Reads actions as far as there are any, and the separators behind them. */
export function scanActions(scanner: Scanner, options: ParseOptions, depth = 0): Action[] {
  if (depth > deepest) scanner.fail('nested too deep')
  const context: ParseContext = { ...options, depth, list: (inner) => scanNested(inner, options, depth + 1) }
  const actions: Action[] = []
  for (;;) {
    scanner.delimiters()
    const action = scanAction(scanner, context)
    if (action === undefined) break
    if (!scanner.done && !(depth > 0 ? /[, \t\r\n)]/ : /[, \t\r\n]/).test(scanner.text.charAt(scanner.at))) {
      scanner.fail("',' expected")
    }
    actions.push(action)
  }
  return actions.length === 1 && actions[0]?.drop !== undefined ? [] : actions
}

function scanNested(scanner: Scanner, options: ParseOptions, depth: number): Action[] {
  const actions = scanActions(scanner, options, depth)
  if (!scanner.done && scanner.text[scanner.at] !== ')') scanner.fail(anAction)
  return actions
}

const anAction = 'an action like 2, pop_vlan or set(…) expected'

function scanAction(scanner: Scanner, context: ParseContext): Action | undefined {
  for (const { parse } of inTurn) {
    const action = parse?.(scanner, context)
    if (action !== undefined) return action
  }
  const from = scanner.at
  const word = scanner.match(/(tnl_push|tnl_pop|lb_output)(?=\()/y)
  if (word === undefined) return undefined
  scanner.at = from
  return scanner.fail(`an action of the kernel expected; ${word} is known to OVS's userspace datapath only,`)
}

const output: ActionSpelling<number> = {
  format: (port, { portName }) => portName?.(port) ?? String(port),
  parse: (scanner, context) => {
    const port = scanPortName(scanner, context, context.depth > 0 ? /[^, \t\r\n)]+/y : /[^, \t\r\n]+/y)
    if (port !== undefined) return { output: port }
    return /[+0-9]/.test(scanner.text.charAt(scanner.at))
      ? { output: scanner.integer(0xffffffff) }
      : undefined
  },
}

const drop: ActionSpelling<number> = {
  // The reason is not part of the text.
  format: () => 'drop',
  parse: (scanner, { depth }) =>
    scanner.match(depth > 0 ? /drop(?![^, \t\r\n)])/iy : /drop(?![^, \t\r\n])/iy) ? { drop: 0 } : undefined,
}

const unknown: ActionSpelling<readonly UnknownAttribute[]> = {
  format: (list) => list.map(formatUnknown).join(','),
  parse: (scanner) => {
    if (scanner.match(/action(?=[0-9])/y) === undefined) return undefined
    const id = scanner.integer(0x3fff)
    let data: Uint8Array = new Uint8Array(0)
    if (scanner.eat('(')) {
      data = parseBytes(scanner)
      scanner.expect(')')
    }
    return { unknown: [{ id, data }] }
  },
}

function formatUnknown({ id, data }: UnknownAttribute): string {
  return data.length === 0 ? `action${id}` : `action${id}(${formatBytes(data)})`
}

/** An action that is only a word. */
function word(text: string, action: Action): ActionSpelling<unknown> {
  return { format: () => text, parse: (scanner) => (scanner.eat(text) ? action : undefined) }
}

/** An action of one number, `recirc(0x5)`. */
function number(
  text: string,
  action: (value: number) => Action,
  format: (value: number) => string = String,
  read: (scanner: Scanner, max: number) => number = (scanner, max) => scanner.integer(max),
): ActionSpelling<number> {
  return {
    format: (value) => `${text}(${format(value)})`,
    parse: (scanner) => {
      if (!scanner.eat(`${text}(`)) return undefined
      const value = read(scanner, 0xffffffff)
      scanner.expect(')')
      return action(value)
    },
  }
}

const spellings: { readonly [K in keyof ActionSet]-?: ActionSpelling<NonNullable<ActionSet[K]>> } = {
  output,
  userspace: userspaceSpelling,
  set: setSpelling,
  setMasked: setMaskedSpelling,
  pushVlan: pushVlanSpelling,
  popVlan: word('pop_vlan', { popVlan: true }),
  sample: sampleSpelling,
  recirc: number('recirc', (recirc) => ({ recirc }), hex, decimal),
  hash: hashSpelling,
  pushMpls: pushMplsSpelling,
  popMpls: popMplsSpelling,
  ctClear: word('ct_clear', { ctClear: true }),
  ct: ctSpelling,
  trunc: number('trunc', (trunc) => ({ trunc })),
  pushEth: pushEthSpelling,
  popEth: word('pop_eth', { popEth: true }),
  pushNsh: pushNshSpelling,
  popNsh: word('pop_nsh()', { popNsh: true }),
  meter: number('meter', (meter) => ({ meter })),
  clone: cloneSpelling,
  checkPktLen: checkPktLenSpelling,
  addMpls: addMplsSpelling,
  decTtl: decTtlSpelling,
  drop,
  psample: psampleSpelling,
  unknown,
}

/** Ports come first: OVS, too, takes a word for an action only when no port has that name. */
const inTurn: readonly Pick<ActionSpelling<never>, 'parse'>[] = Object.values(spellings)
