import { isIPv6 } from 'node:net'
import type { Nat } from '../../types/action.js'
import { ipv4, ipv6 } from '../netlink/addresses.js'
import type { Scalar } from '../netlink/codec.js'
import type { Scanner } from '../netlink/scanner.js'
import { decimal, morePart } from './text-action-spelling.js'

const flags = [
  ['persistent', 'persistent'],
  ['hash', 'protoHash'],
  ['random', 'protoRandom'],
] as const

/** `nat`, `nat(src=10.0.0.1-10.0.0.9:1024-2048,persistent)`. OVS shows ranges and flags only beside `src` and `dst`. */
export function formatNat(nat: Nat): string {
  if (!nat.src && !nat.dst) return 'nat'
  const shown = flags.flatMap(([word, name]) => (nat[name] ? [word] : []))
  return `nat(${[`${nat.src ? 'src' : 'dst'}${formatRange(nat)}`, ...shown].join(',')})`
}

function formatRange({ ipMin, ipMax, protoMin, protoMax }: Nat): string {
  if (ipMin === undefined) return ''
  const spell = (address: string) => {
    if (!isIPv6(address)) return ipv4.format(address)
    return protoMin ? `[${ipv6.format(address)}]` : ipv6.format(address)
  }
  const range = (min: string, max: string | undefined) =>
    max === undefined || max === min ? min : `${min}-${max}`
  const ports = protoMin ? `:${range(`${protoMin}`, protoMax ? `${protoMax}` : undefined)}` : ''
  return `=${range(spell(ipMin), ipMax && spell(ipMax))}${ports}`
}

type Draft = { -readonly [K in keyof Nat]: Nat[K] }

/** Reads what follows the word `nat`. */
export function scanNat(scanner: Scanner): Nat {
  const nat: Draft = {}
  if (!scanner.eat('(')) return nat
  while (morePart(scanner)) {
    const from = scanner.at
    const flag = flags.find(([word]) => scanner.eat(word))
    if (flag !== undefined) nat[flag[1]] = true
    else if (scanner.eat('src')) {
      nat.src = true
      if (scanner.eat('=')) scanRange(scanner, nat)
    } else if (scanner.eat('dst')) {
      nat.dst = true
      if (scanner.eat('=')) scanRange(scanner, nat)
    } else scanner.fail("'src' 'dst' 'persistent' 'hash' 'random' or ')' expected")
    const clash =
      nat.src && nat.dst ? 'src or dst' : nat.protoHash && nat.protoRandom ? 'hash or random' : undefined
    if (clash !== undefined) {
      scanner.at = from
      scanner.fail(`either ${clash} expected`)
    }
  }
  scanner.expect(')')
  return nat
}

function scanRange(scanner: Scanner, nat: Draft): void {
  const from = scanner.at
  const { codec, address } = scanAddress(scanner)
  nat.ipMin = address
  if (scanner.eat('-')) {
    const last = scanAddress(scanner)
    if (last.codec !== codec || !inOrder(codec, address, last.address)) {
      scanner.at = from
      scanner.fail('a range of addresses, the lower one first, expected')
    }
    if (last.address !== address) nat.ipMax = last.address
  }
  if (!scanner.eat(':')) return
  const at = scanner.at
  nat.protoMin = decimal(scanner, 0xffff)
  if (!scanner.eat('-')) return
  const last = decimal(scanner, 0xffff)
  if (last < nat.protoMin) {
    scanner.at = at
    scanner.fail('a range of ports, the lower one first, expected')
  }
  if (last !== nat.protoMin) nat.protoMax = last
}

function scanAddress(scanner: Scanner): { codec: Scalar<string>; address: string } {
  if (scanner.eat('[')) {
    const address = ipv6.parse(scanner)
    scanner.expect(']')
    return { codec: ipv6, address }
  }
  // Two colons are never a port's.
  const from = scanner.at
  const colons = scanner.match(/[0-9a-fA-F:.]+/y)?.match(/:/g)?.length ?? 0
  scanner.at = from
  const codec = colons > 1 ? ipv6 : ipv4
  return { codec, address: codec.parse(scanner) }
}

function inOrder(codec: Scalar<string>, a: string, b: string): boolean {
  const [low, high] = [a, b].map((address) => {
    const bytes = Buffer.alloc(codec.size)
    codec.put(bytes, 0, address)
    return bytes
  }) as [Buffer, Buffer]
  return Buffer.compare(low, high) <= 0
}
