import fc from 'fast-check'
import t from 'tap'
import { formatProblem, match, RulesError, rules, rulesSchema } from '../../lib/policy/index.js'
import type { RuleMatch, RulesDocument } from '../../types/rules.js'
import { NIC, numbered, OTHER, putOf, where, World } from './facts.js'

const world = new World({
  1: { name: 'web0', switchId: NIC },
  2: { name: 'db0', switchId: NIC },
  3: { name: 'uplink', switchId: OTHER },
  4: { name: 'vxlan_sys_4789', type: 'vxlan' },
})

const ip4 = (rest: string, tail = '') => `in_port(1),eth(),eth_type(0x0800),ipv4(${rest}frag=no)${tail}`
const ip6 = (rest: string, tail = '') => `in_port(1),eth(),eth_type(0x86dd),ipv6(${rest}frag=no)${tail}`
const vlan =
  'in_port(1),eth(),eth_type(0x8100),vlan(vid=7,pcp=0),encap(eth_type(0x0800),ipv4(proto=6,frag=no),tcp(dst=80))'
const tunnelled =
  'tunnel(tun_id=0x7,src=192.0.2.1,dst=192.0.2.2,ttl=64/0,flags(key)),in_port(4),eth(),eth_type(0x0806)'

/** What a flow of the rows is sent to: TC when the match fits. */
function fits(one: RuleMatch, key: string, actions = '2'): boolean {
  const policy = rules({ version: 1, rules: [{ match: one, backend: 'tc' }], default: { backend: 'ovs' } })
  const put = putOf(key, actions)
  const answer = where(policy, put, world) === 'tc'
  if (match(one)(put, world) !== answer && one.tenant === undefined && one.device !== 'nic')
    throw new Error('match() and rules() differ')
  return answer
}

