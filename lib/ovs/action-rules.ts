import type { Action } from '../../types/action.js'
import type { FlowKey } from '../../types/flow.js'
import { ctViolations } from './action-rules-ct.js'
import { ETHERNET, isMpls, isPushable, type Packet, packetOf } from './action-rules-packet.js'
import { setViolations } from './action-rules-set.js'
import type { Violation } from './rules.js'

/** How deep the kernel lets lists lie in one another (OVS_COPY_ACTIONS_MAX_DEPTH). */
const DEEPEST = 16
const PORTS = 0xffff
/** ETH_HLEN. */
const SHORTEST = 14

/**
 * The kernel's rules that actions break, as far as they are known here and hold on every kernel; for the person who was told EINVAL
 * (`__ovs_nla_copy_actions()`, net/openvswitch/flow_netlink.c). What ports, meters and modules there are is not asked.
 */
export function actionViolationsOf(actions: readonly Action[], key: FlowKey, mask: FlowKey): Violation[] {
  const found: Violation[] = []
  walk(actions, packetOf(key, mask), '', 0, (path, problem) => found.push({ path, problem }))
  return found
}

type Report = (path: string, problem: string) => void

/** Like the kernel, knows at each action what the packet has become. What an inner list does to it stays inside. */
function walk(actions: readonly Action[], packet: Packet, path: string, depth: number, report: Report): void {
  if (depth > DEEPEST) return report(path, `lists lie in one another at most ${DEEPEST} deep`)
  let now = packet
  for (const [index, action] of actions.entries()) {
    const at = `${path}actions[${index}]`
    const say: Report = (where, problem) => report(`${at}.${where}`, problem)
    if (action.drop !== undefined && index !== actions.length - 1) say('drop', 'nothing comes behind a drop')
    judge(action, now, say)
    // It asks the match again, not the actions before, whether there is an Ethernet header (`mac_proto`).
    const inside = { ...now, ethernet: packet.flow.ethernet }
    for (const [where, inner] of listsOf(action)) walk(inner, inside, `${at}.${where}.`, depth + 1, report)
    now = after(action, now)
  }
}

function listsOf({
  clone,
  sample,
  checkPktLen,
  decTtl,
}: Action): [where: string, inner: readonly Action[]][] {
  const lists: [string, readonly Action[] | undefined][] = [
    ['clone', clone],
    ['sample', sample?.actions],
    ['checkPktLen.greater', checkPktLen?.greater],
    ['checkPktLen.lessEqual', checkPktLen?.lessEqual],
    ['decTtl', decTtl?.action],
  ]
  return lists.filter((list): list is [string, readonly Action[]] => list[1] !== undefined)
}

/** Judges one action by itself and by what the packet is. */
function judge(action: Action, packet: Packet, say: Report): void {
  const { output, userspace, sample, hash, trunc, checkPktLen, decTtl, psample, ct, set, setMasked } = action
  if (output !== undefined && output >= PORTS) say('output', `a datapath has no port ${output}`)
  if (userspace !== undefined && !userspace.pid) say('userspace.pid', 'userspace() needs a pid other than 0')
  if (hash !== undefined && (hash.alg ?? 0) > 1) say('hash.alg', `there is no hash algorithm ${hash.alg}`)
  if (trunc !== undefined && trunc < SHORTEST)
    say('trunc', `a packet is cut to ${SHORTEST} bytes or more, not ${trunc}`)
  if (sample !== undefined) {
    if (sample.probability === undefined) say('sample.probability', 'sample() needs a probability')
    if (sample.actions === undefined) say('sample.actions', 'sample() needs actions, if only an empty list')
  }
  if (checkPktLen !== undefined) {
    if (!checkPktLen.size) say('checkPktLen.size', 'check_pkt_len() needs a size other than 0')
    for (const branch of ['greater', 'lessEqual'] as const) {
      if (checkPktLen[branch] === undefined)
        say(`checkPktLen.${branch}`, 'check_pkt_len() needs both branches, if only an empty list')
    }
  }
  if (decTtl !== undefined && decTtl.action === undefined) say('decTtl.action', 'dec_ttl() needs le_1()')
  if (psample !== undefined && psample.group === undefined) say('psample.group', 'psample() needs a group')
  if (ct !== undefined) ctViolations(ct, packet.flow, say)
  if (set !== undefined) setViolations(set, undefined, packet, say)
  if (setMasked !== undefined) setViolations(setMasked.key, setMasked.mask, packet, say)
  judgeHeaders(action, packet, say)
}

