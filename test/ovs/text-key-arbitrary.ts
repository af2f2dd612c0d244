import fc from 'fast-check'
import type { FlowKey, NshKey, TunnelKey } from '../../types/flow.js'
import type { Scalar } from '../../lib/netlink/codec.js'
import { u32 } from '../../lib/netlink/integers.js'
import type { Struct } from '../../lib/netlink/struct.js'
import { Writer } from '../../lib/netlink/writer.js'
import { encodeGeneveMask, encodeGeneveOptions } from '../../lib/ovs/geneve.js'
import { flowKey, mplsEntry, nshBase, nshContext, tunnelKey } from '../../lib/ovs/key.js'

export interface Match {
  readonly key: FlowKey
  readonly mask: FlowKey
}

/** Any key with a mask for each of its attributes, as far as text can say it. */
export function match(depth: number): fc.Arbitrary<Match> {
  const pairs = flowKey.rows.map((row) => {
    return pairOf(row.name, row.codec as Struct<object>, depth).map(
      ([key, mask]) => [row.name, key, mask] as const,
    )
  })
  return fc
    .tuple(...pairs.map((pair) => fc.option(pair, { nil: undefined })))
    .map((list) => list.filter((item) => item !== undefined))
    .map((list) => ({
      key: Object.fromEntries(list.map(([name, value]) => [name, value])),
      mask: Object.fromEntries(list.map(([name, , mask]) => [name, mask])),
    }))
}

type Pair = readonly [key: unknown, mask: unknown]

function pairOf(name: string, codec: Struct<object>, depth: number): fc.Arbitrary<Pair> {
  if (name === 'encap') {
    const inner = depth === 0 ? fc.constant({ key: {}, mask: {} }) : match(depth - 1)
    return inner.map(({ key, mask }) => [key, mask] as const)
  }
  if (name === 'tunnel') return tunnel
  if (name === 'nsh') return nsh
  if (name === 'mpls') {
    const entry = fc.tuple(values(name, mplsEntry, false), values(name, mplsEntry, true))
    return fc
      .array(entry, { minLength: 1, maxLength: 3 })
      .map((list) => [list.map(([value]) => value), list.map(([, mask]) => mask)] as const)
  }
  return fc.tuple(values(name, codec, false), values(name, codec, true))
}

export function values(
  name: string,
  codec: Struct<object> | Scalar<unknown>,
  asMask: boolean,
): fc.Arbitrary<unknown> {
  if (name === 'vlan') {
    const cfi = asMask ? fc.constant(1) : fc.nat(1)
    return fc.record({ vid: fc.nat(0xfff), pcp: fc.nat(7), cfi })
  }
  if (name === 'mpls')
    return fc.record({ label: fc.nat(0xfffff), tc: fc.nat(7), ttl: fc.nat(0xff), bos: fc.nat(1) })
  if ('fields' in codec) {
    const parts = codec.fields.map((field) => [
      field.name,
      values(field.name, field.scalar as Scalar<unknown>, asMask),
    ])
    return fc.record(Object.fromEntries(parts))
  }
  if (name === 'frag') return asMask ? fc.constantFrom(0, 0xff) : fc.nat(2)
  if (name === 'ctState') return asMask ? fc.oneof(fc.nat(0xff), fc.constant(0xffffffff)) : fc.nat(0xff)
  // Exact flags have a mask of 16 bits, of which 12 exist.
  if (name === 'tcpFlags') return asMask ? fc.oneof(fc.nat(0xffe), fc.constant(0xffff)) : fc.nat(0xfff)
  if (name === 'label') return fc.nat(0xfffff)
  // nd_ext has no mask for it.
  if (name === 'reserved' && asMask) return fc.constant(0xffffffff)
  return fc.oneof(
    fc.constantFrom(codec.zero, codec.ones),
    fc.uint8Array({ minLength: codec.size, maxLength: codec.size }).map((data) => codec.take(data, 0)),
  )
}

const words = fc.oneof(fc.constant(0), fc.constant(0xff), fc.nat(0xff))
const sized = (length: number) =>
  fc.array(words, { minLength: length, maxLength: length }).map((list) => Uint8Array.from(list))

const geneve: fc.Arbitrary<Pair> = fc
  .array(
    fc.nat(3).chain((length) =>
      fc.record({
        class: fc.nat(0xffff),
        type: fc.nat(0xff),
        data: sized(length * 4),
        mask: fc.record({ class: fc.nat(0xffff), type: fc.nat(0xff), data: sized(length * 4) }),
      }),
    ),
    { maxLength: 4 },
  )
  .map((options) => [encodeGeneveOptions(options), encodeGeneveMask(options)] as const)

const gbp = fc.nat(0xffffff)
const vxlan: fc.Arbitrary<Pair> = fc.oneof(
  fc.tuple(fc.record({ gbp }), fc.record({ gbp })),
  fc.constant([{}, {}] as const),
)

