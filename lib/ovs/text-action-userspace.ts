import type { UserspaceAction } from '../../types/action.js'
import type { Scanner } from '../netlink/scanner.js'
import { formatCookie, scanCookie } from './text-action-cookie.js'
import { type ActionSpelling, formatHex, type ParseContext } from './text-action-spelling.js'
import { parseBytes } from './text-attribute.js'
import { scanPortName } from './text-key.js'

/**
 * `userspace(pid=1,userdata(0102),actions,tunnel_out_port=3)`, with the userdata in words where it is one of OVS's own. Without
 * userdata none is sent; OVS would send 48 zeros, and at least 8 bytes in any case.
 */
export const userspaceSpelling: ActionSpelling<UserspaceAction> = {
  format: ({ pid, userdata, actions, egressTunPort }, { portName }) => {
    if (pid === undefined) return 'userspace(error)'
    let text = `userspace(pid=${pid}`
    if (userdata !== undefined) text += `,${formatCookie(userdata) ?? `userdata(${formatHex(userdata)})`}`
    if (actions) text += ',actions'
    if (egressTunPort !== undefined) text += `,tunnel_out_port=${portName?.(egressTunPort) ?? egressTunPort}`
    return `${text})`
  },
  parse: (scanner, context) => {
    if (!scanner.eat('userspace(')) return undefined
    scanner.expect('pid=')
    const pid = scanner.integer(0xffffffff)
    const userdata = scanUserdata(scanner)
    const actions = scanner.eat(',actions')
    const egressTunPort = scanner.eat(',tunnel_out_port=') ? scanPort(scanner, context) : undefined
    scanner.expect(')')
    const userspace: UserspaceAction = {
      pid,
      ...(userdata && { userdata }),
      ...(actions && { actions }),
      ...(egressTunPort !== undefined && { egressTunPort }),
    }
    return { userspace }
  },
}

function scanUserdata(scanner: Scanner): Uint8Array | undefined {
  const from = scanner.at
  if (!scanner.eat(',')) return undefined
  const cookie = scanCookie(scanner)
  if (cookie !== undefined) return cookie
  if (!scanner.eat('userdata(')) {
    scanner.at = from
    return undefined
  }
  scanner.match(/[ \t]+/y)
  const data = parseBytes(scanner)
  scanner.match(/[ \t]+/y)
  scanner.expect(')')
  return data
}

function scanPort(scanner: Scanner, context: ParseContext): number {
  return scanPortName(scanner, context, /[^)]+/y) ?? scanner.integer(0xffffffff)
}