/** Judges what adds headers and removes them. */
function judgeHeaders(action: Action, packet: Packet, say: Report): void {
  const { pushVlan, popVlan, pushMpls, popMpls, addMpls, pushEth, popEth, pushNsh, popNsh } = action
  if (pushVlan !== undefined) {
    const { tpid = 0x8100, cfi = 1 } = pushVlan
    if (!packet.ethernet) say('pushVlan', NO_ETHERNET)
    if (tpid !== 0x8100 && tpid !== 0x88a8) say('pushVlan.tpid', 'a tag has tpid 0x8100 or 0x88a8')
    if (cfi !== 1) say('pushVlan.cfi', 'push_vlan() goes with cfi=1')
  }
  if (popVlan && !packet.ethernet) say('popVlan', NO_ETHERNET)
  for (const [name, label] of [
    ['pushMpls', pushMpls],
    ['addMpls', addMpls],
  ] as const) {
    if (label === undefined) continue
    if (!isMpls(label.etherType ?? 0x8847))
      say(`${name}.etherType`, 'a label goes with eth_type 0x8847 or 0x8848')
    if (name === 'addMpls' && ((addMpls?.flags ?? 0) & 1) === 0) continue
    if (packet.tagged) say(name, 'a label does not go behind a VLAN tag; pop it first')
    else if (!isPushable(packet.etherType))
      say(name, 'a label goes before IP, ARP and MPLS, so match eth_type() exactly')
  }
  if (popMpls !== undefined) {
    if (packet.tagged) say('popMpls', 'a label is not taken from behind a VLAN tag; pop it first')
    else if (!isMpls(packet.etherType)) say('popMpls', 'there is no label; match eth_type(0x8847) or 0x8848')
  }
  if (pushEth !== undefined && packet.ethernet) say('pushEth', 'the packet has an Ethernet header already')
  if (popEth) {
    if (!packet.ethernet) say('popEth', NO_ETHERNET)
    else if (packet.tagged) say('popEth', 'an Ethernet header with a VLAN tag does not go; pop the tag first')
  }
  if (pushNsh !== undefined) {
    const { base, md1, md2 } = pushNsh
    if (!packet.ethernet && !nextProtocols.has(packet.etherType))
      say(
        'pushNsh',
        'without an Ethernet header it goes before IP, NSH and MPLS, so match eth_type() exactly',
      )
    if (base === undefined) say('pushNsh.base', 'push_nsh() needs a base')
    else if (base.mdtype === 1 && md1 === undefined) say('pushNsh.md1', 'mdtype 1 goes with c1 to c4')
    else if (base.mdtype === 2 && md2 === undefined) say('pushNsh.md2', 'mdtype 2 goes with md2')
    else if (base.mdtype !== 1 && base.mdtype !== 2) say('pushNsh.base.mdtype', 'mdtype is 1 or 2')
  }
  if (popNsh) {
    if (packet.etherType !== 0x894f) say('popNsh', 'there is no header; match eth_type(0x894f)')
    else if (!isNextProtocol(packet.flow.nsh?.base?.np ?? 0))
      say('popNsh', 'what is behind the header is not known; match np from 1 to 5 exactly')
  }
}

/** Ethernet types that are a next protocol (tun_p_from_eth_p(), include/net/tun_proto.h), and those by their numbers. */
const nextProtocols: ReadonlySet<number> = new Set([0x0800, 0x86dd, 0x6558, 0x894f, 0x8847])
const isNextProtocol = (np: number) => np >= 1 && np <= 5

const NO_ETHERNET = 'the packet has no Ethernet header'

/** What the packet is behind an action. */
function after(action: Action, packet: Packet): Packet {
  const { pushVlan, popVlan, pushMpls, popMpls, addMpls, pushEth, popEth, pushNsh, popNsh } = action
  if (pushVlan !== undefined) return { ...packet, tagged: true }
  if (popVlan) return { ...packet, tagged: false }
  if (pushMpls !== undefined) {
    return { ...packet, etherType: pushMpls.etherType ?? 0x8847, labels: packet.labels + 1 }
  }
  if (popMpls !== undefined) {
    // Behind the last label that is known about there is anything.
    const labels = packet.labels - 1
    return { ...packet, labels, etherType: isMpls(popMpls) && labels !== 0 ? popMpls : 0 }
  }
  if (addMpls !== undefined) {
    const etherType = addMpls.etherType ?? 0x8847
    if ((addMpls.flags ?? 0) & 1) return { ...packet, etherType, labels: packet.labels + 1 }
    return { ...packet, etherType, ethernet: false, labels: packet.ethernet ? 1 : packet.labels + 1 }
  }
  if (pushEth !== undefined) return { ...packet, ethernet: true }
  if (popEth || pushNsh !== undefined) return { ...packet, ethernet: false }
  if (popNsh) return { ...packet, ethernet: packet.flow.nsh?.base?.np === ETHERNET }
  return packet
}
