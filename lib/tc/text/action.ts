import { ipv4, ipv6 } from '../../netlink/addresses.js'
import { u128 } from '../../netlink/integers.js'
import { csumFlags } from '../action/csum.js'
import { type CtOptions, ctActions } from '../action/ct.js'
import type { TcAction, TcActionOf } from '../action/index.js'
import { jumpOf, verdicts } from '../action/kind.js'
import { directions } from '../action/mirred.js'
import { mplsActions } from '../action/mpls.js'
import { packetTypes } from '../action/skbedit.js'
import { tunnelKeyActions, type TunnelOptions } from '../action/tunnel-key.js'
import { vlanActions } from '../action/vlan.js'
import { sayPedit } from './pedit.js'
import { bytesOf, hexOf, Phrase, protocolName } from './phrase.js'

/*
 * Actions in the words of `tc`, iproute2 6.1 (tc/m_*.c), each with what happens next, because its defaults differ from kind to kind.
 */

/** How a device is called; undefined for one that nobody knows. */
export type NameOf = (ifindex: number) => string | undefined

/** Says the options of an action of one kind; the verdict follows unless this answers true. */
type Say<K extends TcAction['kind']> = (
  options: Extract<TcAction, { kind: K; options: unknown }>['options'],
  phrase: Phrase,
  nameOf: NameOf,
) => boolean | void

/** TC_ACT_* that have a word. */
const verdictNames: Readonly<Record<number, string>> = {
  [-1]: 'continue',
  0: 'ok',
  1: 'reclassify',
  [verdicts.SHOT]: 'drop',
  [verdicts.PIPE]: 'pipe',
  8: 'trap',
}

function sayVerdict(verdict: number | undefined, phrase: Phrase): void {
  const chain = verdict === undefined ? undefined : jumpOf(verdict, 'GOTO_CHAIN')
  const target = verdict === undefined ? undefined : jumpOf(verdict, 'JUMP')
  const name = verdict === undefined ? undefined : verdictNames[verdict]
  if (chain !== undefined) phrase.say('goto', 'chain', chain)
  else if (target !== undefined) phrase.say('jump', target)
  else if (name !== undefined) phrase.say(name)
  else phrase.lack(`a verdict of ${verdict}`)
}

const nameIn = (numbers: Readonly<Record<string, number>>, value: number | undefined): string | undefined =>
  Object.entries(numbers)
    .find(([, number]) => number === value)?.[0]
    .toLowerCase()

/** Says every option that is there, each behind its word. */
function sayParts(
  phrase: Phrase,
  parts: readonly (readonly [word: string, value: string | number | undefined])[],
): void {
  for (const [word, value] of parts) if (value !== undefined) phrase.say(word, value)
}

const csumNames: readonly (readonly [flag: number, name: string])[] = [
  [csumFlags.IPV4HDR, 'ip4h'],
  [csumFlags.ICMP, 'icmp'],
  [csumFlags.TCP, 'tcp'],
  [csumFlags.UDP, 'udp'],
  [csumFlags.SCTP, 'sctp'],
]

const sayCsum: Say<'csum'> = ({ parms }, phrase) => {
  let left = parms?.updateFlags ?? 0
  for (const [flag, name] of csumNames) {
    if (left & flag) phrase.say(name)
    left &= ~flag
  }
  if (left !== 0) phrase.lack(`csum ${hexOf(left)}: checksums nobody knows`)
}

const wordsOf: Readonly<Record<string, string>> = {
  egress_redir: 'egress redirect',
  ingress_redir: 'ingress redirect',
  egress_mirror: 'egress mirror',
  ingress_mirror: 'ingress mirror',
}

const sayMirred: Say<'mirred'> = ({ parms }, phrase, nameOf) => {
  const direction = nameIn(directions, parms?.eaction) ?? ''
  const isRedirect = direction.endsWith('_redir')
  phrase.say(...(wordsOf[direction] ?? '').split(' '))
  const name = parms === undefined ? undefined : nameOf(parms.ifindex)
  if (name === undefined) phrase.lack(`mirred: the device ${parms?.ifindex}, whose name nobody knows`)
  else phrase.say('dev', name)
  if (isRedirect && parms?.action !== verdicts.STOLEN)
    phrase.lack(`mirred ${direction}: a verdict of ${parms?.action}`)
  return isRedirect
}

