import t from 'tap'
import { u8, u16, u32, u64 } from '../../lib/netlink/integers.js'
import { AttributeIndex } from '../../lib/netlink/reader.js'
import { Writer } from '../../lib/netlink/writer.js'
import { type Feature, features, linux61 } from '../../lib/tc/features.js'
import { etherTypes, type MatchRow, matchRows, readMatch, writeMatch } from '../../lib/tc/match.js'
import { matchObjections } from '../../lib/tc/objections.js'
import { reasons } from '../../lib/tc/reasons.js'
import type { FlowKey, MplsKey, TunnelKey, VlanKey } from '../../types/flow.js'
import { canonical, randomBytes, randomValue, seeded, tortures } from './canonical.js'

// Whatever the mask: what is written matches exactly what was asked for, or somebody says where and why it cannot.

const everything = new Set(Object.keys(features) as Feature[])
const random = seeded(20261123)
const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T

const roundTrip = (key: FlowKey, mask: FlowKey) => {
  const writer = new Writer()
  writeMatch(writer, key, mask)
  return readMatch(key.etherType ?? 0, new AttributeIndex(writer.bytes, 0, writer.length))
}

/** Why a match does not come back as it went; undefined when it does, or when its objection begins with one of `paths`. */
function verdict(key: FlowKey, mask: FlowKey, paths: readonly string[], supports = everything) {
  const objections = matchObjections(key, mask, { supports })
  if (objections.length > 0) {
    const strange = objections.find(({ path }) => !paths.some((known) => path.startsWith(known)))
    const nameless = objections.find(({ reason }) => reason === undefined || !(reason in reasons))
    return strange ?? nameless
  }
  const read = roundTrip(key, mask)
  const { inPort: _, ...rest } = canonical(key, mask)
  const asked = JSON.stringify(Object.entries(rest).sort())
  const got = JSON.stringify(Object.entries(canonical(read.key, read.mask)).sort())
  return asked === got ? undefined : { asked, got }
}

const ones32 = 0xffffffff
const outer = { key: { inPort: 1, ethernet: {} }, mask: { inPort: ones32 } }

/** The flow around one field, with all that has to stand there. */
function flowAround(row: MatchRow, value: unknown, bits: unknown): { key: FlowKey; mask: FlowKey } {
  const etherType = row.etherType ?? etherTypes.IPV4
  const l3 = { [etherTypes.IPV4]: 'ipv4', [etherTypes.IPV6]: 'ipv6', [etherTypes.ARP]: 'arp' }[etherType]
  const isArp = etherType === etherTypes.ARP
  const isV6Tunnel = row.part?.startsWith('ipv6') === true
  const tunnel = isV6Tunnel ? { ipv6Dst: 'fd00::1' } : { dst: '10.0.0.1' }
  const tunnelMask = isV6Tunnel ? { ipv6Dst: 'ffff::' } : { dst: '255.255.255.255' }
  const key: Record<string, unknown> = {
    ...outer.key,
    etherType,
    [l3 as string]: isArp ? { op: 1 } : { proto: row.proto ?? 17, frag: 0 },
    ...(row.attribute === 'tunnel' ? { tunnel } : {}),
  }
  const mask: Record<string, unknown> = {
    ...outer.mask,
    etherType: 0xffff,
    [l3 as string]: isArp ? { op: 0xffff } : { proto: 0xff, frag: 0xff },
    ...(row.attribute === 'tunnel' ? { tunnel: tunnelMask } : {}),
  }
  const put = (into: Record<string, unknown>, field: unknown) => {
    if (row.part === undefined) into[row.attribute] = field
    else into[row.attribute] = { ...(into[row.attribute] as object | undefined), [row.part]: field }
  }
  put(key, value)
  put(mask, bits)
  return { key, mask }
}

