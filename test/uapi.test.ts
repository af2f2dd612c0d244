import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { portTypes } from '../lib/ovs/vport.js'
import * as message from '../lib/netlink/message.js'
import { devlink, devlinkVersion, eswitchModes, portFlavours, RUNNING } from '../lib/device/devlink.js'
import { BIT, ethtool, ethtoolBit, ethtoolBitset, ethtoolHeader } from '../lib/device/ethtool.js'
import { extMask, linkFlags, linkInfo, linkLayers, linkMessage, linkTypes } from '../lib/device/link.js'
import { geneveData, greData, vxlanData } from '../lib/device/tunnel.js'
import {
  connectionMessage,
  counters,
  helperInfo,
  protoInfo,
  sctpInfo,
  sctpStates,
  statusNames,
  tcpEndFlags,
  tcpInfo,
  tcpStates,
  timestamp,
  tuple,
  tupleIp,
  tupleProto,
} from '../lib/netfilter/connection.js'
import { connectionCommands, subsystems, timeoutCommands } from '../lib/netfilter/message.js'
import { icmpTimeouts, tcpTimeouts, timeoutMessage, udpTimeouts } from '../lib/netfilter/timeout.js'
import { controller, GENL_ID_CTRL, multicastGroup } from '../lib/netlink/genl.js'
import { NESTED } from '../lib/netlink/reader.js'
import { type AttributeSet, type NamedRow } from '../lib/netlink/table.js'
import { actionList, nestedSets } from '../lib/ovs/action.js'
import { ctLimit, ctLimitCommands, DEFAULT_ZONE } from '../lib/ovs/ct-limit.js'
import { datapath } from '../lib/ovs/datapath.js'
import { commands } from '../lib/ovs/family.js'
import { flow, ufidFlags } from '../lib/ovs/flow.js'
import { flowKey, nshKey, tunnelKey, vxlanKey } from '../lib/ovs/key.js'
import { bandTypes, meter, meterBand, meterCommands } from '../lib/ovs/meter.js'
import { packet, packetCommands } from '../lib/ovs/packet.js'
import { vport } from '../lib/ovs/vport.js'
import { actionMessage, actionTypes } from '../lib/tc/action-message.js'
import { csumFlags } from '../lib/tc/action/csum.js'
import { actionEnvelope, actionKinds, NO_PERCPU_STATS } from '../lib/tc/action/index.js'
import { ctActions } from '../lib/tc/action/ct.js'
import { jumps, verdicts } from '../lib/tc/action/kind.js'
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
import { ALL_PROTOCOLS, hooks, tcMessage, types } from '../lib/tc/message.js'
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
  multicastGroup,
  datapath.body,
  vport.body,
  flow.body,
  packet.body,
  meter.body,
  meterBand,
  ctLimit.body,
  connectionMessage.body,
  tuple,
  tupleIp,
  tupleProto,
  protoInfo,
  tcpInfo,
  sctpInfo,
  helperInfo,
  counters,
  timestamp,
  timeoutMessage.body,
  tcpTimeouts,
  udpTimeouts,
  icmpTimeouts,
  actionMessage.body,
  flowKey,
  tunnelKey,
  vxlanKey,
  nshKey,
  actionList.set,
  ...nestedSets,
  tcMessage.body,
  linkMessage.body,
  linkInfo,
  devlink.body,
  devlinkVersion,
  ethtool.body,
  ethtoolHeader,
  ethtoolBitset,
  ethtoolBit,
  vxlanData,
  geneveData,
  greData,
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
  ...[KEY_EX, RUNNING, BIT].map(({ uapi, id }) => ({ uapi, value: id })),
  ...portFlavours,
  ...named('DEVLINK_CMD_', devlink.commands),
  ...named('ETHTOOL_MSG_', ethtool.commands),
  ...Object.entries(eswitchModes).map(([mode, value]) => {
    return { uapi: `DEVLINK_ESWITCH_MODE_${mode.toUpperCase()}`, value }
  }),
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
  ...named('OVS_PACKET_CMD_', packetCommands),
  ...named('OVS_METER_CMD_', meterCommands),
  ...named('OVS_CT_LIMIT_CMD_', ctLimitCommands),
  { uapi: 'OVS_ZONE_LIMIT_DEFAULT_ZONE', value: DEFAULT_ZONE >>> 0 },
  ...named('NFNL_SUBSYS_', subsystems),
  ...named('IPCTNL_MSG_CT_', connectionCommands),
  ...named('IPCTNL_MSG_TIMEOUT_', timeoutCommands),
  ...statusNames.map((name, bit) => ({ uapi: `IPS_${name}_BIT`, value: bit })),
  ...tcpStates.map((name, value) => ({ uapi: `TCP_CONNTRACK_${name}`, value })),
  ...sctpStates.map((name, value) => ({ uapi: `SCTP_CONNTRACK_${name}`, value })),
  ...tcpEndFlags.map((name, bit) => ({ uapi: `IP_CT_TCP_FLAG_${name}`, value: 1 << bit })),
  ...bandTypes.map((type, index) => {
    return { uapi: `OVS_METER_BAND_TYPE_${type.toUpperCase()}`, value: index + 1 }
  }),
  ...portTypes.map((type, index) => ({ uapi: `OVS_VPORT_TYPE_${type.toUpperCase()}`, value: index + 1 })),
  ...['OMIT_KEY', 'OMIT_MASK', 'OMIT_ACTIONS'].map((name) => {
    return { uapi: `OVS_UFID_F_${name}`, value: ufidFlags[name as keyof typeof ufidFlags] }
  }),
  ...named('TC_ACT_', verdicts),
  ...named('TC_ACT_', jumps),
  ...actionKinds.map(({ kind, options }) => ({
    uapi: `TCA_${kind.toUpperCase()}_PAD`,
    value: options.pad ?? 0,
  })),
  ...named('TCA_CT_ACT_', ctActions),
  ...named('TCA_MPLS_ACT_', mplsActions),
  ...named('TCA_TUNNEL_KEY_ACT_', tunnel.tunnelKeyActions),
  ...named('TCA_TUNNEL_KEY_ENC_OPTS_', tunnel.tunnelOptionSorts),
  ...named('PACKET_', packetTypes),
  { uapi: 'NLA_F_NESTED', value: NESTED },
  { uapi: 'TCA_ACT_FLAGS_NO_PERCPU_STATS', value: NO_PERCPU_STATS.value },
  { uapi: 'TCA_PEDIT_KEY_EX_CMD_ADD', value: ADD >> 16 },
  ...named('TCA_', directions),
  ...named('TCA_VLAN_ACT_', vlanActions),
  ...named('TCA_CSUM_UPDATE_FLAG_', csumFlags),
  ...named('TCA_PEDIT_KEY_EX_HDR_TYPE_', headerTypes),
  ...named('TCA_CLS_FLAGS_', filterFlags),
  ...named('RTM_', types),
  ...named('RTM_', actionTypes),
  ...named('RTM_', linkTypes),
  ...named('IFF_', linkFlags),
  ...named('ARPHRD_', linkLayers),
  ...named('RTEXT_FILTER_', extMask),
  ...named('CTRL_CMD_', controller.commands),
  { uapi: 'GENL_ID_CTRL', value: GENL_ID_CTRL },
  { uapi: 'TC_H_INGRESS', value: hooks.QDISC },
  { uapi: 'TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)', value: hooks.INGRESS },
  { uapi: 'ETH_P_ALL', value: ALL_PROTOCOLS },
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
  'linux/netfilter/nfnetlink.h',
  'linux/netfilter/nfnetlink_conntrack.h',
  'linux/netfilter/nfnetlink_cttimeout.h',
  'linux/netfilter/nf_conntrack_common.h',
  'linux/netfilter/nf_conntrack_tcp.h',
  'linux/netfilter/nf_conntrack_sctp.h',
  'linux/devlink.h',
  'linux/ethtool_netlink.h',
  'linux/if.h',
  'linux/if_arp.h',
  'linux/if_packet.h',
  'linux/if_tunnel.h',
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

