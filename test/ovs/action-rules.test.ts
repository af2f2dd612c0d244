import t from 'tap'
import { actionViolationsOf } from '../../lib/ovs/action-rules.js'
import { parseActions, parseKey } from '../../lib/ovs/text.js'
import type { Action } from '../../types/action.js'

const ip4 = 'eth(),eth_type(0x0800)'
const tcp = `${ip4},ipv4(proto=6,frag=no),tcp(),tcp_flags(0/0)`
const plain = 'eth(),eth_type(0x88b5)'
const label = 'label=1,tc=0,ttl=1,bos=1'
const nsh = 'flags=0,ttl=63,mdtype=1,np=3,spi=0x1,si=255,c1=0x0,c2=0x0,c3=0x0,c4=0x0'

// __ovs_nla_copy_actions(), net/openvswitch/flow_netlink.c; ovs_ct_copy_action(), net/openvswitch/conntrack.c
// biome-ignore format: one row per line
const wrongs: readonly (readonly [key: string, actions: string | readonly Action[], ...paths: string[]])[] = [
  [plain, '65535', 'actions[0].output'],
  [plain, [{ output: 1 }, { drop: 0 }, { output: 2 }], 'actions[1].drop'],
  [plain, '1,trunc(13),2', 'actions[1].trunc'],
  [plain, 'userspace(pid=0)', 'actions[0].userspace.pid'],
  [plain, [{ userspace: {} }], 'actions[0].userspace.pid'],
  [plain, [{ hash: { alg: 2 } }], 'actions[0].hash.alg'],
  [plain, 'push_vlan(tpid=0x9100,vid=1,pcp=0)', 'actions[0].pushVlan.tpid'],
  [plain, 'push_vlan(vid=1,pcp=0,cfi=0)', 'actions[0].pushVlan.cfi'],
  ['eth_type(0x0800),ipv4()', 'push_vlan(vid=1,pcp=0)', 'actions[0].pushVlan'],
  [plain, 'pop_eth,pop_vlan', 'actions[1].popVlan'],
  [ip4, `push_vlan(vid=1,pcp=0),push_mpls(${label},eth_type=0x8847)`, 'actions[1].pushMpls'],
  [plain, `push_mpls(${label},eth_type=0x8847)`, 'actions[0].pushMpls'],
  [ip4, `push_mpls(${label},eth_type=0x800)`, 'actions[0].pushMpls.etherType'],
  [plain, [{ addMpls: { flags: 1 } }], 'actions[0].addMpls'],
  [ip4, 'pop_mpls(eth_type=0x800)', 'actions[0].popMpls'],
  ['eth(),eth_type(0x8847),mpls(label=1)', 'pop_mpls(eth_type=0x800),set(ipv4(ttl=1)),1', 'actions[1].setMasked.ipv4'],
  [plain, 'push_eth(src=00:00:00:00:00:01,dst=00:00:00:00:00:02)', 'actions[0].pushEth'],
  [plain, 'push_vlan(vid=1,pcp=0),pop_eth', 'actions[1].popEth'],
  [plain, 'pop_eth,pop_eth', 'actions[1].popEth'],
  [plain, [{ pushNsh: {} }], 'actions[0].pushNsh.base'],
  [plain, 'push_nsh(mdtype=2)', 'actions[0].pushNsh.md2'],
  [plain, 'push_nsh(mdtype=3)', 'actions[0].pushNsh.base.mdtype'],
  [plain, 'pop_nsh()', 'actions[0].popNsh'],
  ['eth(),eth_type(0x894f),nsh(mdtype=1,np=9)', 'pop_nsh()', 'actions[0].popNsh'],
  ['eth(),eth_type(0x894f),nsh(mdtype=1,np=3/0)', 'pop_nsh()', 'actions[0].popNsh'],
  [plain, `push_nsh(${nsh}),push_nsh(${nsh})`, 'actions[1].pushNsh'],
  [plain, [{ popEth: true }, { clone: [{ pushEth: {} }] }], 'actions[1].clone.actions[0].pushEth'],
  [plain, 'set(ipv4(ttl=3))', 'actions[0].setMasked.ipv4'],
  [ip4, 'set(ipv4(src=1.2.3.4,dst=1.2.3.5,proto=6,tos=0,ttl=64,frag=no))', 'actions[0].set.ipv4.proto'],
  [tcp, 'set(ipv4(proto=6))', 'actions[0].setMasked.ipv4.proto'],
  [tcp, 'set(udp(dst=3))', 'actions[0].setMasked.udp'],
  [`${ip4},ipv4(proto=6/0),tcp(),tcp_flags(0/0)`, 'set(tcp(dst=3))', 'actions[0].setMasked.tcp'],
  [plain, 'set(arp(op=2))', 'actions[0].setMasked.arp'],
  [plain, 'set(in_port(2))', 'actions[0].set.inPort'],
  [plain, 'set(skb_mark(0x3/0x1))', 'actions[0].setMasked.skbMark'],
  ['eth_type(0x0800),ipv4()', 'set(eth(src=00:00:00:00:00:01))', 'actions[0].setMasked.ethernet'],
  [plain, 'set(tunnel(tun_id=1,dst=1.2.3.4))', 'actions[0].set.tunnel.ttl'],
  [plain, [{ setMasked: { key: { tunnel: { ttl: 1 } }, mask: { tunnel: { ttl: 1 } } } }], 'actions[0].setMasked.tunnel'],
  [plain, 'ct', 'actions[0].ct'],
  [ip4, 'ct(mark=0x1)', 'actions[0].ct.mark'],
  [ip4, [{ ct: { commit: true, labels: { value: 1n, mask: 0n } } }], 'actions[0].ct.labels'],
  [ip4, '1,ct(nat(src=10.0.0.1))', 'actions[1].ct.nat'],
  [ip4, [{ ct: { commit: true, nat: { src: true, dst: true } } }], 'actions[0].ct.nat'],
  [ip4, 'ct(commit,nat(src=fe80::1))', 'actions[0].ct.nat.ipMin'],
  [ip4, 'ct(nat(persistent))', 'actions[0].ct.nat.persistent'],
  [plain, [{ sample: {} }], 'actions[0].sample.probability', 'actions[0].sample.actions'],
  [plain, [{ checkPktLen: { size: 0 } }], 'actions[0].checkPktLen.size', 'actions[0].checkPktLen.greater', 'actions[0].checkPktLen.lessEqual'],
  [plain, [{ decTtl: {} }], 'actions[0].decTtl.action'],
  [plain, [{ psample: {} }], 'actions[0].psample.group'],
  [plain, '1,clone(2,trunc(1))', 'actions[1].clone.actions[1].trunc'],
  [plain, 'check_pkt_len(size=1,gt(1),le(trunc(1)))', 'actions[0].checkPktLen.lessEqual.actions[0].trunc'],
  [plain, `${'clone('.repeat(17)}1${')'.repeat(17)}`, `${'actions[0].clone.'.repeat(17)}`],
]

