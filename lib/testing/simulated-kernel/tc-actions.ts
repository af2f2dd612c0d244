import { be16, s32, u16, u32, u64 } from '../../netlink/integers.js'
import { string } from '../../netlink/table.js'
import type { Writer } from '../../netlink/writer.js'
import { directions } from '../../tc/action/mirred.js'
import { vlanActions } from '../../tc/action/vlan.js'
import { times } from '../../tc/stats.js'
import { parse, payload, type Span, walk } from './attributes.js'
import type { Devices } from './devices.js'
import type { State } from './state.js'
import { notSimulated, refuse } from './errors.js'
import { nest, put } from './request.js'

/** Packets and bytes. */
interface Counters {
  packets: number
  bytes: bigint
}

/** An action of a filter. */
export interface KernelAction {
  readonly kind: string
  /** Attributes of TCA_ACT_OPTIONS by number, without TM; the kernel's own numbers are filled into the parameters. */
  readonly options: ReadonlyMap<number, Uint8Array>
  readonly parms: Uint8Array
  readonly cookie: Uint8Array | undefined
  readonly flags: number
  readonly installed: number
  firstUse: number
  lastUse: number
  /** Software and hardware together. */
  readonly total: Counters
  readonly hardware: Counters
}

/** One kind of action: its parameters and how long they are, the attributes it dumps in order, and what it refuses. */
interface Kind {
  readonly parms: number
  readonly size: number
  readonly times: number
  readonly dumped: readonly number[]
  readonly check: (attributes: ReadonlyMap<number, Span>, parms: Uint8Array, devices: Devices) => void
}

// biome-ignore format: one row per line
const kinds: Readonly<Record<string, Kind>> = {
  csum: { parms: 1, size: 24, times: 2, dumped: [1], check: () => {} },
  gact: { parms: 2, size: 20, times: 1, dumped: [2], check: () => {} },
  mirred: { parms: 2, size: 28, times: 1, dumped: [2], check: checkMirred },
  pedit: { parms: 4, size: 24, times: 1, dumped: [5, 4], check: checkPedit },
  tunnel_key: { parms: 2, size: 24, times: 1, dumped: [2, 7, 3, 4, 5, 6, 9, 10, 11, 12, 13], check: checkTunnelKey },
  vlan: { parms: 2, size: 24, times: 1, dumped: [2, 3, 4, 6], check: checkVlan },
}

/** Kinds a real kernel has beside these. */
const others = [
  'bpf',
  'connmark',
  'ct',
  'ctinfo',
  'ife',
  'mpls',
  'nat',
  'police',
  'sample',
  'simple',
  'skbedit',
  'skbmod',
]

// TCA_ACT_*.
const act = { KIND: 1, OPTIONS: 2, STATS: 4, COOKIE: 6, FLAGS: 7, IN_HW_COUNT: 10 } as const
const policy = { [act.COOKIE]: { min: 0 }, [act.FLAGS]: { min: 8 } }

/** At most so many actions (TCA_ACT_MAX_PRIO); the others are not looked at. */
const MAX_ACTIONS = 32

let lastIndex = 0

/** Reads the actions of a filter, as tcf_action_init() does: first every kind is looked up, then each is made. */
export function readActions(list: Span | undefined, skips: number, state: State): KernelAction[] {
  if (list === undefined) return []
  const entries = parse(list)
  const found: ReadonlyMap<number, Span>[] = []
  for (let turn = 1; turn <= MAX_ACTIONS; turn++) {
    const entry = entries.get(turn)
    if (entry === undefined) break
    const attributes = parse(entry, policy)
    const kind = lookUp(attributes, state)
    if (kinds[kind] === undefined) notSimulated(`act_${kind}`)
    found.push(attributes)
  }
  return found.map((attributes) => makeAction(attributes, skips, state.devices, state.now()))
}

/** RTM_NEWACTION: no action stands by itself here, but whether it could is found out by asking for one that says nothing. */
export function refuseActions(list: Span, state: State): never {
  const entry = parse(list).get(1) ?? refuse('EINVAL')
  const attributes = parse(entry, policy)
  const kind = lookUp(attributes, state)
  return attributes.has(act.OPTIONS)
    ? notSimulated('an action that stands by itself')
    : refuse('EINVAL', missing[kind]?.options)
}

/** tc_action_load_ops(). */
function lookUp(attributes: ReadonlyMap<number, Span>, state: State): string {
  const name = attributes.get(act.KIND) ?? refuse('EINVAL', 'TC action kind must be specified')
  const kind = string.read(name.bytes, name.start, name.end)
  if (kind.length > 15) refuse('EINVAL', 'TC action name too long')
  const isKnown = kinds[kind] !== undefined || others.includes(kind)
  return isKnown && state.has(`act_${kind}`) ? kind : refuse('ENOENT', 'Failed to load TC action module')
}