const sayMpls: Say<'mpls'> = ({ parms, protocol, label, tc, ttl, bos }, phrase) => {
  phrase.say(nameIn(mplsActions, parms?.mplsAction) ?? '')
  sayParts(phrase, [
    ['protocol', protocol === undefined ? undefined : protocolName(protocol)],
    ['label', label],
    ['tc', tc],
    ['ttl', ttl],
    ['bos', bos],
  ])
}

/** A policer that others share is bound by its number; of what it does it knows itself. */
const sayPolice: Say<'police'> = ({ parms, result = 0, packetRate }, phrase) => {
  const { index = 0, mtu, rate = 0, peakRate = 0, action = 0 } = parms ?? { action: 0 }
  if (index !== 0) {
    phrase.say('index', index)
    return true
  }
  if (rate !== 0 || peakRate !== 0 || packetRate !== undefined || !mtu)
    phrase.lack('police: a rate; bind one by its index')
  phrase.say('mtu', mtu ?? 0, 'conform-exceed')
  sayVerdict(action, phrase)
  phrase.say('/')
  sayVerdict(result, phrase)
  return true
}

const saySample: Say<'sample'> = ({ rate, truncate, group }, phrase) =>
  sayParts(phrase, [
    ['rate', rate],
    ['group', group],
    ['trunc', truncate],
  ])

const saySkbedit: Say<'skbedit'> = ({ priority, mark, mask, ptype }, phrase) => {
  const bits = mask === undefined ? '' : `/${hexOf(mask)}`
  sayParts(phrase, [
    [
      'priority',
      priority === undefined
        ? undefined
        : `${(priority >>> 16).toString(16)}:${(priority & 0xffff).toString(16)}`,
    ],
    ['mark', mark === undefined ? undefined : `${hexOf(mark)}${bits}`],
    ['ptype', ptype === undefined ? undefined : (nameIn(packetTypes, ptype) ?? ptype)],
  ])
}

const sayVlan: Say<'vlan'> = ({ parms, id, protocol, priority, ethDst, ethSrc }, phrase) => {
  phrase.say(nameIn(vlanActions, parms?.vlanAction) ?? '')
  sayParts(phrase, [
    ['id', id],
    ['protocol', protocol === undefined ? undefined : protocolName(protocol)],
    ['priority', priority],
    ['dst_mac', ethDst],
    ['src_mac', ethSrc],
  ])
}

/** Options of a tunnel, as `tc` writes them behind one another. */
const optionTexts: {
  readonly [K in keyof TunnelOptions]-?: (options: NonNullable<TunnelOptions[K]>) => string
} = {
  geneve: (list) =>
    list
      .map(
        ({ class: owner = 0, type = 0, data = none }) =>
          `${owner.toString(16)}:${type.toString(16)}:${bytesOf(data)}`,
      )
      .join(','),
  vxlan: ({ gbp = 0 }) => hexOf(gbp),
  // A part that is left out is 0, and of the parts of the other version the kernel takes no notice.
  erspan: ({ version = 0, index = 0, direction = 0, hwid = 0 }) =>
    [version, index, direction, hwid].join(':'),
}

const sayTunnelKey: Say<'tunnel_key'> = ({ parms, encap = {}, ...options }, phrase) => {
  if (parms?.tunnelAction === tunnelKeyActions.RELEASE) return phrase.say('unset')
  phrase.say('set')
  const { id, ipv4Src, ipv4Dst, ipv6Src, ipv6Dst, dstPort, noCsum, tos, ttl, noFrag } = options
  sayParts(phrase, [
    ['src_ip', ipv4Src ?? ipv6Src],
    ['dst_ip', ipv4Dst ?? ipv6Dst],
    ['id', id],
    ['dst_port', dstPort],
    ['tos', tos],
    ['ttl', ttl],
  ])
  for (const [name, write] of Object.entries(optionTexts) as [
    keyof TunnelOptions,
    (value: unknown) => string,
  ][])
    if (encap[name] !== undefined) phrase.say(`${name}_opts`, write(encap[name]))
  phrase.say(noCsum ? 'nocsum' : 'csum')
  if (noFrag) phrase.lack('tunnel_key nofrag: iproute2 knows it from 6.4 on')
}