t.test('what the kernel refuses in actions has a path and a sentence', async (t) => {
  for (const [keyText, actions, ...paths] of wrongs) {
    const { key, mask } = parseKey(keyText)
    const list = typeof actions === 'string' ? parseActions(actions) : actions
    const found = actionViolationsOf(list, key, mask)
    t.same(
      found.map(({ path }) => path),
      paths,
      `${keyText} ${typeof actions === 'string' ? actions : Object.keys(actions[0] ?? {})}`,
    )
    for (const { problem } of found) t.match(problem, /^[a-zA-Z0-9_]+.* .*[^.]$/)
  }
})

// biome-ignore format: one row per line
const rights: readonly (readonly [key: string, actions: string])[] = [
  [plain, ''],
  [plain, '1,2,drop'],
  [plain, 'pop_vlan,push_vlan(vid=1,pcp=0),push_vlan(tpid=0x88a8,vid=2,pcp=0),1'],
  [ip4, `push_mpls(${label},eth_type=0x8847),pop_mpls(eth_type=0x800),recirc(0x1)`],
  ['eth(),eth_type(0x8847),mpls(label=1,bos=0)', 'set(mpls(ttl=3/0xff)),pop_mpls(eth_type=0x8847)'],
  ['eth(),eth_type(0x8100),vlan(vid=7),encap(eth_type(0x0800),ipv4(proto=17,frag=no),udp())', `set(udp(dst=3)),set(ipv4(ttl=2)),pop_vlan,push_mpls(${label},eth_type=0x8847)`],
  ['eth_type(0x0800),ipv4()', 'push_eth(src=00:00:00:00:00:01,dst=00:00:00:00:00:02),push_vlan(vid=1,pcp=0),1'],
  [ip4, `pop_eth,push_nsh(${nsh}),push_eth(src=00:00:00:00:00:01,dst=00:00:00:00:00:02),1`],
  ['eth_type(0x894f),nsh(mdtype=1,np=3)', 'pop_nsh(),pop_vlan,1'],
  [tcp, 'set(ipv4(src=1.2.3.4,dst=1.2.3.5,proto=6,tos=0,ttl=64,frag=no)),set(tcp(dst=80)),set(eth(src=00:00:00:00:00:01))'],
  [ip4, 'ct,ct(nat),ct(commit,zone=1,mark=0x1,label=0x1,nat(dst=10.0.0.1:80)),ct(force_commit,nat(src)),recirc(0x1)'],
  [plain, 'set(tunnel(tun_id=1,dst=1.2.3.4,ttl=64)),set(skb_priority(1)),set(ct_mark(1/1)),1'],
  [plain, 'clone(push_vlan(vid=1,pcp=0)),sample(sample=1%,actions()),pop_eth'],
  [plain, 'hash(sym_l4(0)),recirc(0x1)'],
  [plain, `${'clone('.repeat(16)}1${')'.repeat(16)}`],
]

t.test('what the kernel takes is not objected to', async (t) => {
  for (const [keyText, actions] of rights) {
    const { key, mask } = parseKey(keyText)
    t.same(actionViolationsOf(parseActions(actions), key, mask), [], `${keyText} ${actions}`)
  }
})