/** The devices the actions send packets to. */
export function targetsOf(actions: readonly KernelAction[]): readonly number[] {
  return actions.flatMap(({ kind, parms }) => (kind === 'mirred' ? [u32.take(parms, 24)] : []))
}

function makeAction(
  attributes: ReadonlyMap<number, Span>,
  skips: number,
  devices: Devices,
  now: number,
): KernelAction {
  const name = attributes.get(act.KIND) as Span
  const kind = string.read(name.bytes, name.start, name.end)
  const rules = kinds[kind] as Kind
  const cookie = attributes.get(act.COOKIE)
  if (cookie !== undefined && cookie.end - cookie.start > 16)
    refuse('ERANGE', 'Attribute failed policy validation')
  const flagBits = attributes.get(act.FLAGS)
  const options = attributes.get(act.OPTIONS)
  if (options === undefined) {
    refuse('EINVAL', missing[kind]?.options)
  }
  const inner = parse(options)
  const given = inner.get(rules.parms) ?? refuse('EINVAL', missing[kind]?.parms)
  if (given.end - given.start < rules.size) {
    if (kind === 'pedit')
      refuse('EINVAL', 'Length of TCA_PEDIT_PARMS or TCA_PEDIT_PARMS_EX pedit attribute is invalid')
    refuse('ERANGE', 'Attribute failed policy validation')
  }
  const parms = payload(given).slice()
  if (u32.take(parms, 0) !== 0) notSimulated('an action with an index, which filters could share')
  checkVerdict(s32.take(parms, 8))
  rules.check(inner, parms, devices)
  // struct tc_gen: index, capab, action, refcnt, bindcnt.
  u32.put(parms, 0, ++lastIndex)
  u32.put(parms, 4, 0)
  u32.put(parms, 12, 1)
  u32.put(parms, 16, 1)
  const kept = new Map<number, Uint8Array>()
  for (const [id, span] of inner) kept.set(id, id === rules.parms ? parms : payload(span).slice())
  // A tag without a protocol is an 802.1Q one, and its priority is 0.
  if (kind === 'vlan' && !kept.has(4)) kept.set(4, Uint8Array.of(0x81, 0x00))
  if (kind === 'vlan' && !kept.has(6)) kept.set(6, Uint8Array.of(0))
  if (kind === 'vlan' && u32.take(parms, 20) === vlanActions.POP) for (const id of [3, 4, 6]) kept.delete(id)
  return {
    kind,
    options: kept,
    parms,
    cookie: cookie && payload(cookie).slice(),
    // SKIP_HW and SKIP_SW of an action are one bit further left than a filter's.
    flags: (flagBits === undefined ? 0 : u32.take(flagBits.bytes, flagBits.start)) | (skips << 1),
    installed: now,
    firstUse: 0,
    lastUse: now,
    total: { packets: 0, bytes: 0n },
    hardware: { packets: 0, bytes: 0n },
  }
}

/** What the kinds say when their options or parameters are not there. */
const missing: Readonly<Record<string, { options: string; parms: string }>> = {
  mirred: {
    options: 'act_mirred: Mirred requires attributes to be passed',
    parms: 'act_mirred: Missing required mirred parameters',
  },
  pedit: {
    options: 'act_pedit: Pedit requires attributes to be passed',
    parms: 'act_pedit: Missing required TCA_PEDIT_PARMS or TCA_PEDIT_PARMS_EX pedit attribute',
  },
}

/** tcf_action_check_ctrlact(): TC_ACT_UNSPEC to TC_ACT_TRAP, or one of the two with an operand. */
function checkVerdict(verdict: number): void {
  if (verdict >= -1 && verdict <= 8) return
  const opcode = verdict >>> 28
  if (opcode === 1) notSimulated('an action that jumps')
  if (opcode === 2) return
  refuse('EINVAL', 'invalid control action')
}

function checkMirred(_: ReadonlyMap<number, Span>, parms: Uint8Array, devices: Devices): void {
  const direction = u32.take(parms, 20)
  const ifindex = u32.take(parms, 24)
  if (direction < directions.EGRESS_REDIR || direction > directions.INGRESS_MIRROR)
    refuse('EINVAL', 'act_mirred: Unknown mirred option')
  if (ifindex === 0) refuse('EINVAL', 'act_mirred: Specified device does not exist')
  if (devices.byIndex(ifindex) === undefined) refuse('ENODEV')
}

/** tunnel_key_init(): a tunnel has two ends of one family. */
function checkTunnelKey(attributes: ReadonlyMap<number, Span>, parms: Uint8Array): void {
  const what = u32.take(parms, 20)
  if (what === 2) return
  if (what !== 1) refuse('EINVAL', 'Unknown tunnel key action')
  const has = (...ids: number[]) => ids.every((id) => attributes.has(id))
  if (!has(3, 4) && !has(5, 6)) refuse('EINVAL', 'Missing either ipv4 or ipv6 src and dst')
}

