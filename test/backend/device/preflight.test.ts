import t from 'tap'
import type { NetDevice, PreflightReason } from '../../../types/device.js'
import { judge, type PortFacts, type PreflightFacts } from '../../../lib/backend/device/preflight.js'

const device = (name: string, more: Partial<NetDevice> = {}): PortFacts => ({
  name,
  device: { name, ifindex: 7, kind: 'vf', switchId: 'aa', devlink: 'pci/a', hwTcOffload: 'on', ...more },
  hook: { qdisc: 'clsact', foreign: [] },
})

const facts = (ports: readonly PortFacts[], more: Partial<PreflightFacts> = {}): PreflightFacts => ({
  ports,
  eswitches: [{ name: 'pci/a', mode: 'switchdev', ports: [] }],
  modules: { privileged: true, missing: [], lacking: [] },
  ...more,
})

const legacy = [{ name: 'pci/a', mode: 'legacy', ports: [] }] as const
const foreign = [
  { prio: 1, kind: 'u32' },
  { prio: 3, kind: 'matchall' },
]

/** What `NetDevice` leaves out of a device that is on no switch. */
function plain(name: string, kind: NetDevice['kind'], devlink?: string): PortFacts {
  const place = devlink === undefined ? {} : { devlink }
  return {
    name,
    device: { name, ifindex: 8, kind, ...place, hwTcOffload: 'absent' },
    hook: { qdisc: 'ingress', foreign: [] },
  }
}

// biome-ignore format: one case per line
const cases: readonly (readonly [title: string, facts: PreflightFacts, reasons: PreflightReason[], ready: boolean])[] = [
  ['all is well',                    facts([device('a'), device('b')]), [], true],
  ['no ports',                       facts([]), [], true],
  ['a port that is not there',       facts([{ name: 'a' }]), ['NO_DEVICE'], false],
  ['and may come with the mode',     facts([{ name: 'a' }], { eswitches: legacy }), ['NO_DEVICE', 'LEGACY_MODE'], false],
  ['the NIC itself in mode legacy',  facts([plain('a', 'uplink', 'pci/a')], { eswitches: legacy }), ['LEGACY_MODE'], false],
  ["another NIC's mode",             facts([plain('a', 'other', 'pci/b')], { eswitches: legacy }), ['NOT_ON_ESWITCH'], false],
  ['a device of its own',            facts([plain('a', 'other')]), ['NOT_ON_ESWITCH'], false],
  ['a tunnel',                       facts([plain('a', 'tunnel'), device('b')]), [], true],
  ['hw-tc-offload off',              facts([device('a', { hwTcOffload: 'off' })]), ['OFFLOAD_OFF'], false],
  ['hw-tc-offload not there',        facts([device('a', { hwTcOffload: 'absent' })]), ['OFFLOAD_ABSENT'], false],
  ['hw-tc-offload on for good',      facts([device('a', { hwTcOffload: 'fixed' })]), [], true],
  ['two switches',                   facts([device('a'), device('b', { switchId: 'bb' })]), ['DIFFERENT_SWITCHES'], true],
  ['foreign filters',                facts([{ ...device('a'), hook: { qdisc: 'clsact', foreign } }]), ['FOREIGN_FILTER', 'FOREIGN_FILTER'], true],
  ['no qdisc',                       facts([{ ...device('a'), hook: { foreign: [] } }]), ['NO_QDISC'], true],
  ['no module for some flows',       facts([], { modules: { privileged: true, missing: ['act_ct'], lacking: [] } }), ['NO_MODULE'], true],
  ['no module for any flow',         facts([], { modules: { privileged: true, missing: ['sch_ingress'], lacking: [] } }), ['NO_MODULE'], false],
  ['no attribute for some flows',    facts([], { modules: { privileged: true, missing: [], lacking: ['geneveOpts', 'ctReply'] } }), ['NO_FEATURE', 'NO_FEATURE'], true],
  ['no privileges',                  facts([device('a')], { modules: { privileged: false, missing: [], lacking: [] } }), ['NO_PRIVILEGE'], false],
]

t.test('each cause is named, and nothing else', async (t) => {
  for (const [title, given, reasons, ready] of cases) {
    const found = judge(given)
    t.same(
      found.findings.map(({ reason }) => reason),
      reasons,
      title,
    )
    t.equal(found.ready, ready, title)
  }
})

t.test('mends are commands, sentences name the port', async (t) => {
  const all = cases.flatMap(([, given]) => judge(given).findings)
  for (const { port, message, mend } of all) {
    if (port !== undefined && !message.startsWith('e-switch')) t.match(message, `'${port}'`)
    if (mend !== undefined) t.match(mend, /^(devlink dev|ethtool -K|tc (filter|qdisc)|modprobe|sudo hwacc) /)
  }
  const mends = new Set(all.map(({ mend }) => mend))
  const [older] = judge(
    facts([], { modules: { privileged: true, missing: [], lacking: ['ctReply'] } }),
  ).findings
  t.match(older?.message, /cannot match the conntrack states inv and rpl: .*Linux 5\.12/)
  for (const mend of ['tc filter del dev a ingress prio 3', 'devlink dev eswitch set pci/a mode switchdev'])
    t.ok(mends.has(mend), mend)
})