// biome-ignore format: one row per line
const rows: readonly (readonly [match: RuleMatch, key: string, fits: boolean, actions?: string])[] = [
  [{}, ip4(''), true],
  [{ port: 1 }, ip4(''), true],
  [{ port: 2 }, ip4(''), false],
  [{ port: 'web0' }, ip4(''), true],
  [{ port: ['db0', 'web0'] }, ip4(''), true],
  [{ port: ['db0', 9] }, ip4(''), false],
  [{ port: 1 }, 'eth(),eth_type(0x0806)', false],
  [{ port: 1, packets: 'some' }, 'eth(),eth_type(0x0806)', true],
  [{ toPort: 2 }, ip4(''), true],
  [{ toPort: ['uplink', 'db0'] }, ip4(''), true],
  [{ toPort: 'uplink' }, ip4(''), false],
  [{ toPort: 'uplink' }, ip4(''), true, 'clone(3),2'],
  [{ device: NIC }, ip4(''), true],
  [{ device: NIC.toUpperCase() }, ip4(''), true],
  [{ device: [OTHER, NIC] }, ip4(''), true],
  [{ device: OTHER }, ip4(''), false],
  [{ device: OTHER }, tunnelled, false],
  [{ sameDevice: true }, ip4(''), true],
  [{ sameDevice: false }, ip4(''), false],
  [{ sameDevice: false }, ip4(''), true, '3'],
  [{ etherType: 'ipv4' }, ip4(''), true],
  [{ etherType: ['arp', 0x0800] }, ip4(''), true],
  [{ etherType: 'ipv6' }, ip4(''), false],
  [{ etherType: 'ipv4' }, vlan, true],
  [{ etherType: 'ipv4' }, 'in_port(1),eth()', false],
  [{ etherType: 'ipv4', packets: 'some' }, 'in_port(1),eth()', true],
  [{ vlan: 7 }, vlan, true],
  [{ vlan: '1-9' }, vlan, true],
  [{ vlan: [8, '100-199'] }, vlan, false],
  [{ vlan: 7 }, ip4(''), false],
  [{ vlan: 7, packets: 'some' }, ip4(''), false],
  [{ protocol: 'tcp' }, ip4('proto=6,'), true],
  [{ protocol: 'tcp' }, ip6('proto=6,'), true],
  [{ protocol: ['udp', 'tcp'] }, vlan, true],
  [{ protocol: 17 }, ip4('proto=6,'), false],
  [{ protocol: 'tcp' }, ip4(''), false],
  [{ protocol: 'tcp', packets: 'some' }, ip4(''), true],
  [{ protocol: 'tcp', packets: 'some' }, ip4('proto=17,'), false],
  [{ protocol: 'tcp', packets: 'some' }, 'in_port(1),eth(),eth_type(0x0806)', false],
  [{ destinationPort: 80 }, ip4('proto=6,', ',tcp(dst=80)'), true],
  [{ destinationPort: '80-89' }, ip4('proto=17,', ',udp(dst=80)'), true],
  [{ destinationPort: 80 }, ip4('proto=132,', ',sctp(dst=80)'), true],
  [{ destinationPort: 80 }, vlan, true],
  [{ sourcePort: 80 }, ip4('proto=6,', ',tcp(dst=80)'), false],
  [{ sourcePort: '1024-2047' }, ip4('proto=6,', ',tcp(src=1024/0xfc00)'), true],
  [{ sourcePort: '1024-2046' }, ip4('proto=6,', ',tcp(src=1024/0xfc00)'), false],
  [{ sourcePort: 1500, packets: 'some' }, ip4('proto=6,', ',tcp(src=1024/0xfc00)'), true],
  [{ sourcePort: 2048, packets: 'some' }, ip4('proto=6,', ',tcp(src=1024/0xfc00)'), false],
  [{ destinationPort: 80, packets: 'some' }, ip4('proto=6,'), true],
  [{ destinationPort: 80, packets: 'some' }, ip4('proto=1,'), false],
  [{ destinationPort: 80, packets: 'some' }, ip4(''), true],
  [{ destinationPort: 80 }, ip4('proto=6,'), false],
  [{ source: '10.0.0.0/8' }, ip4('src=10.1.0.0/16,'), true],
  [{ source: '10.0.0.0/8' }, ip4('src=10.1.2.3,'), true],
  [{ source: '10.0.0.0/8' }, ip4('src=10.0.0.0/7,'), false],
  [{ source: '10.0.0.0/8', packets: 'some' }, ip4('src=10.0.0.0/7,'), true],
  [{ source: '10.0.0.0/8', packets: 'some' }, ip4(''), true],
  [{ source: '10.0.0.0/8', packets: 'some' }, ip4('src=11.0.0.0/8,'), false],
  [{ source: '10.0.0.0/8' }, ip4('dst=10.1.2.3,'), false],
  [{ destination: ['192.0.2.1', '10.1.2.3'] }, ip4('dst=10.1.2.3,'), true],
  [{ destination: '0.0.0.0/0' }, ip4(''), true],
  [{ destination: '0.0.0.0/0' }, ip6(''), false],
  [{ destination: 'fd00::/8' }, ip6('dst=fd12::1,'), true],
  [{ destination: 'fd00::/8' }, ip6('dst=fe80::1,'), false],
  [{ destination: ['10.0.0.0/8', 'fd00::/8'] }, ip6('dst=fd00::/ff00::,'), true],
  [{ destination: 'fd00::1' }, ip6('dst=fd00::/ff00::,'), false],
  [{ destination: 'fd00::1', packets: 'some' }, ip6('dst=fd00::/ff00::,'), true],
  [{ tunnel: {} }, tunnelled, true],
  [{ tunnel: {} }, ip4(''), false],
  [{ tunnel: { id: 7, type: 'vxlan' } }, tunnelled, true],
  [{ tunnel: { id: ['7', 9] } }, tunnelled, true],
  [{ tunnel: { id: 8 } }, tunnelled, false],
  [{ tunnel: { type: ['geneve', 'gre'] } }, tunnelled, false],
  [{ toTunnel: { id: 7 } }, ip4(''), true, 'set(tunnel(tun_id=0x7,dst=192.0.2.2,ttl=64,flags(key))),4'],
  [{ toTunnel: { id: 7, type: 'geneve' } }, ip4(''), false, 'set(tunnel(tun_id=0x7,dst=192.0.2.2,ttl=64,flags(key))),4'],
  [{ toTunnel: {} }, ip4(''), true, '2,4'],
  [{ toTunnel: {} }, ip4(''), false],
  [{ actions: 'drop' }, ip4(''), true, ''],
  [{ actions: 'drop' }, ip4(''), false],
  [{ actions: ['ct', 'meter'] }, ip4(''), true, 'meter(1),2'],
  [{ actions: 'meter' }, ip4(''), true, 'clone(meter(1),2)'],
  [{ onlyActions: ['output', 'push_vlan'] }, ip4(''), true, 'push_vlan(vid=7,pcp=0),2'],
  [{ onlyActions: 'output' }, ip4(''), false, 'push_vlan(vid=7,pcp=0),2'],
  [{ recirculated: true }, ip4(''), false],
  [{ recirculated: true }, `recirc_id(0x7),${ip4('')}`, true],
  [{ recirculated: false }, `recirc_id(0x7),${ip4('')}`, false],
  [{ port: 1, protocol: 'tcp', destinationPort: 80, source: '10.0.0.0/8' }, ip4('src=10.1.1.1,proto=6,', ',tcp(dst=80)'), true],
  [{ port: 1, protocol: 'tcp', destinationPort: 81, source: '10.0.0.0/8' }, ip4('src=10.1.1.1,proto=6,', ',tcp(dst=80)'), false],
]

