import type { PortTable } from '../../lib/backend/tc/action/index.js'
import type { Codec } from '../../lib/netlink/codec.js'
import type { AttributeSet, NamedRow } from '../../lib/netlink/table.js'
import { nestedSets } from '../../lib/ovs/action.js'
import { formatActions } from '../../lib/ovs/text-action.js'
import type { Action, ActionSet, CtAction, Nat } from '../../types/action.js'
import { code, kernelName, typeOf } from './cell.js'
import { behind, everything, type Match, port, surroundings, tagged, translate, verdict } from './probe.js'

const toTwo: readonly Action[] = [{ output: 2 }]
const label = { label: 100, tc: 0, ttl: 64, bos: 1, etherType: 0x8847 }

/** One of each that TC, too, can carry out if it can at all. */
const examples: { readonly [K in keyof Required<Omit<ActionSet, 'unknown'>>]: NonNullable<ActionSet[K]> } = {
  output: 2,
  userspace: { pid: 7 },
  set: { ethernet: { src: '02:00:00:00:00:01', dst: '02:00:00:00:00:02' } },
  pushVlan: { vid: 7, pcp: 0 },
  popVlan: true,
  sample: { probability: 0xffffffff, actions: toTwo },
  recirc: 1,
  hash: { alg: 0, basis: 0 },
  pushMpls: label,
  popMpls: 0x0800,
  setMasked: { key: { ipv4: { dst: '10.0.0.1' } }, mask: { ipv4: { dst: '255.255.255.255' } } },
  ct: { commit: true, zone: 1 },
  trunc: 100,
  pushEth: { src: '02:00:00:00:00:01', dst: '02:00:00:00:00:02' },
  popEth: true,
  ctClear: true,
  pushNsh: { base: { mdtype: 1, np: 3 }, md1: {} },
  popNsh: true,
  meter: 1,
  clone: toTwo,
  checkPktLen: { size: 100, greater: toTwo, lessEqual: [{ output: 3 }] },
  addMpls: { ...label, flags: 0 },
  decTtl: { action: [] },
  drop: 0,
  psample: { group: 1 },
}

const routed = behind(
  0x0800,
  { ipv4: { proto: 6, ttl: 64 } },
  { ipv4: { proto: 0xff, ttl: 0xff, frag: 0xff } },
)
const frames: { readonly [K in keyof ActionSet]?: Match } = {
  popMpls: surroundings.mpls as Match,
  popVlan: tagged,
  popEth: routed,
}

/** What has to be done to a packet first. */
const before: { readonly [K in keyof ActionSet]?: readonly Action[] } = { pushEth: [{ popEth: true }] }

/** What an attribute of an address translation goes with. */
const range: Nat = { src: true, ipMin: '10.0.0.1', protoMin: 1 }

/** The line of an action, and those of its attributes. */
export function actionLines(row: NamedRow): string[][] {
  const { name, codec, doc, since = '' } = row
  const value = examples[name as keyof typeof examples]
  const action = { [name]: value } as unknown as Action
  const line = [code(name), doc, kernelName(row), typeOf(codec), code(formatActions([action])), since]
  return [[...line, tcAction(name, [action])], ...nestedLines(name, codec, [name])]
}

/** The attributes in an action, and in those. */
function nestedLines(action: string, codec: Codec<unknown>, path: readonly string[]): string[][] {
  if (!nestedSets.includes(codec as (typeof nestedSets)[number])) return []
  return (codec as AttributeSet<object>).rows.flatMap((row) => {
    const inner = [...path, row.name]
    const variants = valuesOf(inner, row).map((value) => nestedAction(inner, value))
    const example = variants[0] as Action
    const shown = row.text === undefined && !shownAnyway.has(inner.join('.')) ? '' : formatActions([example])
    const line = [
      code(inner.join('.')),
      row.doc,
      kernelName(row),
      typeOf(row.codec),
      code(shown),
      row.since ?? '',
    ]
    return [[...line, tcAction(action, variants)], ...nestedLines(action, row.codec, inner)]
  })
}

/** What text shows without a word for it. */
const shownAnyway: ReadonlySet<string> = new Set([
  'ct.nat.ipMin',
  'ct.nat.ipMax',
  'ct.nat.protoMin',
  'ct.nat.protoMax',
])

function valuesOf(path: readonly string[], { codec }: NamedRow): readonly unknown[] {
  switch (path.join('.')) {
    case 'sample.probability':
      return [0x7fffffff, 0xffffffff]
    case 'sample.actions':
    case 'checkPktLen.greater':
    case 'checkPktLen.lessEqual':
      return [toTwo]
    case 'decTtl.action':
      return [toTwo, []]
    case 'checkPktLen.size':
      return [100]
    case 'ct.zone':
      return [1]
    case 'ct.labels':
      return [{ value: 1n, mask: 0xffn }]
    case 'ct.mark':
      return [{ value: 1, mask: 0xff }]
    case 'ct.nat':
      return [{}, range]
    case 'ct.nat.ipMax':
      return ['10.0.0.9']
    case 'ct.nat.ipMin':
      return ['10.0.0.1']
    case 'ct.nat.protoMin':
      return [1024]
    case 'ct.nat.protoMax':
      return [2048]
    default:
      return [codec.size === 4 && 'ones' in codec ? 1 : codec.samples[0]]
  }
}

function nestedAction([action = '', part = '', inner]: readonly string[], value: unknown): Action {
  if (inner !== undefined) {
    const nat = inner === 'dst' ? { dst: true } : { ...range, [inner]: value }
    return { ct: { commit: true, nat } as CtAction }
  }
  const base = part === 'forceCommit' ? {} : (examples[action as keyof typeof examples] as object)
  return { [action]: { ...base, [part]: value } } as unknown as Action
}

/** With all a backend may come to know, and with nothing. */
function tcAction(name: string, variants: readonly Action[]): string {
  const frame = frames[name as keyof ActionSet] ?? routed
  const unable: PortTable = { byNumber: port, byIfindex: port, abilities: { supports: everything } }
  const results = variants.flatMap((action) => {
    const list = [...(before[name as keyof ActionSet] ?? []), action]
    return [translate(list, frame), translate(list, frame, unable)]
  })
  return verdict(results, () => results.find(({ objections }) => objections.length === 0)?.kinds ?? '')
}