t.test('one field under any mask', async (t) => {
  for (const row of matchRows) {
    // A number of its own (64 bits, and a flag), and 16 bits of which flower keeps 8: below.
    if (row.attribute === 'tunnel' && row.part === 'id') continue
    if (row.part === 'op') continue
    const path = row.part === undefined ? row.attribute : `${row.attribute}.${row.part}`
    let wrong: unknown
    for (const bits of tortures(row.codec, random)) {
      const value = row.part === 'proto' ? 17 : randomValue(row.codec, random)
      const { key, mask } = flowAround(row, value, bits)
      wrong ??= verdict(key, mask, [path, 'tunnel', path.startsWith('ipv4') ? 'ipv4' : path])
      const flat = matchObjections(key, mask, { supports: everything })
      // Only what flower takes whole or not at all, and a tunnel without an address, may be refused here.
      if (row.maskId !== undefined && row.attribute !== 'tunnel' && flat.length > 0) wrong ??= flat
    }
    t.equal(wrong, undefined, path)
  }
})

t.test('every protocol number, 0 among them', async (t) => {
  for (let proto = 0; proto < 256; proto++) {
    const key = { ...outer.key, etherType: 0x0800, ipv4: { proto } }
    const mask = { ...outer.mask, etherType: 0xffff, ipv4: { proto: 0xff } }
    if (verdict(key, mask, []) !== undefined) t.fail(`proto ${proto}`)
  }
  for (const bits of tortures(u8, random)) {
    const key = { ...outer.key, etherType: 0x86dd, ipv6: { proto: 6 } }
    const mask = { ...outer.mask, etherType: 0xffff, ipv6: { proto: bits } }
    t.equal(verdict(key, mask, ['ipv6.proto']), undefined, `proto under ${bits}`)
  }
})

t.test('an ARP operation under any mask', async (t) => {
  for (const bits of tortures(u16, random)) {
    for (const op of [0, 1, 2, 3, 8]) {
      const key = { ...outer.key, etherType: 0x0806, arp: { op } }
      const mask = { ...outer.mask, etherType: 0xffff, arp: { op: bits } }
      // Of the operation both have one byte, and report its mask as two.
      if ((bits & 0xff) === 0xff) continue
      t.equal(verdict(key, mask, ['arp.op']), undefined, `op ${op} under ${bits}`)
    }
  }
})

const ip = { key: { ...outer.key, etherType: 0x0800, ipv4: {} }, mask: { ...outer.mask, etherType: 0xffff } }

t.test('every conntrack state under every mask', async (t) => {
  let carried = 0
  let wrong: unknown
  for (let ctState = 0; ctState < 256; ctState++) {
    for (let bits = 0; bits < 256; bits++) {
      const key = { ...ip.key, ctState }
      const mask = { ...ip.mask, ctState: bits }
      wrong ??= verdict(key, mask, ['ctState'])
      if (matchObjections(key, mask).length === 0) carried++
    }
  }
  t.equal(wrong, undefined)
  t.ok(carried > 5_000, `${carried} of them are carried`)
  const not = matchObjections({ ...ip.key, ctState: 0x22 }, { ...ip.mask, ctState: 0x23 })
  t.same(not, [], '+trk+est-new keeps its -new')
})

t.test('a tunnel id under any mask', async (t) => {
  for (const bits of tortures(u64, random)) {
    for (const id of [0n, 1n, 0xffffffffn, 1n << 32n, randomValue(u64, random)]) {
      const key = { ...ip.key, tunnel: { id, dst: '10.0.0.1' } }
      const mask = { ...ip.mask, tunnel: { id: bits, dst: '255.0.0.0' } }
      t.equal(verdict(key, mask, ['tunnel.id']), undefined, `id ${id} under ${bits}`)
      // That there is an id is part of the match, so a mask of 0 is not none.
      const exact = bits === u64.ones && id > 0n && id < 1n << 32n
      t.equal(
        matchObjections(key, mask, { supports: everything }).length,
        exact ? 0 : 1,
        `id ${id} under ${bits}`,
      )
    }
  }
})

