import type { Codec } from '../../netlink/codec.js'
import { u32 } from '../../netlink/integers.js'
import { eachAttribute, NESTED } from '../../netlink/reader.js'
import { struct } from '../../netlink/struct.js'
import { AttributeSet, bytes, string } from '../../netlink/table.js'
import { type ActionStats, actionStats } from '../stats.js'
import { type CtOptions, ct } from './ct.js'
import { type CsumOptions, csum } from './csum.js'
import { type GactOptions, gact } from './gact.js'
import { type ActionKind, type CommonOptions, type General, jumpOf } from './kind.js'
import { type MirredOptions, mirred } from './mirred.js'
import { type MplsOptions, mpls } from './mpls.js'
import { type PeditOptions, pedit } from './pedit.js'
import { type PoliceOptions, police } from './police.js'
import { type SampleOptions, sample } from './sample.js'
import { type SkbeditOptions, skbedit } from './skbedit.js'
import { type TunnelKeyOptions, tunnelKey } from './tunnel-key.js'
import { type VlanOptions, vlan } from './vlan.js'

/** The actions we know. One line here and one file make a new one. */
// biome-ignore format: one list
export const actionKinds: readonly ActionKind<CommonOptions>[] = [
  csum, ct, gact, mirred, mpls, pedit, police, sample, skbedit, tunnelKey, vlan,
]

/** struct nla_bitfield32: only the bits of `selector` count. */
export interface BitField32 {
  readonly value: number
  readonly selector: number
}

export const bitField32 = struct<BitField32>({ value: u32, selector: u32 })

/** TCA_ACT_FLAGS: plain counters instead of one per CPU, which makes an action several times cheaper to create. */
export const NO_PERCPU_STATS: BitField32 = { value: 1, selector: 1 }

interface Envelope {
  readonly cookie?: Uint8Array
  readonly flags?: BitField32
  readonly stats?: ActionStats
}

/** What the options of each kind say. */
interface OptionsOf {
  readonly csum: CsumOptions
  readonly ct: CtOptions
  readonly gact: GactOptions
  readonly mirred: MirredOptions
  readonly mpls: MplsOptions
  readonly pedit: PeditOptions
  readonly police: PoliceOptions
  readonly sample: SampleOptions
  readonly skbedit: SkbeditOptions
  readonly tunnel_key: TunnelKeyOptions
  readonly vlan: VlanOptions
}

/** A TC action of one kind. */
export type TcActionOf<K extends keyof OptionsOf> = Envelope & {
  readonly kind: K
  readonly options: OptionsOf[K]
}

type Known = { [K in keyof OptionsOf]: TcActionOf<K> }[keyof OptionsOf]

/** One TC action of a filter. `other` stands for kinds without a row here. */
export type TcAction = Known | (Envelope & { readonly kind: 'other'; readonly name: string })

interface EnvelopeAttributes extends Envelope {
  readonly kind?: string
  readonly index?: number
  readonly options?: Place
}

/** Somewhere in a message. */
interface Place {
  readonly start: number
  readonly end: number
}

/** What a payload says is read by a table that only whoever knows the kind can name; it is written piece by piece. */
const place: Codec<Place> = {
  size: undefined,
  write: () => {
    throw new TypeError('a place in a message cannot be written')
  },
  read: (_, start, end) => ({ start, end }),
  samples: [],
}

// biome-ignore format: one row per line
export const actionEnvelope = new AttributeSet<EnvelopeAttributes>('action', {
  kind: { uapi: 'TCA_ACT_KIND', id: 1, codec: string, doc: 'Which action.' },
  options: { uapi: 'TCA_ACT_OPTIONS', id: 2, codec: place, doc: 'What it says; a table for each kind.' },
  index: { uapi: 'TCA_ACT_INDEX', id: 3, codec: u32, doc: 'Names an action that stands by itself.' },
  stats: { uapi: 'TCA_ACT_STATS', id: 4, codec: actionStats, doc: 'What it has counted.' },
  cookie: { uapi: 'TCA_ACT_COOKIE', id: 6, codec: bytes, since: '4.11', doc: 'At most 16 bytes of ours; the ufid.' },
  flags: { uapi: 'TCA_ACT_FLAGS', id: 7, codec: bitField32, since: '5.5', doc: 'NO_PERCPU_STATS.' },
})

/** The chains a filter with these actions sends packets to, each once. */
export function jumpsOf(actions: readonly TcAction[]): readonly number[] {
  const targets: number[] = []
  for (const action of actions) {
    if (action.kind === 'other') continue
    const { parms } = action.options as { readonly parms?: Pick<General, 'action'> }
    const chain = parms && jumpOf(parms.action, 'GOTO_CHAIN')
    if (chain && !targets.includes(chain)) targets.push(chain)
  }
  return targets
}

const byKind = new Map(actionKinds.map((action) => [action.kind, action]))

/** TCA_FLOWER_ACT: the actions of a filter, numbered from 1 in the order they are carried out. */
export const tcActions: Codec<readonly TcAction[]> = {
  size: undefined,
  write: (writer, list) => {
    list.forEach((action, index) => {
      const kind = byKind.get(action.kind)
      if (kind === undefined || action.kind === 'other')
        throw new TypeError(`no row for TC action '${action.kind}'`)
      const at = writer.begin(index + 1)
      actionEnvelope.write(writer, { kind: action.kind })
      const options = writer.begin(actionEnvelope.ids.options | (kind.nested ? NESTED : 0))
      kind.options.write(writer, action.options)
      writer.end(options)
      const { cookie, flags } = action
      actionEnvelope.write(writer, { ...(cookie && { cookie }), ...(flags && { flags }) })
      writer.end(at)
    })
  },
  read: (from, start, end) => {
    const list: TcAction[] = []
    eachAttribute(from, start, end, (_number, begin, stop) => {
      list.push(readAction(from, begin, stop))
    })
    return list
  },
  samples: [],
}

function readAction(from: Uint8Array, begin: number, stop: number): TcAction {
  const read = actionEnvelope.read(from, begin, stop)
  const { kind = '', options: { start, end } = nowhere } = read
  const action: Record<string, unknown> = {}
  // In the order of the message.
  for (const name in read) if (!aside.has(name)) action[name] = read[name as keyof EnvelopeAttributes]
  const known = byKind.get(kind)
  action.kind = known === undefined ? 'other' : kind
  if (known === undefined) action.name = kind
  else action.options = known.options.read(from, start, end)
  return action as unknown as TcAction
}

/** What does not stay as it was read. */
const aside: ReadonlySet<string> = new Set(['kind', 'options', 'index'])
const nowhere: Place = { start: 0, end: 0 }
