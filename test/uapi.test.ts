import { spawnSync } from 'node:child_process'
import t from 'tap'
import { portTypes } from '../lib/ovs/vport.js'
import * as message from '../lib/netlink/message.js'
import { linkFlags, linkMessage, linkTypes } from '../lib/device/link.js'
import { controller, GENL_ID_CTRL } from '../lib/netlink/genl.js'
import { type AttributeSet, type NamedRow } from '../lib/netlink/table.js'
import { actionList, nestedSets } from '../lib/ovs/action.js'
import { datapath } from '../lib/ovs/datapath.js'
import { commands } from '../lib/ovs/family.js'
import { flow, ufidFlags } from '../lib/ovs/flow.js'
import { flowKey, nshKey, tunnelKey, vxlanKey } from '../lib/ovs/key.js'
import { vport } from '../lib/ovs/vport.js'
import { csumFlags } from '../lib/tc/action/csum.js'
import { actionEnvelope, actionKinds } from '../lib/tc/action/index.js'
import { ctActions } from '../lib/tc/action/ct.js'
import { jumps, NESTED, verdicts } from '../lib/tc/action/kind.js'
import { directions } from '../lib/tc/action/mirred.js'
import { mplsActions } from '../lib/tc/action/mpls.js'
import { ADD, extendedKey, headerTypes, KEY_EX } from '../lib/tc/action/pedit.js'
import { packetTypes } from '../lib/tc/action/skbedit.js'
import * as tunnel from '../lib/tc/action/tunnel-key.js'
import { vlanActions } from '../lib/tc/action/vlan.js'
import { filterFlags, flower } from '../lib/tc/flower.js'
import { etherTypes, matchRows, oddRows } from '../lib/tc/match.js'
import { ctFlags, ctState } from '../lib/tc/match-ct.js'
import { mplsOpts, mplsRows } from '../lib/tc/match-mpls.js'
import { encFlags, tunnelFlags } from '../lib/tc/match-tunnel.js'
import { encOpts } from '../lib/tc/match-tunnel-options.js'
import { hooks, tcMessage, types } from '../lib/tc/message.js'
import { actionStats } from '../lib/tc/stats.js'

interface Fact {
  readonly uapi: string
  readonly value: number
  readonly since?: string
}

const rowsOf = (set: { readonly rows: readonly NamedRow[] }): Fact[] =>
  set.rows.map(({ uapi, id, since }) => ({ uapi, value: id, ...(since === undefined ? {} : { since }) }))

const named = (prefix: string, table: Readonly<Record<string, number>>): Fact[] =>
  Object.entries(table).map(([name, value]) => ({ uapi: `${prefix}${name}`, value }))

const sets = [
  controller.body as AttributeSet<object>,
  datapath.body,
  vport.body,
  flow.body,
  flowKey,
  tunnelKey,
  vxlanKey,
  nshKey,
  actionList.set,
  ...nestedSets,
  tcMessage.body,
  linkMessage.body,
  flower,
  actionEnvelope,
  actionStats,
  extendedKey,
  tunnel.geneveOption,
  tunnel.vxlanOption,
  tunnel.erspanOption,
  ...actionKinds.map(({ options }) => options),
]

/** The one conntrack state openvswitch has another name for. */
const ovsName: Readonly<Record<string, string>> = { REPLY: 'REPLY_DIR' }