t.test('any tunnel under any mask', async (t) => {
  const maybe = <T>(value: T): T | undefined => (random() < 0.5 ? value : undefined)
  const defined = (tunnel: object) =>
    Object.fromEntries(Object.entries(tunnel).filter(([, value]) => value !== undefined)) as TunnelKey
  const address = () => pick(['10.0.0.1', '172.16.3.4', '0.0.0.0'])
  const address6 = () => pick(['fd00::1', '2001:db8::5', '::'])
  const whole = (value: bigint) => pick([value, u64.ones, 0n])
  let carried = 0
  for (let turn = 0; turn < 20_000; turn++) {
    const isV6 = random() < 0.3
    const length = 4 * (1 + Math.floor(random() * 4))
    const geneve = maybe(geneveOption(length))
    const erspan = maybe(erspanOf(pick([1, 2])))
    const tunnel = defined({
      id: maybe(pick([1n, 5n, 0n, 1n << 40n])),
      ...(isV6
        ? { ipv6Src: maybe(address6()), ipv6Dst: address6() }
        : { src: maybe(address()), dst: address() }),
      tos: maybe(3),
      ttl: 64,
      df: maybe(true),
      csum: maybe(true),
      oam: maybe(true),
      tpSrc: maybe(1234),
      tpDst: maybe(4789),
      geneve,
      vxlan: maybe({ gbp: pick([5, 0x480005, 0x800000]) }),
      erspan,
    })
    const bits = defined({
      id: maybe(whole(randomValue(u64, random))),
      src: maybe(pick(['255.255.255.255', '255.0.0.0', '0.0.0.0'])),
      dst: maybe(pick(['255.255.255.255', '0.0.0.255', '0.0.0.0'])),
      ipv6Src: isV6 ? maybe('ffff::') : undefined,
      ipv6Dst: maybe(isV6 ? 'ffff::ff' : '::'),
      tos: maybe(pick([0xff, 0x03, 0])),
      ttl: maybe(pick([0xff, 0])),
      df: maybe(true),
      csum: maybe(true),
      oam: maybe(true),
      tpSrc: maybe(0xffff),
      tpDst: maybe(0xff00),
      geneve: random() < 0.2 ? geneveMask(geneve ?? geneveOption(length)) : undefined,
      vxlan: random() < 0.2 ? { gbp: pick([0xffff, 0x48ffff, 0xffffffff, 0x80000, 0x10000, 0]) } : undefined,
      erspan: random() < 0.2 ? erspanMask() : undefined,
    })
    const key = { ...ip.key, tunnel }
    const mask = { ...ip.mask, tunnel: bits }
    const wrong = verdict(key, mask, ['tunnel'])
    if (wrong !== undefined) {
      // Bits of a group policy no packet has: the mask that covers all comes back as all of them.
      const { vxlan, ...others } = bits
      const same = { ...ip.mask, tunnel: { ...others, vxlan: { gbp: 0xffffffff } } }
      const isWhole = vxlan !== undefined && (vxlan.gbp ?? 0) === 0x48ffff
      if (!isWhole || verdict(key, same, ['tunnel']) !== undefined)
        t.same(wrong, undefined, JSON.stringify(turn))
    } else if (matchObjections(key, mask, { supports: everything }).length === 0) carried++
    // What 6.1 does not have is not sent to it.
    if (bits.df || bits.csum || bits.oam || bits.geneve)
      t.not(matchObjections(key, mask, { supports: linux61 }).length, 0, 'flags and options')
  }
  t.ok(carried > 500, `${carried} of them are carried`)
})

function geneveOption(length: number): Uint8Array {
  const bytes = randomBytes(4 + length, random)
  bytes[3] = length / 4
  return bytes
}

function geneveMask(option: Uint8Array): Uint8Array {
  const bytes = randomBytes(option.length, random)
  bytes[3] = pick([0x1f, 0x1f, 0x1f, 0xff, 0x0f, 0])
  return bytes
}

function erspanOf(version: number): Uint8Array {
  const bytes = randomBytes(12, random)
  u32.put(bytes, 0, version)
  return bytes
}

function erspanMask(): Uint8Array {
  const bytes = pick([randomBytes(12, random), new Uint8Array(12)])
  const [kind] = [pick([0, 1, 2])]
  if (kind > 0) bytes.fill(0, 4)
  if (kind === 1) bytes.set(randomBytes(4, random), 4)
  if (kind === 2) bytes.set([pick([0, 3, 1]), pick([0xf8, 0x08, 0xf0, 0x10])], 10)
  u32.put(bytes, 0, pick([ones32, ones32, ones32, 0, 1]))
  return bytes
}