t.test('a match fits what it says', async (t) => {
  for (const [one, key, yes, actions] of rows) {
    t.equal(fits(one, key, actions), yes, `${JSON.stringify(one)} ${key} ${actions ?? ''}`)
  }
})

t.test('every field of a match is among the rows', async (t) => {
  const schema = rulesSchema() as {
    properties: { rules: { items: { properties: { match: { properties: object } } } } }
  }
  const fields = Object.keys(schema.properties.rules.items.properties.match.properties)
  const tried = new Set(rows.flatMap(([one]) => Object.keys(one)))
  t.same(
    fields.filter((field) => !tried.has(field)),
    ['tenant'],
    'the tenant has a test of its own',
  )
})

const cloud = `
version: 1
name: cloud
devices:
  nic: ${NIC}
  other: pci/0000:09:00.0
tenants:
  blue: { ports: [web0, 7], limit: 2 }
  green:
    ports: db0
rules:
  - name: inspected
    match: { tenant: blue, protocol: tcp, destinationPort: [80, 443] }
    backend: ovs
    reason: is read by the inspection
  - match: { tenant: [green, blue], device: nic, actions: drop }
    backend: tc
    skip: sw
  - match: { device: other }
    backend: ovs
default: { backend: [tc, ovs], limit: 3, reason: the rest }
`

t.test('the first rule that fits decides, and says why', async (t) => {
  const policy = rules(cloud)
  t.equal(policy.name, 'cloud')
  const ask = (key: string, actions = '2') => policy.place(putOf(key, actions), world)
  t.same(ask(ip4('proto=6,', ',tcp(dst=80)')), {
    choices: [{ backend: 'ovs' }],
    reason: 'rule inspected: is read by the inspection',
  })
  t.same(ask(ip4('proto=6,', ',tcp(dst=22)'), ''), {
    choices: [{ backend: 'tc', skip: 'sw' }],
    reason: 'rule 2',
  })
  t.same(ask('in_port(3),eth(),eth_type(0x0806)', '2').choices, [{ backend: 'tc' }, { backend: 'ovs' }])
  t.equal(ask('in_port(3),eth(),eth_type(0x0806)', '2').reason, 'default: the rest')
  t.equal(ask(ip4('proto=6,', ',tcp(dst=80)')), ask(ip4('proto=6,', ',tcp(dst=443)')), 'constants')
  t.same(
    policy.rules.map(({ name, line }) => [name, line]),
    [
      ['rule inspected', 12],
      ['rule 2', 16],
      ['rule 3', 19],
      ['default', 21],
    ],
  )
  t.equal(policy.ruleOf(ask(ip4('proto=6,', ',tcp(dst=22)'), ''))?.name, 'rule 2')
  t.same(policy.unresolved, ['pci/0000:09:00.0'])
})

t.test('e-switches are known by their names where somebody knows those', async (t) => {
  const policy = rules(cloud, { devices: { 'pci/0000:09:00.0': OTHER } })
  t.same(policy.unresolved, [])
  t.equal(policy.place(putOf('in_port(3),eth(),eth_type(0x0806)'), world).reason, 'rule 3')
})

t.test('a name is a port once there is one', async (t) => {
  const later = new World({ 1: {} })
  const policy = rules({
    version: 1,
    rules: [{ match: { port: 'late' }, backend: 'tc' }],
    default: { backend: 'ovs' },
  })
  t.equal(where(policy, numbered(1, 9), later), 'ovs')
  later.ports.set(9, { number: 9, name: 'late', type: 'netdev', ifindex: 9 })
  t.equal(where(policy, numbered(1, 9), later), 'tc')
})

