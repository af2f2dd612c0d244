import { isIPv6 } from 'node:net'
import type { CtAction, Nat } from '../../types/action.js'
import { type Flow, isIp } from './action-rules-packet.js'

type Report = (path: string, problem: string) => void

/** What the kernel refuses in connection tracking (ovs_ct_copy_action(), net/openvswitch/conntrack.c). */
export function ctViolations(ct: CtAction, flow: Flow, say: Report): void {
  const commits = ct.commit || ct.forceCommit
  if (!isIp(flow.etherType)) say('ct', 'ct() needs a match on eth_type(0x0800) or 0x86dd')
  for (const name of ['mark', 'labels'] as const) {
    const bits = ct[name]
    if (bits === undefined) continue
    if (!bits.mask) say(`ct.${name}`, `ct() sets at least one bit of ${name}, so its mask is not 0`)
    if (!commits) say(`ct.${name}`, `ct() sets ${name} of connections that it commits; add commit`)
  }
  if (ct.nat !== undefined) natViolations(ct.nat, commits === true, flow, say)
}

const rangeParts = [
  'ipMin',
  'ipMax',
  'protoMin',
  'protoMax',
  'persistent',
  'protoHash',
  'protoRandom',
] as const

function natViolations(nat: Nat, commits: boolean, flow: Flow, say: Report): void {
  const way = nat.src || nat.dst
  if (nat.src && nat.dst) say('ct.nat', 'nat() translates src or dst, not both')
  if (way && !commits) say('ct.nat', 'nat() with src or dst needs a commit in its ct()')
  const extra = rangeParts.find((name) => nat[name] !== undefined)
  if (!way && extra !== undefined) say(`ct.nat.${extra}`, `nat() with ${extra} needs src or dst`)
  for (const name of ['ipMin', 'ipMax'] as const) {
    const address = nat[name]
    if (address === undefined || !isIp(flow.etherType)) continue
    const version = flow.etherType === 0x0800 ? 4 : 6
    if (isIPv6(address) !== (version === 6))
      say(`ct.nat.${name}`, `${address} is no address for an IPv${version} flow`)
  }
}