t.test('GENEVE options, one behind the other', async (t) => {
  for (let turn = 0; turn < 200; turn++) {
    const options = Array.from({ length: 1 + Math.floor(random() * 3) }, () =>
      geneveOption(4 * (1 + Math.floor(random() * 5))),
    )
    const masks = options.map((option) => {
      const bits = randomBytes(option.length, random)
      bits[3] = 0x1f
      return bits
    })
    const key = { ...ip.key, tunnel: { dst: '10.0.0.1', geneve: new Uint8Array(Buffer.concat(options)) } }
    const mask = { ...ip.mask, tunnel: { dst: '255.0.0.0', geneve: new Uint8Array(Buffer.concat(masks)) } }
    t.same(matchObjections(key, mask, { supports: everything }), [])
    t.equal(verdict(key, mask, []), undefined)
    t.match(matchObjections(key, mask), [{ path: 'tunnel.geneve', reason: 'TOO_WIDE' }])
  }
})

t.test('a label stack under any mask', async (t) => {
  const ones = { label: 0xfffff, tc: 7, ttl: 0xff, bos: 1 }
  const entry = (): MplsKey => ({
    label: Math.floor(random() * 2 ** 20),
    tc: Math.floor(random() * 8),
    ttl: Math.floor(random() * 256),
    bos: Math.floor(random() * 2),
  })
  let carried = 0
  for (let turn = 0; turn < 5_000; turn++) {
    const isWhole = random() < 0.7
    const part = (of: number) => pick(isWhole ? [0, of] : [0, of, Math.floor(random() * (of + 1))])
    const bits = (): MplsKey => ({
      label: part(ones.label),
      tc: part(ones.tc),
      ttl: part(ones.ttl),
      bos: part(ones.bos),
    })
    const key = {
      ...outer.key,
      etherType: pick([0x8847, 0x8848]),
      mpls: Array.from({ length: pick([1, 2, 3]) }, entry),
    }
    const mask = { ...outer.mask, etherType: 0xffff, mpls: Array.from({ length: pick([1, 2, 3]) }, bits) }
    t.equal(verdict(key, mask, ['mpls']), undefined)
    if (matchObjections(key, mask).length > 0) continue
    carried++
    // How many labels there are at least counts too.
    const said = Object.keys(canonical(key, mask)).some((path) => path.startsWith('mpls'))
    if (said) t.equal(roundTrip(key, mask).mask.mpls?.length, mask.mpls.length)
  }
  t.ok(carried > 1_000, `${carried} of them are carried`)
})

t.test('tags under any mask', async (t) => {
  const vid = [0, 0xfff, 0x00f]
  const pcp = [0, 7, 2]
  const tags: VlanKey[] = vid.flatMap((a) => pcp.map((b) => ({ vid: a, pcp: b, cfi: 1 })))
  const tag = (): VlanKey => ({ vid: Math.floor(random() * 4096), pcp: Math.floor(random() * 8), cfi: 1 })
  const payloads: { key: FlowKey; mask: FlowKey }[] = [
    { key: { etherType: 0x0800, ipv4: {} }, mask: { etherType: 0xffff } },
    { key: { etherType: 0x0800, ipv4: { ttl: 9 } }, mask: { etherType: 0xffff, ipv4: { ttl: 0xff } } },
    { key: { etherType: 0x0800, ipv4: { ttl: 9 } }, mask: { ipv4: { ttl: 0xff } } },
    { key: { etherType: 0x0800, ipv4: {} }, mask: {} },
    { key: { etherType: 0x0800, ipv4: {} }, mask: { etherType: 0xff00 } },
    {
      key: { etherType: 0x8847, mpls: [{ label: 5 }] },
      mask: { etherType: 0xffff, mpls: [{ label: 0xfffff }] },
    },
    { key: {}, mask: {} },
  ]
  for (const outerBits of tags) {
    for (const payload of payloads) {
      for (const etherType of [0x8100, 0x88a8]) {
        const one = {
          key: { ...outer.key, etherType, vlan: tag(), encap: payload.key },
          mask: { ...outer.mask, etherType: 0xffff, vlan: outerBits, encap: payload.mask },
        }
        t.equal(verdict(one.key, one.mask, ['vlan', 'encap']), undefined)
        for (const innerBits of tags) {
          const two = {
            key: { ...outer.key, etherType, vlan: tag(), encap: { ...one.key, inPort: undefined as never } },
            mask: {
              ...outer.mask,
              etherType: 0xffff,
              vlan: outerBits,
              encap: { etherType: 0xffff, vlan: innerBits, encap: payload.mask },
            },
          }
          const { inPort: _, ethernet: __, ...inner } = two.key.encap
          const key = { ...two.key, encap: inner }
          t.equal(verdict(key, two.mask, ['vlan', 'encap']), undefined)
        }
      }
    }
  }
})