/**
 * What those headers have and we have no row for, each with the reason. A star stands for anything; `since` is for what kernels after
 * Linux 6.1 brought, so that older headers need not have it.
 */
// biome-ignore format: one row per line
const without: readonly (readonly [name: string, reason: string, since?: string])[] = [
  ['OVS_*_PAD',                           'alignment; says nothing'],
  ['OVS_VPORT_ATTR_OPTIONS',              'makes tunnel ports; ovs-vswitchd makes devices of them instead, and so may the caller'],
  ['OVS_VPORT_ATTR_NETNSID',              'only told of a device in another namespace; kept as unknown'],
  ['OVS_VPORT_ATTR_UPCALL_STATS',         'counts upcalls; kept as unknown', '6.3'],
  ['OVS_PACKET_ATTR_UNUSED*',             'were taken once, and mean nothing'],
  ['OVS_KEY_ATTR_TUNNEL_INFO',            'inside the kernel only (#ifdef __KERNEL__)'],
  ['CTA_*_PAD',                           'alignment; says nothing'],
  ['CTA_PROTOINFO_DCCP*',                 'how far a connection of DCCP is; kept as unknown'],
  ['TCA_ACT_FLAG_*',                      'flags of dumps of actions without a filter; not dumped'],
  ['TCA_ACT_PAD',                         'alignment; says nothing'],
  ['TCA_ACT_HW_STATS*',                   'how often hardware counts; any way will do, which is the default'],
  ['TCA_ACT_USED_HW_STATS',               'how often hardware counts; nobody asked'],
  ['TCA_ACT_IN_HW_COUNT',                 'devices that hold one action; TCA_FLOWER_IN_HW_COUNT says it of the filter'],
  ['TCA_ACT_FLAGS_SKIP_*',                'for actions without a filter; the flag of the filter decides'],
  ['TCA_ACT_MAX_PRIO',                    'how many actions fit in a filter; a limit in lib/backend/tc/action/index.ts'],
  ['TCA_ACT_*BIND',                       'arguments inside the kernel'],
  ['TCA_ACT_*REPLACE',                    'arguments inside the kernel'],
  ...['GACT', 'IPT', 'PEDIT', 'MIRRED', 'NAT', 'XT', 'SKBEDIT', 'VLAN', 'CONNMARK', 'SKBMOD', 'CSUM', 'TUNNEL_KEY', 'SIMP', 'IFE', 'SAMPLE']
    .map((kind) => [`TCA_ACT_${kind}`, 'a number of an action kind; messages have its name'] as const),
  ['TCA_ACT_BPF*',                        'an action kind, and its number; no action of openvswitch needs it'],
  ['TCA_POLICE_PEAKRATE',                 'a table of transmission times; the policers here count packets or compare lengths'],
  ['TCA_POLICE_AVRATE',                   'an estimator of the rate; the policers here count packets or compare lengths'],
  ['TCA_POLICE_PEAKRATE64',               'bytes a second over 32 bits; the policers here count packets or compare lengths'],
  ['TCA_FLOWER_CLASSID',                  'a class of a qdisc; filters on the ingress hook have none'],
  ['TCA_FLOWER_INDEV',                    'a second word for the port; the filter lives on it'],
  ['TCA_FLOWER_KEY_PORT_*',               'ranges of ports; a mask of openvswitch is no range'],
  ['TCA_FLOWER_MASK_FLAGS_RANGE',         'ranges of ports; a mask of openvswitch is no range'],
  ['TCA_FLOWER_KEY_HASH*',                "the packet's own hash, not the dp_hash of an action"],
  ['TCA_FLOWER_KEY_PPP*',                 'openvswitch has no key for PPPoE'],
  ['TCA_FLOWER_KEY_L2TPV3_SID',           'openvswitch has no key for L2TP'],
  ['TCA_FLOWER_KEY_ENC_OPTS_GTP',         'openvswitch keeps no GTP options in a key'],
  ['TCA_FLOWER_KEY_ENC_OPT_GTP_*',        'openvswitch keeps no GTP options in a key'],
  ['TCA_FLOWER_KEY_ENC_OPTS_PFCP',        'openvswitch has no PFCP tunnels', '6.10'],
  ['TCA_FLOWER_KEY_ENC_OPT_PFCP_*',       'openvswitch has no PFCP tunnels', '6.10'],
  ['TCA_FLOWER_KEY_CFM*',                 'openvswitch has no key for connectivity fault management', '6.6'],
  ['TCA_FLOWER_KEY_SPI*',                 'openvswitch has no key for IPsec', '6.6'],
  ['TCA_FLOWER_L2_MISS',                  'what the bridge did not know; openvswitch has no bridge before it', '6.5'],
  ['TCA_FLOWER_KEY_FLAGS_IS_FRAGMENT',    'a bit of the table of fragment types in lib/tc/match.ts, proven by flower-keys.test.ts'],
  ['TCA_FLOWER_KEY_FLAGS_FRAG_IS_FIRST',  'a bit of the table of fragment types in lib/tc/match.ts, proven by flower-keys.test.ts'],
  ['TCA_FLOWER_KEY_FLAGS_TUNNEL_CRIT_OPT', 'openvswitch keeps no such flag in a key', '6.11'],
  ['TCA_CSUM_UPDATE_FLAG_IGMP',           'no action rewrites IGMP'],
  ['TCA_CSUM_UPDATE_FLAG_UDPLITE',        'no action rewrites UDP-Lite'],
  ['TCA_GACT_PROB',                       'one of N; openvswitch samples with a probability'],
  ['TCA_MIRRED_BLOCKID',                  'outputs to a whole block of ports; openvswitch names ports', '6.8'],
  ['TCA_PEDIT_PARMS',                     'the older form, without headers; TCA_PEDIT_PARMS_EX is written'],
  ['TCA_PEDIT_KEY_EX_HDR_TYPE_NETWORK',   'counts from wherever the IP header is; ours say which version'],
  ['TCA_PEDIT_KEY_EX_CMD_SET',            '0: what is done where nothing is said'],
  ['DEVLINK_ATTR_DEV_STATS',              'how often a device was reloaded; kept as unknown'],
  ['DEVLINK_ATTR_DPIPE_*',                'tables of a pipeline, as a few drivers describe theirs; nobody asks'],
  ['DEVLINK_ATTR_ESWITCH_ENCAP_MODE',     'whether tunnels are offloaded; left as it is'],
  ['DEVLINK_ATTR_ESWITCH_INLINE_MODE',    'how much of a packet old NICs look at; left as it is'],
  ['DEVLINK_ATTR_FLASH_*',                'new firmware is not loaded here'],
  ['DEVLINK_ATTR_FMSG*',                  'reports on health; nobody asks'],
  ['DEVLINK_ATTR_HEALTH_*',               'reports on health; nobody asks'],
  ['DEVLINK_ATTR_INFO_*SERIAL_NUMBER',    'which piece of hardware it is; kept as unknown'],
  ['DEVLINK_ATTR_INFO_VERSION_FIXED',     'versions of what cannot change; kept as unknown'],
  ['DEVLINK_ATTR_INFO_VERSION_STORED',    'firmware that does not run yet; kept as unknown'],
  ['DEVLINK_ATTR_LINECARD_*',             'parts of a modular switch; no e-switch has any'],
  ['DEVLINK_ATTR_NESTED_DEVLINK',         'the device of devlink of a line card'],
  ['DEVLINK_ATTR_NETNS_*',                'moves a device to another namespace; left where it is'],
  ['DEVLINK_ATTR_PAD',                    'alignment; says nothing'],
  ['DEVLINK_ATTR_PARAM_GENERIC',          'whether all drivers have the parameter; nobody asks'],
  ['DEVLINK_ATTR_PARAM_TYPE',             'what a value is; the one that is asked for is text'],
  ['DEVLINK_ATTR_PARAM_VALUE*',           'what is in a parameter; bench/devlink.ts reads the first value of one'],
  ['DEVLINK_ATTR_PORT_*TYPE',             'Ethernet or InfiniBand; ports with a netdev are Ethernet'],
  ['DEVLINK_ATTR_PORT_FUNCTION',          'address and state of the function; left as they are'],
  ['DEVLINK_ATTR_PORT_IBDEV_NAME',        'a port of InfiniBand'],
  ['DEVLINK_ATTR_PORT_LANES',             'how a cable is split; kept as unknown'],
  ['DEVLINK_ATTR_PORT_NETDEV_NAME',       'the link has the name'],
  ['DEVLINK_ATTR_PORT_SPLIT*',            'how a cable is split; kept as unknown'],
  ['DEVLINK_ATTR_RATE_*',                 'rates of functions; left as they are'],
  ['DEVLINK_ATTR_REGION_*',               'dumps of memory; nobody asks'],
  ['DEVLINK_ATTR_RELOAD_*',               'devices are not reloaded'],
  ['DEVLINK_ATTR_REMOTE_RELOAD_STATS',    'how often others reloaded it'],
  ['DEVLINK_ATTR_RESOURCE*',              'how memory is divided; nobody asks'],
  ['DEVLINK_ATTR_SB_*',                   'shared buffers; nobody asks'],
  ['DEVLINK_ATTR_SELFTEST*',              'devices are not tested'],
  ['DEVLINK_ATTR_STATS*',                 'counters of traps; nobody asks'],
  ['DEVLINK_ATTR_TRAP_*',                 'packets a device hands to the host; nobody asks'],
  ['ETHTOOL_A_FEATURES_NOCHANGE',         'what no driver can switch; `hw` says what this one can'],
  ['ETHTOOL_A_HEADER_FLAGS',              'short sets of bits, which take a table of names, and no answers'],
  ['ETHTOOL_A_BITSET_VALUE',              'the short form of a set; numbers of bits differ from kernel to kernel'],
  ['ETHTOOL_A_BITSET_MASK',               'the short form of a set; numbers of bits differ from kernel to kernel'],
  ['ETHTOOL_MSG_FEATURES_*_REPLY',        'the same numbers as the requests'],
  ['ETHTOOL_MSG_FEATURES_NTF',            'a notification; nobody listens'],
  ['TCA_SKBEDIT_QUEUE_MAPPING',           'a transmit queue; openvswitch chooses none'],
  ['TCA_SKBEDIT_FLAGS',                   'priority from the TOS; openvswitch has no such action'],
]

