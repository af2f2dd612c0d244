import type { Action, ActionSet, PushVlan } from '../../types/action.js'
import type { UnknownAttribute } from '../../types/flow.js'
import { Scanner } from '../netlink/scanner.js'
import { actionList } from './action.js'
import {
  type FormatOptions,
  formatBytes,
  type ParseOptions,
  parseBytes,
  vlanSpelling,
} from './text-attribute.js'
import { failField, formatHeader, keyOf, scanAttribute, scanPortName } from './text-key.js'

/** Actions as `ovs-dpctl dump-flows` prints them: `push_vlan(vid=7,pcp=0),2`. An empty list is `drop`. */
export function formatActions(
  actions: readonly Action[],
  options: Pick<FormatOptions, 'portName'> = {},
): string {
  if (actions.length === 0) return 'drop'
  return actions
    .map((action) => {
      const name = actionList.rowOf(action)?.name ?? 'unknown'
      const { format } = spellings[name as keyof ActionSet] as ActionSpelling<unknown>
      return format(action[name as keyof ActionSet], options)
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
  if (!scanner.done) scanner.fail('an action like 2, pop_vlan or set(…) expected')
  return actions
}

/** Reads actions as far as there are any, and the separators behind them. */
export function scanActions(scanner: Scanner, options: ParseOptions): Action[] {
  const actions: Action[] = []
  for (;;) {
    scanner.delimiters()
    const action = scanAction(scanner, options)
    if (action === undefined) break
    if (!scanner.done && !/[, \t\r\n]/.test(scanner.text.charAt(scanner.at))) scanner.fail("',' expected")
    actions.push(action)
  }
  return actions.length === 1 && actions[0]?.drop !== undefined ? [] : actions
}

interface ActionSpelling<T> {
  format(value: T, options: FormatOptions): string
  /** Reads the action from its name on; undefined when it is another one. */
  parse?(scanner: Scanner, options: ParseOptions): Action | undefined
}

const spellings: { readonly [K in keyof ActionSet]-?: ActionSpelling<NonNullable<ActionSet[K]>> } = {
  output: {
    format: (port, { portName }) => portName?.(port) ?? String(port),
    parse: (scanner, options) => {
      const port = scanPortName(scanner, options, /[^, \t\r\n]+/y)
      if (port !== undefined) return { output: port }
      return /[+0-9]/.test(scanner.text.charAt(scanner.at))
        ? { output: scanner.integer(0xffffffff) }
        : undefined
    },
  },
  set: {
    format: (key) => `set(${formatHeader(key)})`,
    parse: (scanner, options) => {
      if (!scanner.eat('set(')) return undefined
      const header = scanAttribute(scanner, options) ?? failField(scanner)
      scanner.expect(')')
      const key = keyOf(header, header.value)
      return header.exact ? { set: key } : { setMasked: { key, mask: keyOf(header, header.mask) } }
    },
  },
  setMasked: {
    format: ({ key, mask }) => `set(${formatHeader(key, mask)})`,
  },
  pushVlan: {
    format: ({ tpid = 0x8100, ...tag }) => {
      const type = tpid === 0x8100 ? '' : `tpid=0x${tpid.toString(16).padStart(4, '0')},`
      return `push_vlan(${type}${vlanSpelling.format(tag, undefined, { verbose: true })})`
    },
    parse: (scanner) => {
      if (!scanner.eat('push_vlan(')) return undefined
      let tpid = 0x8100
      if (scanner.eat('tpid=')) {
        tpid = scanner.integer(0xffff)
        scanner.expect(',')
      }
      scanner.expect('vid=')
      const vid = scanner.integer(0xfff)
      scanner.expect(',pcp=')
      const pcp = scanner.integer(7)
      const cfi = scanner.eat(',cfi=') ? scanner.integer(1) : 1
      scanner.expect(')')
      const pushVlan: PushVlan = { tpid, vid, pcp, cfi }
      return { pushVlan }
    },
  },
  popVlan: {
    format: () => 'pop_vlan',
    parse: (scanner) => (scanner.eat('pop_vlan') ? { popVlan: true } : undefined),
  },
  drop: {
    // The reason is not part of the text.
    format: () => 'drop',
    parse: (scanner) => (scanner.match(/drop(?![^, \t\r\n])/iy) ? { drop: 0 } : undefined),
  },
  unknown: {
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
  },
}

/** Ports come first: OVS, too, takes a word for an action only when no port has that name. */
const inTurn: readonly Pick<ActionSpelling<never>, 'parse'>[] = Object.values(spellings)

function formatUnknown({ id, data }: UnknownAttribute): string {
  return data.length === 0 ? `action${id}` : `action${id}(${formatBytes(data)})`
}

function scanAction(scanner: Scanner, options: ParseOptions): Action | undefined {
  for (const { parse } of inTurn) {
    const action = parse?.(scanner, options)
    if (action !== undefined) return action
  }
  return undefined
}