t.test('a first fragment, a later one, none, and what lies between', async (t) => {
  for (const frag of [0, 1, 2]) {
    for (const bits of tortures(u8, random)) {
      const v4 = { key: { ...ip.key, ipv4: { frag } }, mask: { ...ip.mask, ipv4: { frag: bits } } }
      t.equal(verdict(v4.key, v4.mask, ['ipv4.frag']), undefined)
      // A part left out is 0.
      if (frag === 0) t.equal(verdict({ ...ip.key, ipv4: {} }, v4.mask, ['ipv4.frag']), undefined)
      const key = { ...outer.key, etherType: 0x86dd, ipv6: { frag } }
      t.equal(verdict(key, { ...ip.mask, ipv6: { frag: bits } }, ['ipv6.frag']), undefined)
    }
  }
})

// What flower has no key for, as a mask with a bit and as one without.
const strangers: readonly (readonly [path: string, value: FlowKey, zero: FlowKey])[] = [
  ['dpHash', { dpHash: 1 }, { dpHash: 0 }],
  ['skbPriority', { skbPriority: 1 }, { skbPriority: 0 }],
  ['skbMark', { skbMark: 1 }, { skbMark: 0 }],
  ['ctTuple4.src', { ctTuple4: { src: '1.0.0.0' } }, { ctTuple4: { src: '0.0.0.0', tpSrc: 0 } }],
  ['ctTuple6.proto', { ctTuple6: { proto: 1 } }, { ctTuple6: { src: '::', proto: 0 } }],
  ['packetType.id', { packetType: { id: 1 } }, { packetType: { ns: 0, id: 0 } }],
  ['ipv6.label', { ipv6: { label: 1 } }, { ipv6: { label: 0 } }],
  ['ipv6Exthdrs', { ipv6Exthdrs: 1 }, { ipv6Exthdrs: 0 }],
  ['nd.target', { nd: { target: '::1' } }, { nd: { target: '::', sll: '00:00:00:00:00:00' } }],
  ['ndExtensions.reserved', { ndExtensions: { reserved: 1 } }, { ndExtensions: { reserved: 0 } }],
  ['nsh.base', { nsh: { base: { si: 1 } } }, { nsh: { base: { si: 0 }, md1: { c1: 0 } } }],
  ['nsh.md2', { nsh: { md2: Uint8Array.of(0, 1) } }, { nsh: { md2: Uint8Array.of(0, 0) } }],
]

t.test(
  'what flower has no key for is refused when a bit of it counts, and no matter otherwise',
  async (t) => {
    for (const [path, bits, zero] of strangers) {
      const key = { ...ip.key, ...bits }
      t.match(matchObjections(key, { ...ip.mask, ...bits }), [{ path, reason: 'NO_FLOWER_KEY' }], path)
      t.same(matchObjections(key, { ...ip.mask, ...zero }), [], `${path}, wild`)
    }
  },
)

t.test(
  'tunnels and connections belong to the outer key, headers behind a tag to the inner one',
  async (t) => {
    const tagged = (bits: FlowKey, inner: FlowKey) =>
      matchObjections(
        {
          ...outer.key,
          ...bits,
          etherType: 0x8100,
          vlan: { vid: 1 },
          encap: { etherType: 0x0800, ipv4: {}, ...inner },
        },
        { ...ip.mask, ...bits, vlan: { vid: 0xfff }, encap: { etherType: 0xffff, ...inner } },
      )
    t.same(
      tagged({ ctMark: 5, tunnel: { dst: '255.0.0.0' }, ethernet: { src: 'ff:00:00:00:00:00' } }, {}),
      [],
    )
    for (const part of [
      { ctMark: 5 },
      { ctState: 0x20 },
      { tunnel: { dst: '1.1.1.1' } },
      { ethernet: { src: 'ff:00:00:00:00:00' } },
    ])
      t.match(tagged({}, part)[0]?.path, /^encap\./, JSON.stringify(part))
    t.match(tagged({ ipv4: { ttl: 255 } }, {}), [{ path: 'ipv4.ttl' }])
    t.match(tagged({ mpls: [{ label: 1 }] }, {}), [{ path: 'mpls' }])
  },
)