const families = [
  'OVS_DP_ATTR_',
  'OVS_VPORT_ATTR_',
  'OVS_FLOW_ATTR_',
  'OVS_PACKET_ATTR_',
  'OVS_METER_ATTR_',
  'OVS_CT_LIMIT_ATTR_',
  'CTA_COUNTERS_',
  'CTA_IP_',
  'CTA_PROTO_',
  'CTA_PROTOINFO_',
  'CTA_TIMEOUT_TCP_',
  'CTA_TIMEOUT_UDP_',
  'CTA_TIMESTAMP_',
  'CTA_TUPLE_',
  'OVS_BAND_ATTR_',
  'OVS_KEY_ATTR_',
  'OVS_TUNNEL_KEY_ATTR_',
  'OVS_NSH_KEY_ATTR_',
  'OVS_VXLAN_EXT_',
  'OVS_ACTION_ATTR_',
  'OVS_CT_ATTR_',
  'OVS_NAT_ATTR_',
  'OVS_USERSPACE_ATTR_',
  'OVS_SAMPLE_ATTR_',
  'OVS_CHECK_PKT_LEN_ATTR_',
  'OVS_DEC_TTL_ATTR_',
  'OVS_PSAMPLE_ATTR_',
  'DEVLINK_ATTR_',
  'DEVLINK_ESWITCH_MODE_',
  'DEVLINK_PORT_FLAVOUR_',
  'ETHTOOL_A_BITSET_',
  'ETHTOOL_A_FEATURES_',
  'ETHTOOL_A_HEADER_',
  'ETHTOOL_MSG_FEATURES_',
  'IFLA_PARENT_DEV_',
  'IFLA_PHYS_',
  'TCA_FLOWER_',
  'TCA_ACT_',
  'TCA_CT_',
  'TCA_CSUM_',
  'TCA_GACT_',
  'TCA_MIRRED_',
  'TCA_MPLS_',
  'TCA_PEDIT_',
  'TCA_POLICE_',
  'TCA_SAMPLE_',
  'TCA_SKBEDIT_',
  'TCA_TUNNEL_KEY_',
  'TCA_VLAN_',
] as const