t.test('limits hold flows back, of rules and of tenants', async (t) => {
  const facts = new World({ 1: { name: 'web0' }, 2: { name: 'db0' }, 3: {} })
  const policy = rules(cloud)
  for (let number = 0; number < 4; number++)
    facts.settle(policy, { ...numbered(number), actions: [{ output: 3 }] })
  t.equal(facts.inTc(), 2, 'of the tenant')
  const third = policy.place({ ...numbered(9), actions: [{ output: 3 }] }, facts)
  t.same([third.choices, third.waitsFor], [[{ backend: 'ovs' }], 'tc'])
  t.equal(third.reason, 'tenant blue: its 2 flows in TC are there')
  t.equal(policy.ruleOf(third)?.name, undefined)
  for (let number = 20; number < 24; number++)
    facts.settle(policy, { ...numbered(number, 3), actions: [{ output: 3 }] })
  t.equal(facts.inTc(), 3, 'of the rule')
  const fourth = policy.place({ ...numbered(29, 3), actions: [{ output: 3 }] }, facts)
  t.equal(fourth.reason, 'default: its 3 flows in TC are there')
  t.equal(policy.ruleOf(fourth)?.name, 'default')
  facts.remove(policy, numbered(0).ufid, 'lost')
  t.equal(where(policy, { ...numbered(30, 3), actions: [{ output: 3 }] }, facts), 'tc ovs')

  const swapped = { ...numbered(9), actions: [{ output: 3 }] }
  facts.settle(policy, swapped, 'tc')
  facts.remove(policy, swapped.ufid)
  t.equal(facts.inTc(), 2)
  const none = rules({ version: 1, default: { backend: ['tc', 'ovs'], limit: 0 } })
  t.equal(none.place(numbered(1), facts).waitsFor, undefined, 'where there is never room nothing waits')
  t.notOk(
    'placed' in rules({ version: 1 }) && rules({ version: 1 }).placed,
    'without limits nothing is heard',
  )
})

const problemsOf = (source: string | RulesDocument): string[] => {
  try {
    rules(source)
  } catch (error) {
    if (error instanceof RulesError) return error.problems.map(formatProblem)
    throw error
  }
  return []
}

t.test('what is wrong is said with its line, column and field, all at once', async (t) => {
  const text = `version: 2
tenants:
  blue: { ports: [web0, web0, 70000] }
  red: { port: 1 }
rules:
  - match:
      protocol: tpc
      source: 10.0.0.1/8
      tenant: purple
      device: xyz
      destinationPort: 90-80
    backend: hw
  - backend: ovs
    skip: sw
  - backend: [tc, tc]
  - match: []
    backend: tc
    limit: -1
extra: 1
`
  t.same(problemsOf(text), [
    "1:10: version: 1 expected, not '2'",
    "3:31: tenants.blue.ports[2]: a whole number from 0 to 65535 expected, not '70000'",
    '4:8: tenants.red.ports: it is missing; a whole number from 0 to 65535, or the name of a port expected',
    '4:10: tenants.red.port: there is no such field; there are ports or limit',
    "7:17: rules[0].match.protocol: icmp, icmpv6, sctp, tcp or udp expected, not 'tpc'",
    "8:15: rules[0].match.source: an address like 10.0.0.1 or fd00::1, or a prefix like 10.0.0.0/8 that ends in zeros expected, not '10.0.0.1/8'",
    "9:15: rules[0].match.tenant: 'purple' is no tenant; there are no tenants",
    "10:15: rules[0].match.device: 'xyz' is neither a switch id in hex digits nor a name from devices; there are no devices",
    "11:24: rules[0].match.destinationPort: a range like 1-9 expected, not '90-80'",
    "12:14: rules[0].backend: ovs or tc expected, not 'hw'",
    "13:5: rules[1].skip: 'skip' is about TC, which backend does not name",
    '15:5: rules[2].backend: each backend is named once',
    '16:12: rules[3].match: fields (packets, port, tenant, recirculated, device, etherType, vlan, protocol, sourcePort, destinationPort, source, destination, tunnel, toTunnel, actions, onlyActions, toPort or sameDevice) expected, not a list',
    "18:12: rules[3].limit: a whole number from 0 to 4294967295 expected, not '-1'",
    '19:1: extra: there is no such field; there are version, name, devices, tenants, rules or default',
  ])
})