function checkVlan(attributes: ReadonlyMap<number, Span>, parms: Uint8Array): void {
  const what = u32.take(parms, 20)
  if (what === vlanActions.POP) return
  if (what !== vlanActions.PUSH) {
    if (what >= 3 && what <= 5) notSimulated(`TCA_VLAN_ACT ${what}`)
    refuse('EINVAL')
  }
  const id = attributes.get(3) ?? refuse('EINVAL')
  if (u16.take(id.bytes, id.start) >= 0xfff) refuse('ERANGE')
  const protocol = attributes.get(4)
  const type = protocol === undefined ? 0x8100 : be16.take(protocol.bytes, protocol.start)
  if (type !== 0x8100 && type !== 0x88a8) refuse('EPROTONOSUPPORT')
}

function checkPedit(attributes: ReadonlyMap<number, Span>, parms: Uint8Array): void {
  const count = parms[20] as number
  if (count === 0) refuse('EINVAL', 'act_pedit: Pedit requires keys to be passed')
  if (parms.length < 24 + count * 24)
    refuse('EINVAL', 'Length of TCA_PEDIT_PARMS or TCA_PEDIT_PARMS_EX pedit attribute is invalid')
  for (let key = 0; key < count; key++) {
    if (u32.take(parms, 24 + key * 24 + 8) % 4 !== 0)
      refuse('EINVAL', 'act_pedit: Offsets must be on 32bit boundaries')
  }
  const extended = attributes.get(5)
  if (extended === undefined) return
  let left = count
  walk(extended, (id, span) => {
    const parts = parse(span)
    const [header, command] = [1, 2].map((part) => parts.get(part))
    if (id !== 6 || --left < 0 || header === undefined || command === undefined) refuse('EINVAL')
    if (u16.take(header.bytes, header.start) > 5 || u16.take(command.bytes, command.start) > 1)
      refuse('EINVAL')
  })
  if (left !== 0) refuse('EINVAL')
}

/** Writes actions as tcf_action_dump() does; tersely, without flags and options. */
export function putActions(
  writer: Writer,
  actions: readonly KernelAction[],
  { now, terse, offloaded }: { readonly now: number; readonly terse: boolean; readonly offloaded: boolean },
): void {
  actions.forEach((action, index) => {
    nest(writer, index + 1, () => {
      const rules = kinds[action.kind] as Kind
      put(writer, act.KIND, new TextEncoder().encode(`${action.kind}\0`))
      nest(writer, act.STATS, () => {
        put(writer, 1, basic(action.total))
        put(writer, 7, basic(action.hardware))
        put(writer, 3, new Uint8Array(20))
      })
      if (action.cookie !== undefined) put(writer, act.COOKIE, action.cookie)
      if (terse) return
      if (action.flags !== 0) put(writer, act.FLAGS, words(action.flags, action.flags))
      put(writer, act.IN_HW_COUNT, words(offloaded ? 1 : 0))
      nest(writer, act.OPTIONS, () => {
        for (const id of rules.dumped) {
          const data = action.options.get(id)
          if (data !== undefined) put(writer, id, data)
        }
        nest(writer, rules.times, () => times.write(writer, ages(action, now)))
      })
    })
  })
}

/** struct tcf_t: how long ago, in ticks of 10 ms. */
function ages({ installed, firstUse, lastUse }: KernelAction, now: number) {
  const ticks = (since: number) => BigInt(Math.max(0, Math.floor((now - since) / 10)))
  return {
    install: ticks(installed),
    lastuse: ticks(lastUse),
    expires: 0n,
    firstuse: firstUse === 0 ? 0n : ticks(firstUse),
  }
}

function basic({ bytes, packets }: Counters): Uint8Array {
  const data = new Uint8Array(16)
  u64.put(data, 0, bytes)
  u32.put(data, 8, packets)
  return data
}

function words(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer)
}

/** Counts one packet; `now` is left out by a device that does not say when it came. */
export function count(action: KernelAction, size: number, now: number | undefined, hardware: boolean): void {
  for (const counters of hardware ? [action.total, action.hardware] : [action.total]) {
    counters.packets++
    counters.bytes += BigInt(size)
  }
  if (now === undefined) return
  action.firstUse ||= now
  action.lastUse = now
}

/** What an action does to a packet: where it sends it, and whether the next action is reached. */
export function effectOf({ kind, parms }: KernelAction): {
  readonly ifindex?: number
  readonly verdict: number
} {
  const verdict = s32.take(parms, 8)
  if (kind !== 'mirred') return { verdict }
  return { verdict, ifindex: u32.take(parms, 24) }
}