const none = new Uint8Array(0)

const sayCt: Say<'ct'> = (options, phrase) => {
  const { flags = 0, zone, mark, markMask, labels, labelsMask } = options
  const { COMMIT, FORCE, CLEAR, NAT } = ctActions
  if (flags & CLEAR) phrase.say('clear')
  if (flags & COMMIT) phrase.say('commit')
  if (flags & FORCE) phrase.say('force')
  if (options.helper !== undefined) phrase.lack('ct helper: iproute2 knows it from 6.2 on')
  sayParts(phrase, [
    ['zone', zone],
    ['mark', mark === undefined ? undefined : `${hexOf(mark)}/${hexOf(markMask ?? 0xffffffff)}`],
    ['label', labels === undefined ? undefined : `${labelOf(labels)}/${labelOf(labelsMask ?? u128.ones)}`],
  ])
  if (flags & NAT) sayNat(flags, options, phrase)
}

function labelOf(value: bigint): string {
  const bytes = new Uint8Array(16)
  u128.put(bytes, 0, value)
  return bytesOf(bytes)
}

/** Behind `nat` comes a direction, behind that an address. */
function sayNat(
  flags: number,
  { ipv4Min, ipv4Max, ipv6Min, ipv6Max, portMin, portMax }: CtOptions,
  phrase: Phrase,
): void {
  const direction = flags & ctActions.NAT_SRC ? 'src' : flags & ctActions.NAT_DST ? 'dst' : undefined
  phrase.say('nat')
  const min = ipv4Min ?? ipv6Min
  if (direction === undefined) {
    if (flags & ctActions.COMMIT) phrase.lack('ct nat: commit without a direction')
    return
  }
  if (min === undefined) return phrase.lack(`ct nat ${direction}: it wants an address`)
  const codec = ipv4Min === undefined ? ipv6 : ipv4
  phrase.say(direction, 'addr', rangeOf(codec.format(min), ipv4Max ?? ipv6Max))
  if (portMin !== undefined) phrase.say('port', rangeOf(portMin, portMax))
}

const rangeOf = (min: string | number, max: string | number | undefined): string =>
  max === undefined || max === min ? String(min) : `${min}-${max}`

const kinds: { readonly [K in Exclude<TcAction['kind'], 'other'>]: Say<K> } = {
  csum: sayCsum,
  ct: sayCt,
  gact: () => {},
  mirred: sayMirred,
  mpls: sayMpls,
  pedit: sayPedit,
  police: sayPolice,
  sample: saySample,
  skbedit: saySkbedit,
  tunnel_key: sayTunnelKey,
  vlan: sayVlan,
}

/** Says the actions of a filter in their order. A cookie goes on to the actions behind it in `tc`, which changes no flow: the last counts. */
export function sayActions(actions: readonly TcAction[], phrase: Phrase, nameOf: NameOf): void {
  for (const action of actions) {
    if (action.kind === 'other') {
      phrase.lack(`the action ${action.name}`)
      continue
    }
    phrase.say('action', action.kind)
    const options: TcActionOf<'gact'>['options'] & { readonly unknown?: readonly unknown[] } = action.options
    if (options.unknown?.length) phrase.lack(`${action.kind}: attributes nobody knows`)
    const say = kinds[action.kind] as Say<'gact'>
    if (say(options, phrase, nameOf) !== true) sayVerdict(options.parms?.action, phrase)
    if (action.cookie !== undefined) phrase.say('cookie', bytesOf(action.cookie))
    if (action.flags !== undefined && action.flags.value & 1) phrase.say('no_percpu')
  }
}