const facts: Fact[] = [
  ...sets.flatMap(rowsOf),
  ...matchRows.map(({ uapi, id }) => ({ uapi, value: id })),
  ...matchRows.flatMap(({ uapi, maskId }) =>
    maskId === undefined ? [] : [{ uapi: `${uapi}_MASK`, value: maskId }],
  ),
  { uapi: KEY_EX.uapi, value: KEY_EX.id },
  ...[oddRows, encOpts, mplsOpts].flatMap((rows) =>
    Object.values(rows).map(({ uapi, id }) => ({ uapi, value: id })),
  ),
  ...Object.values(encFlags).map(({ uapi, id, since }) => ({ uapi, value: id, since })),
  ...tunnelFlags.map(({ uapi, bit }) => {
    return { uapi: `TCA_FLOWER_KEY_FLAGS_TUNNEL_${uapi}`, value: bit, since: encFlags.flags.since }
  }),
  { uapi: ctState.uapi, value: ctState.id },
  { uapi: ctState.maskUapi, value: ctState.maskId },
  ...ctFlags.map(({ name, flower }) => ({ uapi: `TCA_FLOWER_KEY_CT_FLAGS_${name}`, value: flower })),
  ...ctFlags.map(({ name, ovs }) => ({ uapi: `OVS_CS_F_${ovsName[name] ?? name}`, value: ovs })),
  ...mplsRows.flatMap(({ uapi, id, lseId }) => [
    { uapi: `TCA_FLOWER_KEY_MPLS_${uapi}`, value: id },
    { uapi: `TCA_FLOWER_KEY_MPLS_OPT_LSE_${uapi}`, value: lseId },
  ]),
  ...named('NLM_F_', message.flags),
  ...named('NLMSG_', message.control),
  ...named('OVS_FLOW_CMD_', commands),
  ...named('OVS_DP_CMD_', commands),
  ...named('OVS_VPORT_CMD_', commands),
  ...portTypes.map((type, index) => ({ uapi: `OVS_VPORT_TYPE_${type.toUpperCase()}`, value: index + 1 })),
  ...['OMIT_KEY', 'OMIT_MASK', 'OMIT_ACTIONS'].map((name) => {
    return { uapi: `OVS_UFID_F_${name}`, value: ufidFlags[name as keyof typeof ufidFlags] }
  }),
  ...named('TC_ACT_', verdicts),
  ...named('TC_ACT_', jumps),
  ...actionKinds.map(({ kind, pad }) => ({ uapi: `TCA_${kind.toUpperCase()}_PAD`, value: pad })),
  ...named('TCA_CT_ACT_', ctActions),
  ...named('TCA_MPLS_ACT_', mplsActions),
  ...named('TCA_TUNNEL_KEY_ACT_', tunnel.tunnelKeyActions),
  ...named('TCA_TUNNEL_KEY_ENC_OPTS_', tunnel.tunnelOptionSorts),
  ...named('PACKET_', packetTypes),
  { uapi: 'NLA_F_NESTED', value: NESTED },
  { uapi: 'TCA_PEDIT_KEY_EX_CMD_ADD', value: ADD >> 16 },
  ...named('TCA_', directions),
  ...named('TCA_VLAN_ACT_', vlanActions),
  ...named('TCA_CSUM_UPDATE_FLAG_', csumFlags),
  ...named('TCA_PEDIT_KEY_EX_HDR_TYPE_', headerTypes),
  ...named('TCA_CLS_FLAGS_', filterFlags),
  ...named('RTM_', types),
  ...named('RTM_', linkTypes),
  ...named('IFF_', linkFlags),
  ...named('CTRL_CMD_', controller.commands),
  { uapi: 'GENL_ID_CTRL', value: GENL_ID_CTRL },
  { uapi: 'TC_H_INGRESS', value: hooks.QDISC },
  { uapi: 'TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)', value: hooks.INGRESS },
  { uapi: 'ETH_P_IP', value: etherTypes.IPV4 },
  { uapi: 'ETH_P_ARP', value: etherTypes.ARP },
  { uapi: 'ETH_P_8021Q', value: etherTypes.VLAN },
  { uapi: 'ETH_P_IPV6', value: etherTypes.IPV6 },
  { uapi: 'ETH_P_8021AD', value: etherTypes.QINQ },
]

const headers = [
  'linux/version.h',
  'linux/if_ether.h',
  'linux/netlink.h',
  'linux/genetlink.h',
  'linux/openvswitch.h',
  'linux/if.h',
  'linux/if_packet.h',
  'linux/rtnetlink.h',
  'linux/pkt_sched.h',
  'linux/pkt_cls.h',
  'linux/gen_stats.h',
  ...actionKinds.filter(({ kind }) => kind !== 'police').map(({ kind: name }) => `linux/tc_act/tc_${name}.h`),
]

/** Compiles one assertion a line and says which lines failed, and how. */
function compile(lines: readonly string[]): Map<number, string> {
  const { stderr, error } = spawnSync('g++', ['-std=c++20', '-fsyntax-only', '-x', 'c++', '-'], {
    input: lines.join('\n'),
    encoding: 'utf8',
  })
  if (error !== undefined) throw error
  return new Map(
    [...stderr.matchAll(/^<stdin>:(\d+):\d+: error: (.*)$/gm)].map(([, line, text]) => [
      Number(line),
      text ?? '',
    ]),
  )
}

t.test('every number is the one in the kernel headers', async (t) => {
  const lines = headers.map((header) => `#include <${header}>`)
  const first = lines.length + 1
  for (const { uapi, value } of facts) lines.push(`static_assert((unsigned)(${uapi}) == ${value}u, "");`)
  const errors = compile(lines)
  const newer: string[] = []
  facts.forEach(({ uapi, value, since }, index) => {
    const error = errors.get(first + index)
    if (error?.includes('was not declared')) {
      newer.push(uapi)
      t.ok(since, `${uapi} is not in these headers, and its row says since which kernel it is`)
    } else t.equal(error, undefined, `${uapi} is ${value}`)
  })
  t.ok(facts.length > 150, `${facts.length} numbers were compared`)
  t.ok(newer.length < 15, `the headers know all but ${newer.join(', ')}`)
})

t.test('a wrong number would be noticed', async (t) => {
  const errors = compile(['#include <linux/openvswitch.h>', 'static_assert(OVS_KEY_ATTR_IN_PORT == 4, "");'])
  t.match(errors.get(2), /static assertion failed/)
})