/** Every name of those families in the headers. Ends of enums and zeros that say nothing are none. */
function namesInHeaders(): ReadonlySet<string> {
  const texts = headers.map((header) => readFileSync(`/usr/include/${header}`, 'utf8'))
  const code = texts.join('\n').replaceAll(/\/\*.*?\*\/|\/\/[^\n]*/gs, ' ')
  const all = new Set([...code.matchAll(/\b[A-Z][A-Z0-9_]*\b/g)].map(([name]) => name))
  return new Set(
    [...all].filter((name) => {
      if (!families.some((family) => name.startsWith(family)) || /_(UNSPEC|NONE)$/.test(name)) return false
      // An enum's end is no attribute, the end of a range is one.
      return !name.endsWith('_MAX') || all.has(name.replace(/_MAX$/, '_MIN'))
    }),
  )
}

const matches = (pattern: string, name: string) =>
  new RegExp(`^${pattern.replace('*', '[A-Z0-9_]*')}$`).test(name)

t.test('every name in the headers has a row, or is on the list of those without', async (t) => {
  const ours = new Set(facts.map(({ uapi }) => uapi))
  const theirs = [...namesInHeaders()]
  for (const family of families) {
    const known = [...ours, ...theirs].filter((name) => name.startsWith(family))
    t.ok(known.length > 0, `${family}* is a family of names`)
    const missing = known.filter((name) => !ours.has(name) && !without.some(([it]) => matches(it, name)))
    t.same(missing, [], `${family}*: names of the headers without a row and without a reason`)
  }
  for (const [pattern, reason, since] of without) {
    const rows = [...ours].filter((name) => matches(pattern, name))
    t.same(rows, [], `${pattern} (${reason}) has no row`)
    if (since === undefined)
      t.ok(
        theirs.some((name) => matches(pattern, name)),
        `${pattern} is in the headers`,
      )
  }
})

t.test('a name that is nowhere would be noticed', async (t) => {
  const names = namesInHeaders()
  for (const name of ['OVS_KEY_ATTR_TUNNEL_INFO', 'TCA_FLOWER_KEY_PORT_SRC_MAX', 'TCA_CSUM_UPDATE_FLAG_IGMP'])
    t.ok(names.has(name), `${name} is found`)
  for (const name of ['OVS_KEY_ATTR_MAX', '__OVS_KEY_ATTR_MAX', 'OVS_KEY_ATTR_UNSPEC'])
    t.notOk(names.has(name), `${name} is no attribute`)
})