t.test('so are texts that are no document', async (t) => {
  t.match(problemsOf('version: 1\nrules: [\n'), [/^3:1: /])
  t.match(problemsOf('version: 1\nversion: 1\n'), [/^2:1: .*unique/])
  t.same(problemsOf(''), ['the document is empty'])
  t.match(problemsOf('- 1'), [/^1:1: fields \(version/])
  t.match(problemsOf('just words'), [/^1:1: fields \(version.*not 'just words'/])
  t.match(problemsOf('{"version": 1, "rules": [{"backend": "tc"}, {"backend": "ovs"}]}'), [
    /^1:25: rules\[1\]: no flow gets here: rules\[0\] matches every one/,
  ])
  t.match(problemsOf('version: 1\n---\nversion: 1\n'), [/documents/])
  t.match(problemsOf('x'.repeat((1 << 20) + 1)), [/characters/])
  t.match(problemsOf('version: 1\ntenants:\n  a: { ports: 1 }\n  b: { ports: [1] }\n'), [
    /^4:3: tenants\.b\.ports: port 1 is of tenant 'a' already/,
  ])
  t.match(problemsOf('version: 1\nrules:\n'), [/^\d+:\d+: rules: a list expected, not nothing/])
})

t.test('documents may be JSON, objects, and say a thing once', async (t) => {
  const document: RulesDocument = {
    version: 1,
    tenants: { blue: { ports: ['web0'] } },
    rules: [{ match: { tenant: 'blue', tunnel: { id: '18446744073709551615' } }, backend: 'tc' }],
  }
  t.same(problemsOf(document), [])
  t.same(problemsOf(JSON.stringify(document)), [])
  t.same(problemsOf(JSON.stringify(document, undefined, '\t')), [], 'with tabs')
  t.same(problemsOf({ ...document, version: 3 as 1 }), ["version: 1 expected, not '3'"], 'without a place')
  const anchored =
    'version: 1\nrules:\n  - match: { source: &net [10.0.0.0/8, fd00::/8] }\n    backend: tc\n  - match: { destination: *net }\n    backend: tc\n'
  t.same(problemsOf(anchored), [])
  t.equal(where(rules(anchored), putOf(ip4('dst=10.0.0.9,')), world), 'tc')
  const bomb = `version: 1\ntenants:\n  t: { ports: &p [${Array.from({ length: 4000 }, (_, i) => i).join(',')}] }\n${Array.from({ length: 200 }, (_, i) => `  t${i}: { ports: *p }`).join('\n')}\n`
  t.ok(problemsOf(bomb).length <= 200, 'and what is said a thousand times is not looked at for ever')
  const digits = rules(
    'version: 1\nrules: [{ match: { device: 001122334455 }, backend: tc }]\ndefault: { backend: ovs }',
  )
  t.equal(where(digits, numbered(1), new World({ 1: { switchId: '001122334455' } })), 'tc', 'all digits')
})

t.test('a document never crashes what reads it', async () => {
  const word = fc.constantFrom(
    'version',
    'rules',
    'match',
    'backend',
    'tc',
    'ovs',
    'port',
    'tenants',
    '1',
    'x',
    '*a',
    '&a',
  )
  const junk = fc.array(
    fc.oneof(word, fc.constantFrom(': ', '\n', '\n  ', '- ', '{', '}', '[', ']', ', ', '"')),
    { maxLength: 30 },
  )
  fc.assert(
    fc.property(
      fc.oneof(
        junk.map((parts) => parts.join('')),
        fc.string(),
        fc.json(),
      ),
      (text) => {
        problemsOf(text)
        return true
      },
    ),
    { numRuns: 500 },
  )
})

t.test('a match for all packets fits only if that for some does', async () => {
  const bits = fc.integer({ min: 0, max: 32 })
  const address = fc.integer({ min: 0, max: 0xffffffff })
  const dotted = (value: number) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.')
  const cut = (value: number, length: number) =>
    length === 0 ? 0 : (value & (0xffffffff << (32 - length))) >>> 0
  fc.assert(
    fc.property(address, bits, fc.option(address), bits, (rule, ruleBits, other, flowBits) => {
      // Half of the time the flow is near the rule.
      const flow = other ?? (rule ^ (1 << (32 - Math.max(1, flowBits)))) >>> 0
      const one = { source: `${dotted(cut(rule, ruleBits))}/${ruleBits}` }
      const key = ip4(`src=${dotted(cut(flow, flowBits))}/${flowBits},`)
      const inside = flowBits >= ruleBits && cut(flow, ruleBits) === cut(rule, ruleBits)
      const shorter = Math.min(flowBits, ruleBits)
      const meets = cut(flow, shorter) === cut(rule, shorter)
      return fits(one, key) === inside && fits({ ...one, packets: 'some' }, key) === meets
    }),
  )
})
