import type { CtAction, Nat } from '../../../../types/action.js'
import { type CtOptions, ctActions } from '../../../tc/action/ct.js'
import { verdicts } from '../../../tc/action/kind.js'
import type { Read } from './reading.js'
import { needsIp } from './headers.js'
import type { Translate, Translation } from './translation.js'

const parms = { action: verdicts.PIPE }

export const translateCt: Translate<CtAction> = (ct, translation, { path }) => {
  needsIp(translation, path)
  for (const [part, problem] of Object.entries(missing)) {
    if (ct[part as keyof CtAction] !== undefined)
      translation.refuse(`${path}.${part}`, 'NO_TC_ACTION', problem)
  }
  const { commit, forceCommit, zone = 0, mark, labels, nat, helper } = ct
  if (helper !== undefined && !translation.abilities.supports?.has('ctHelper'))
    translation.refuse(`${path}.helper`, 'NEEDS_KERNEL', 'TC knows helpers since Linux 6.2')
  const commits = commit || forceCommit
  for (const part of ['mark', 'labels'] as const) {
    if (ct[part] === undefined) continue
    if (!commits) translation.refuse(`${path}.${part}`, 'KERNEL_RULE', `${part} is written with commit only`)
    if (!ct[part].mask) translation.refuse(`${path}.${part}`, 'KERNEL_RULE', 'a mask of zeros writes nothing')
  }
  const flags = (commits ? ctActions.COMMIT : 0) | (forceCommit ? ctActions.FORCE : 0)
  const options: CtOptions = {
    parms,
    flags: flags | natFlags(nat),
    ...(zone === 0 ? {} : { zone }),
    ...(mark === undefined ? {} : { mark: mark.value, markMask: mark.mask }),
    ...(labels === undefined ? {} : { labels: labels.value, labelsMask: labels.mask }),
    ...(nat === undefined ? {} : translateNat(nat, Boolean(commits), translation, `${path}.nat`)),
    ...(helper === undefined ? {} : translateHelper(helper, translation)),
  }
  translation.push({ kind: 'ct', options })
}

/** Parts act_ct has nothing for. */
const missing: { readonly [K in keyof CtAction]?: string } = {
  timeout: 'TC knows no timeout policies',
  eventMask: 'TC cannot choose the events of a connection',
  unknown: 'an attribute nobody knows',
}

const missingNat: { readonly [K in keyof Nat]?: string } = {
  persistent: 'TC cannot keep a client at one address',
  protoHash: 'TC cannot choose ports by hash',
  protoRandom: 'TC cannot choose ports at random',
  unknown: 'an attribute nobody knows',
}

function natFlags(nat: Nat | undefined): number {
  if (nat === undefined) return 0
  return ctActions.NAT | (nat.src ? ctActions.NAT_SRC : 0) | (nat.dst ? ctActions.NAT_DST : 0)
}

function translateNat(nat: Nat, commits: boolean, translation: Translation, path: string): CtOptions {
  const { src, dst, ipMin, ipMax, protoMin, protoMax } = nat
  for (const [part, problem] of Object.entries(missingNat)) {
    if (nat[part as keyof Nat] !== undefined) translation.refuse(`${path}.${part}`, 'NO_TC_ACTION', problem)
  }
  const rule = (part: string, problem: string) => translation.refuse(`${path}${part}`, 'KERNEL_RULE', problem)
  if (src && dst) rule('.dst', 'source and destination are not translated at once')
  if ((src || dst) && !commits) rule('', 'an address is translated with commit only')
  const hasRange = [ipMin, ipMax, protoMin, protoMax].some((part) => part !== undefined)
  if (hasRange && !src && !dst) rule('', 'a range needs src or dst')
  if (ipMax !== undefined && ipMin === undefined) rule('.ipMax', 'a range begins with ipMin')
  if (protoMax !== undefined && protoMin === undefined) rule('.protoMax', 'a range begins with protoMin')
  const v6 = translation.packet.etherType === 0x86dd
  if ([ipMin, ipMax].some((address) => address !== undefined && address.includes(':') !== v6)) {
    rule('.ipMin', `addresses of IPv${v6 ? 6 : 4}, as in the flow`)
  }
  const max = ipMax ?? ipMin
  const range =
    ipMin === undefined || max === undefined
      ? {}
      : v6
        ? { ipv6Min: ipMin, ipv6Max: max }
        : { ipv4Min: ipMin, ipv4Max: max }
  return { ...range, ...(protoMin === undefined ? {} : { portMin: protoMin, portMax: protoMax ?? protoMin }) }
}

const AF_INET = 2
const AF_INET6 = 10

/** openvswitch looks the helper up by the key's IP version and protocol; TC wants to be told. */
function translateHelper(helper: string, { packet, inner }: Translation): CtOptions {
  const { proto: helperProto = 0 } = inner.key.ipv4 ?? inner.key.ipv6 ?? {}
  return { helper, helperFamily: packet.etherType === 0x86dd ? AF_INET6 : AF_INET, helperProto }
}

export const translateCtClear: Translate<true> = (_, translation) => {
  translation.push({ kind: 'ct', options: { parms, flags: ctActions.CLEAR } })
}

const KNOWN_FLAGS = Object.values(ctActions).reduce((sum, flag) => sum | flag, 0)

/** As openvswitch reports it: with its zone, and with the end of a range only where it is another than the beginning. */
export const readCt: Read<'ct'> = ({ options }) => {
  const {
    flags = 0,
    zone = 0,
    mark,
    markMask = 0xffffffff,
    labels,
    labelsMask = (1n << 128n) - 1n,
    helper,
  } = options
  if (flags & ~KNOWN_FLAGS) return undefined
  if (flags & ctActions.CLEAR) return flags === ctActions.CLEAR ? [{ ctClear: true }] : undefined
  if (flags & ctActions.FORCE && !(flags & ctActions.COMMIT)) return undefined
  const ct: CtAction = {
    ...(flags & ctActions.FORCE ? { forceCommit: true } : flags & ctActions.COMMIT ? { commit: true } : {}),
    zone,
    ...(mark === undefined ? {} : { mark: { value: mark, mask: markMask } }),
    ...(labels === undefined ? {} : { labels: { value: labels, mask: labelsMask } }),
    ...(helper === undefined ? {} : { helper }),
    ...(flags & ctActions.NAT ? { nat: readNat(flags, options) } : {}),
  }
  return [{ ct }]
}

function readNat(flags: number, options: CtOptions): Nat {
  const ipMin = options.ipv4Min ?? options.ipv6Min
  const ipMax = options.ipv4Max ?? options.ipv6Max
  const { portMin: protoMin, portMax: protoMax } = options
  return {
    ...(flags & ctActions.NAT_SRC ? { src: true } : {}),
    ...(flags & ctActions.NAT_DST ? { dst: true } : {}),
    ...(ipMin === undefined ? {} : { ipMin }),
    ...(ipMax === undefined || ipMax === ipMin ? {} : { ipMax }),
    ...(protoMin === undefined ? {} : { protoMin }),
    ...(protoMax === undefined || protoMax === protoMin ? {} : { protoMax }),
  }
}
