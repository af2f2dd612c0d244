import type { NshKey } from '../../types/flow.js'
import type { Scanner } from '../netlink/scanner.js'
import { type ActionSpelling, formatLong, morePart, scanLong } from './text-action-spelling.js'

/**
 * `push_nsh(flags=0,ttl=63,mdtype=1,np=3,spi=0x1,si=255,c1=0x1,c2=0x2,c3=0x3,c4=0x4)`, or `md2=0x…` for type 2. What is left out is
 * what OVS takes it for.
 */
export const pushNshSpelling: ActionSpelling<NshKey> = {
  format: ({ base = {}, md1, md2 }) => {
    const { flags = 0, ttl = 0, mdtype = 0, np = 0, spi = 0, si = 0 } = base
    let text = `push_nsh(flags=${flags},ttl=${ttl},mdtype=${mdtype},np=${np},spi=0x${spi.toString(16)},si=${si}`
    if (mdtype === 1) for (const name of contexts) text += `,${name}=0x${(md1?.[name] ?? 0).toString(16)}`
    if (mdtype === 2) text += `,md2=${formatLong(md2 ?? new Uint8Array(0))}`
    return `${text})`
  },
  parse: (scanner) => {
    if (!scanner.eat('push_nsh(')) return undefined
    const base = { flags: 0, ttl: 63, mdtype: 1, np: 3, spi: 0, si: 255 }
    const md1 = { c1: 0, c2: 0, c3: 0, c4: 0 }
    let md2: Uint8Array = new Uint8Array(0)
    const from = scanner.at
    const given = new Set<string>()
    while (morePart(scanner)) {
      const at = scanner.at
      const name = scanner.match(/[a-z0-9]+=/y)?.slice(0, -1) ?? ''
      given.add(name)
      if (name in base) base[name as keyof typeof base] = scanner.integer(most[name as keyof typeof base])
      else if (name in md1) md1[name as keyof typeof md1] = scanner.integer(0xffffffff)
      else if (name === 'md2') md2 = scanLong(scanner, 4, MD2_MOST)
      else failAt(scanner, at, wanted)
    }
    const strange = base.mdtype === 1 ? given.has('md2') : contexts.some((name) => given.has(name))
    if (strange) failAt(scanner, from, `context of mdtype ${base.mdtype} expected`)
    scanner.expect(')')
    const context = base.mdtype === 1 ? { md1 } : base.mdtype === 2 && md2.length > 0 ? { md2 } : {}
    return { pushNsh: { base, ...context } }
  },
}

const contexts = ['c1', 'c2', 'c3', 'c4'] as const

/** Context of type 2: what fits into a header beside its fixed part (NSH_CTX_HDRS_MAX_LEN). */
const MD2_MOST = 248

const most = { flags: 3, ttl: 63, mdtype: 15, np: 255, spi: 0xffffff, si: 255 }

const wanted = `${[...Object.keys(most), ...contexts, 'md2'].map((name) => `'${name}='`).join(' ')} or ')' expected`

function failAt(scanner: Scanner, at: number, problem: string): never {
  scanner.at = at
  return scanner.fail(problem)
}