t.test('a tunnel that is not matched is any, and none', async (t) => {
  const tunnel = { id: 5n, dst: '10.0.0.1', ttl: 64 }
  for (const mask of [ip.mask, { ...ip.mask, tunnel: {} }]) {
    t.same(matchObjections({ ...ip.key, tunnel }, mask), [])
    t.equal(roundTrip({ ...ip.key, tunnel }, mask).mask.tunnel, undefined)
  }
  // What a kernel reports with a flow whose packets came through none.
  t.same(matchObjections(ip.key, { ...ip.mask, tunnel: { ttl: 0 } }), [])
})

t.test('what a key does not have cannot be matched as absent', async (t) => {
  const mpls = { ...outer.key, etherType: 0x8847, mpls: [{ label: 5 }] }
  const two = { ...outer.mask, etherType: 0xffff, mpls: [{ label: 0xfffff }, { label: 0xfffff }] }
  t.match(matchObjections(mpls, two), [{ path: 'mpls', reason: 'NO_FLOWER_KEY' }])
  const tunnel = { dst: '10.0.0.1' }
  for (const bits of [
    { id: 0n },
    { vxlan: {} },
    { geneve: Uint8Array.of(0, 0, 0, 0x1f) },
    { erspan: new Uint8Array(12) },
  ]) {
    const mask = { ...ip.mask, tunnel: { dst: '255.0.0.0', ...bits } }
    const path = `tunnel.${Object.keys(bits)[0]}`
    t.match(matchObjections({ ...ip.key, tunnel }, mask), [{ path, reason: 'NO_FLOWER_KEY' }], path)
  }
})

t.test('an attribute nobody knows is refused when it is in the key', async (t) => {
  const unknown = [{ id: 200, data: Uint8Array.of(0, 1) }]
  t.match(matchObjections({ ...ip.key, unknown }, { ...ip.mask, unknown }), [{ path: 'unknown' }])
  t.same(matchObjections({ ...ip.key, unknown }, ip.mask), [])
  t.same(matchObjections(ip.key, { ...ip.mask, unknown }), [], 'as kernels report with flows they keep')
})

t.test('a kernel that lacks a feature is not asked for it', async (t) => {
  const dst = { dst: '10.0.0.1' }
  const cases: readonly (readonly [Feature, FlowKey, FlowKey])[] = [
    ['encFlags', { tunnel: { ...dst, df: true } }, { tunnel: { dst: '255.0.0.0', df: true } }],
    [
      'vxlanGbp',
      { tunnel: { ...dst, vxlan: { gbp: 5 } } },
      { tunnel: { dst: '255.0.0.0', vxlan: { gbp: 0xffff } } },
    ],
    ['erspanOpts', ...erspan(1, 4, [0, 0, 0, 0xff])],
    ['erspanV2', ...erspan(2, 10, [0x03, 0xf8])],
    ['ctState', { ctMark: 5 }, { ctMark: 5 }],
    ['ctReply', { ctState: 0x28 }, { ctState: 0x28 }],
  ]
  function erspan(version: number, at: number, bits: readonly number[]): [FlowKey, FlowKey] {
    const key = erspanOf(version)
    const mask = new Uint8Array(12).fill(0xff, 0, 4)
    mask.set(bits, at)
    return [{ tunnel: { ...dst, erspan: key } }, { tunnel: { dst: '255.0.0.0', erspan: mask } }]
  }
  for (const [feature, key, mask] of cases) {
    const without = new Set([...everything].filter((name) => name !== feature))
    const flow = [
      { ...ip.key, ...key },
      { ...ip.mask, ...mask },
    ] as const
    t.same(matchObjections(...flow, { supports: everything }), [], `with ${feature}`)
    t.match(
      matchObjections(...flow, { supports: without }),
      [{ reason: 'NEEDS_KERNEL' }],
      `without ${feature}`,
    )
  }
})
