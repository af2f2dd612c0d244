import t from 'tap'
import { DpifError } from '../../lib/errors.js'
import { LITTLE } from '../../lib/netlink/writer.js'
import { formatActions, parseActions } from '../../lib/ovs/text.js'

// What `ovs-dpctl parse-actions userspace(pid=1,…)` of Open vSwitch 3.1.0 has in memory as OVS_USERSPACE_ATTR_USERDATA when it prints
// (gdb, stopped at the write(2) of the line), on a little-endian host.
// biome-ignore format: one fact per line
const cookies: readonly (readonly [text: string, data: string])[] = [
  ['sFlow(vid=1,pcp=2,output=3)', '01000000ffff000000000000000000000000000000000000500100000300000000000000000000000000000000000000'],
  ['sFlow(vid=0,pcp=0,output=3)', '01000000ffff000000000000000000000000000000000000000000000300000000000000000000000000000000000000'],
  ['slow_path(cfm)', '02000000ffff000000000000000000000000000000000000000000000100000000000000000000000000000000000000'],
  ['flow_sample(probability=1,collector_set_id=2,obs_domain_id=3,obs_point_id=4,output_port=5,egress)', '03000000ffff000000000000000000000000000000000000010000000200000003000000040000000500000002000000'],
  ['flow_sample(probability=1,collector_set_id=2,obs_domain_id=3,obs_point_id=4,output_port=5)', '03000000ffff000000000000000000000000000000000000010000000200000003000000040000000500000000000000'],
  ['ipfix(output_port=5)', '04000000ffff000000000000000000000000000000000000050000000000000000000000000000000000000000000000'],
  ['controller(reason=1,dont_send=0,continuation=1,recirc_id=4444,rule_cookie=0x12,controller_id=7,max_len=65535)', '05000000ffff000000000000000000000000000000000000000101005c11000000000000000000120700ffff00000000'],
]

t.test(
  'the cookies of ovs-vswitchd have the bytes that OVS gives them',
  { skip: LITTLE ? false : 'host order' },
  async (t) => {
    for (const [text, data] of cookies) {
      const [action] = parseActions(`userspace(pid=1,${text})`)
      t.equal(Buffer.from(action?.userspace?.userdata ?? []).toString('hex'), data, text)
      t.equal(formatActions(parseActions(`userspace(pid=1,userdata(${data}))`)), `userspace(pid=1,${text})`)
    }
  },
)

// biome-ignore format: one fact per line
const facts: readonly (readonly [text: string, printed: string])[] = [
  ['userspace(pid=0x10,userdata( 01020304 05060708 ))', 'userspace(pid=16,userdata(0102030405060708))'],
  ['userspace(pid=1,sFlow(vid=010,pcp=0x2,output=0x3),actions,tunnel_out_port=0x5)', 'userspace(pid=1,sFlow(vid=8,pcp=2,output=3),actions,tunnel_out_port=5)'],
  ['userspace(pid=1,slow_path())', 'userspace(pid=1,slow_path(0))'],
  ['userspace(pid=1,slow_path(0))', 'userspace(pid=1,slow_path(0))'],
  ['userspace(pid=1,slow_path(cfm|0x2))', 'userspace(pid=1,slow_path(cfm,bfd))'],
  ['userspace(pid=1,slow_path(match|action|lldp|stp|lacp|bfd|cfm))', 'userspace(pid=1,slow_path(cfm,bfd,lacp,stp,lldp,action,match))'],
  ['userspace(pid=1,flow_sample(probability=010,collector_set_id=0x2,obs_domain_id=3,obs_point_id=4,output_port=5,ingress))', 'userspace(pid=1,flow_sample(probability=8,collector_set_id=2,obs_domain_id=3,obs_point_id=4,output_port=5,ingress))'],
  ['userspace(pid=1,controller(reason=010,dont_send=0,continuation=1,recirc_id=010,rule_cookie=010,controller_id=010,max_len=010))', 'userspace(pid=1,controller(reason=10,dont_send=0,continuation=1,recirc_id=10,rule_cookie=0x10,controller_id=10,max_len=10))'],
  [`userspace(pid=1,userdata(06${'00'.repeat(47)}))`, `userspace(pid=1,userdata(06${'00'.repeat(47)}))`],
  [`userspace(pid=1,userdata(0101${'00'.repeat(46)}))`, `userspace(pid=1,userdata(0101${'00'.repeat(46)}))`],
  [`userspace(pid=1,userdata(04${'00'.repeat(46)}))`, `userspace(pid=1,userdata(04${'00'.repeat(46)}))`],
]

t.test('userspace actions are read and printed as OVS 3.1 does', async (t) => {
  for (const [text, printed] of facts) t.equal(formatActions(parseActions(text)), printed, text)
})

t.test('what has no userdata gets none', async (t) => {
  // OVS would send 48 zeros here, and pad the second to 8 bytes.
  t.same(parseActions('userspace(pid=1)'), [{ userspace: { pid: 1 } }])
  t.same(parseActions('userspace(pid=1,userdata(0a0b))'), [
    { userspace: { pid: 1, userdata: Uint8Array.of(10, 11) } },
  ])
  t.same(parseActions('userspace(pid=1,userdata())'), [
    { userspace: { pid: 1, userdata: new Uint8Array(0) } },
  ])
})

t.test('what OVS prints and does not read', async (t) => {
  for (const inner of ['slow_path(cfm,bfd)', 'slow_path(cfm,0x100)', 'slow_path(0xffffff80)']) {
    t.equal(formatActions(parseActions(`userspace(pid=1,${inner})`)), `userspace(pid=1,${inner})`)
  }
})

t.test('ports may be named', async (t) => {
  const options = { portNumber: (name: string) => (name === 'gre0' ? 4 : undefined) }
  const text = 'userspace(pid=1,tunnel_out_port=gre0)'
  t.same(parseActions(text, options), [{ userspace: { pid: 1, egressTunPort: 4 } }])
  t.equal(formatActions(parseActions(text, options), { portName: () => 'gre0' }), text)
})

t.test('wrong text is an error with its position', async (t) => {
  // biome-ignore format: one fact per line
  const wrong: readonly (readonly [text: string, problem: string])[] = [
    ['userspace()', "'pid=' expected at position 11, before ')'"],
    ['userspace(pid=4294967296)', "4294967296 is more than 4294967295 at position 15, before '4294967296)'"],
    ['userspace(pid=1,actions,userdata(01))', "')' expected at position 24, before ',userdata(01))'"],
    ['userspace(pid=1,userdata(1))', "')' expected at position 26, before '1))'"],
    ['userspace(pid=1,sFlow(vid=4096,pcp=0,output=1))', "4096 is more than 4095 at position 27, before '4096,pcp=0,output=1))'"],
    ['userspace(pid=1,sFlow(pcp=0,vid=1,output=1))', "'vid=' expected at position 23, before 'pcp=0,vid=1,output=1))'"],
    ['userspace(pid=1,slow_path(zork))', "one of cfm bfd lacp stp lldp action match expected at position 27, before 'zork))'"],
    ['userspace(pid=1,ipfix(output_port=4294967296))', "4294967296 is more than 4294967295 at position 35, before '4294967296))'"],
    ['userspace(pid=1,controller(reason=1,dont_send=2,continuation=0))', "2 is more than 1 at position 47, before '2,continuation=0))'"],
    ['userspace(pid=1,controller(reason=65536))', "65536 is more than 65535 at position 35, before '65536))'"],
  ]
  for (const [text, problem] of wrong)
    t.throws(() => parseActions(text), new DpifError('SYNTAX', problem), text)
})