/** Version and index, or version, direction and hardware: what text has of it. */
const erspan: fc.Arbitrary<Pair> = fc
  .record({
    version: fc.constantFrom(1, 2),
    bits: fc.constantFrom(0, 7, 0xffffffff),
    value: sized(4),
    mask: sized(4),
  })
  .map(({ version, bits, value, mask }) => {
    const bytes = (head: number, rest: Uint8Array) => {
      const data = new Uint8Array(12)
      u32.put(data, 0, head)
      if (version === 1) data.set(rest, 4)
      else data[11] = (rest[0] as number) & 0xf8
      return data
    }
    return [bytes(version, value), bytes(bits, mask)] as const
  })

const unknown: fc.Arbitrary<Pair> = fc
  .record({ id: fc.constantFrom(16, 17, 200), value: sized(2), mask: sized(2) })
  .map(({ id, value, mask }) => [[{ id, data: value }], [{ id, data: mask }]] as const)

const nested: Readonly<Record<string, fc.Arbitrary<Pair>>> = { geneve, vxlan, erspan, unknown }
const flags = ['df', 'csum', 'oam'] as const

const tunnelParts = [...tunnelKey.rows.map(({ name }) => name), 'unknown']
  .filter((name) => name !== 'ipv4InfoBridge' && !flags.includes(name as 'df'))
  .map((name) => {
    const scalar = tunnelKey.rows.find((row) => row.name === name)?.codec as unknown as Scalar<unknown>
    const pair = nested[name] ?? fc.tuple(values(name, scalar, false), values(name, scalar, true))
    // OVS shows the flag `key` without its id when the id does not count, and reads nothing of that.
    const telling = name === 'id' ? pair.filter(([, mask]) => mask !== 0n) : pair
    const part = telling.map(([key, mask]) => ({ name, key, mask }))
    return name === 'ttl' ? part : fc.option(part, { nil: undefined })
  })

/** A tunnel with a TTL, as every tunnel has that is matched. */
const tunnel: fc.Arbitrary<Pair> = fc
  .record({
    parts: fc.tuple(...tunnelParts),
    set: fc.subarray([...flags]),
    count: fc.subarray([...flags]),
  })
  .map(({ parts, set, count }) => {
    const key: Record<string, unknown> = Object.fromEntries(set.map((name) => [name, true]))
    const mask: Record<string, unknown> = Object.fromEntries(count.map((name) => [name, true]))
    for (const part of parts) {
      if (part === undefined) continue
      key[part.name] = part.key
      mask[part.name] = part.mask
    }
    return [key, mask] as const
  })

/** With an exact type, which says whether there is a context. */
const nsh: fc.Arbitrary<Pair> = fc
  .record({
    mdtype: fc.constantFrom(1, 2),
    base: values('nsh', nshBase, false),
    baseMask: values('nsh', nshBase, true),
    md1: values('nsh', nshContext, false),
    md1Mask: values('nsh', nshContext, true),
  })
  .map(({ mdtype, base, baseMask, md1, md1Mask }) => {
    const key = { base: { ...(base as object), mdtype }, ...(mdtype === 1 ? { md1 } : {}) }
    const none = { c1: 0, c2: 0, c3: 0, c4: 0 }
    return [
      key,
      { base: { ...(baseMask as object), mdtype: 0xff }, md1: mdtype === 1 ? md1Mask : none },
    ] as const
  })

/** What text shows of a key: a fragment type, TCP flags, flags of a tunnel and parts of an NSH only where they count. */
export function counting(key: FlowKey, mask: FlowKey): FlowKey {
  const part = <T extends { frag?: number }>(value: T | undefined, bits: { frag?: number } | undefined) =>
    value && { ...value, frag: (value.frag ?? 0) & (bits?.frag ?? 0) }
  const { ipv4, ipv6, tcpFlags, tunnel, nsh, encap, ...rest } = key
  return {
    ...rest,
    ...(ipv4 && { ipv4: part(ipv4, mask.ipv4) }),
    ...(ipv6 && { ipv6: part(ipv6, mask.ipv6) }),
    ...(tcpFlags !== undefined && { tcpFlags: tcpFlags & (mask.tcpFlags ?? 0) }),
    ...(tunnel && { tunnel: countingTunnel(tunnel, mask.tunnel ?? {}) }),
    ...(nsh && { nsh: countingNsh(nsh, mask.nsh ?? {}) }),
    ...(encap && { encap: counting(encap, mask.encap ?? {}) }),
  } as FlowKey
}

function countingTunnel(key: TunnelKey, mask: TunnelKey): TunnelKey {
  return Object.fromEntries(
    Object.entries(key).filter(([name]) => !flags.includes(name as 'df') || mask[name as 'df']),
  )
}

function countingNsh(key: NshKey, mask: NshKey): NshKey {
  const shown = (value: object | undefined, bits: object | undefined) =>
    value &&
    Object.fromEntries(
      Object.entries(value).map(([name, part]) => [
        name,
        (bits as Record<string, number>)?.[name] ? part : 0,
      ]),
    )
  return { base: shown(key.base, mask.base), ...(key.md1 && { md1: shown(key.md1, mask.md1) }) } as NshKey
}

export function encode(key: FlowKey): string {
  const writer = new Writer()
  flowKey.write(writer, key)
  return Buffer.from(writer.take()).toString('hex')
}

export function same(actual: string, expected: string): void {
  if (actual !== expected) throw new Error(`${actual} is not ${expected}`)
}
