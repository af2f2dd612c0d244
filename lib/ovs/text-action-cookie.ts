import { be16, be64, hex, u8, u16, u32 } from '../netlink/integers.js'
import type { Scanner } from '../netlink/scanner.js'
import { type Struct, struct } from '../netlink/struct.js'
import { decimal } from './text-action-spelling.js'

// What ovs-vswitchd puts into the userdata of its own userspace actions, so that it knows what to do when the packet comes back:
// struct user_action_cookie of OVS 3.1, 48 bytes in host order. A type; an OpenFlow port and a bridge's UUID, which text has no words
// for; and at byte 24 a union that depends on the type. Offsets and defaults were read from the memory of ovs-dpctl 3.1.0.

const SIZE = 48
const UNION = 24
/** OpenFlow's "no port" (OFPP_NONE), which is what text stands for. */
const NO_PORT = 0xffff

interface Head {
  readonly type?: number
  readonly gap?: number
  readonly port?: number
}
const head: Struct<Head> = struct<Head>({ type: u16, gap: u16, port: u32 })

/** One kind of cookie. `names` are its parts in text, in their fixed order; all others are gaps. */
interface Kind {
  readonly text: string
  readonly type: number
  readonly union: Struct<Record<string, never>>
  format(parts: Parts): string
  parse(scanner: Scanner): Parts
}
type Parts = Record<string, number | bigint>

/** `sFlow(vid=7,pcp=0,output=2)` or another cookie; undefined when the bytes are none, so that they are printed as bytes. */
export function formatCookie(data: Uint8Array): string | undefined {
  if (data.length !== SIZE) return undefined
  const { type } = head.take(data, 0)
  const kind = kinds.find((kind) => kind.type === type)
  return kind && `${kind.text}(${kind.format(kind.union.take(data, UNION) as Parts)})`
}

/** Reads a cookie, or returns undefined and stays where it is when there is none. */
export function scanCookie(scanner: Scanner): Uint8Array | undefined {
  const kind = kinds.find(({ text }) => scanner.eat(`${text}(`))
  if (kind === undefined) return undefined
  const data = new Uint8Array(SIZE)
  head.put(data, 0, { type: kind.type, port: NO_PORT })
  kind.union.put(data, UNION, kind.parse(scanner) as Record<string, never>)
  scanner.expect(')')
  return data
}

type Form = 'any' | 'decimal' | 'hex' | 'flag'

/** `name=1,other=2`: all parts, in this order. */
function listed(text: string, type: number, union: object, forms: Readonly<Record<string, Form>>): Kind {
  const layout = union as Struct<Record<string, never>>
  const ones = new Map(layout.fields.map(({ name, scalar }) => [name, scalar.ones]))
  const names = Object.entries(forms)
  return {
    text,
    type,
    union: layout,
    format: (parts) =>
      names
        .map(([name, form]) => {
          const part = parts[name] ?? 0
          return `${name}=${form === 'hex' ? hex(part) : form === 'flag' ? Number(part !== 0) : part}`
        })
        .join(','),
    parse: (scanner) => {
      const parts: Parts = {}
      for (const [index, [name, form]] of names.entries()) {
        scanner.expect(`${index === 0 ? '' : ','}${name}=`)
        parts[name] = scanPart(scanner, form, ones.get(name) as number | bigint)
      }
      return parts
    },
  }
}

function scanPart(scanner: Scanner, form: Form, max: number | bigint): number | bigint {
  if (form === 'flag') return decimal(scanner, 1)
  if (form === 'decimal') return decimal(scanner, max as number)
  if (form === 'any') return scanner.integer(max as number)
  const from = scanner.at
  const digits = scanner.match(/(0[xX])?[0-9a-fA-F]+/y)
  if (digits === undefined) return scanner.fail('a number expected')
  const value = BigInt(`0x${digits.replace(/^0x/i, '')}`)
  if (value <= (max as bigint)) return value
  scanner.at = from
  return scanner.fail(`${digits} is more than ${hex(max)}`)
}

const sFlow: Kind = {
  ...listed('sFlow', 1, struct({ tci: be16, gap: u16, output: u32 }), {}),
  format: ({ tci, output }) => `vid=${Number(tci) & 0xfff},pcp=${Number(tci) >> 13},output=${output}`,
  parse: (scanner) => {
    scanner.expect('vid=')
    const vid = scanner.integer(0xfff)
    scanner.expect(',pcp=')
    const tag = vid | (scanner.integer(7) << 13)
    scanner.expect(',output=')
    // The bit that says "tagged" is not in the text; no tag is all zeros.
    return { tci: tag === 0 ? 0 : tag | 0x1000, output: scanner.integer(0xffffffff) }
  },
}

/** Why a flow is not carried out in the kernel, by bit. */
const reasons = ['cfm', 'bfd', 'lacp', 'stp', 'lldp', 'action', 'match']

const slowPath: Kind = {
  ...listed('slow_path', 2, struct({ gap: u32, reason: u32 }), {}),
  format: ({ reason }) => {
    const bits = Number(reason)
    const names = reasons.filter((_, bit) => bits & (1 << bit))
    const unnamed = (bits & ~(2 ** reasons.length - 1)) >>> 0
    if (unnamed !== 0) names.push(hex(unnamed))
    return names.join(',') || '0'
  },
  // OVS prints commas and reads bars.
  parse: (scanner) => {
    let reason = 0
    while (scanner.text[scanner.at] !== ')') {
      const from = scanner.at
      const bit = reasons.indexOf(scanner.match(/[a-z]+/y) ?? '')
      if (bit < 0) {
        scanner.at = from
        if (!/[+0-9 \t]/.test(scanner.text[from] ?? '')) scanner.fail(`one of ${reasons.join(' ')} expected`)
      }
      reason |= bit < 0 ? scanner.integer(0xffffffff) : 1 << bit
      if (!scanner.eat('|') && !scanner.eat(',') && scanner.text[scanner.at] !== ')') {
        scanner.fail("',' '|' or ')' expected")
      }
    }
    return { reason: reason >>> 0 }
  },
}

const sampleForms = {
  probability: 'any',
  collector_set_id: 'any',
  obs_domain_id: 'any',
  obs_point_id: 'any',
  output_port: 'any',
} as const
const sample = listed(
  'flow_sample',
  3,
  struct({
    probability: u16,
    gap: u16,
    collector_set_id: u32,
    obs_domain_id: u32,
    obs_point_id: u32,
    output_port: u32,
    direction: u32,
  }),
  sampleForms,
)
const directions = ['', ',ingress', ',egress']

const flowSample: Kind = {
  ...sample,
  format: (parts) => `${sample.format(parts)}${directions[Number(parts.direction)] ?? ''}`,
  parse: (scanner) => {
    const parts = sample.parse(scanner)
    return { ...parts, direction: scanner.eat(',ingress') ? 1 : scanner.eat(',egress') ? 2 : 0 }
  },
}

const controller = listed(
  'controller',
  5,
  struct({
    dont_send: u8,
    continuation: u8,
    reason: u16,
    recirc_id: u32,
    rule_cookie: be64,
    controller_id: u16,
    max_len: u16,
  }),
  {
    reason: 'decimal',
    dont_send: 'flag',
    continuation: 'flag',
    recirc_id: 'decimal',
    rule_cookie: 'hex',
    controller_id: 'decimal',
    max_len: 'decimal',
  },
)

const kinds: readonly Kind[] = [
  sFlow,
  slowPath,
  flowSample,
  listed('ipfix', 4, struct({ output_port: u32 }), { output_port: 'any' }),
  controller,
]
