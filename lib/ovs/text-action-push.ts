import type { AddMpls, PushMpls, PushVlan } from '../../types/action.js'
import type { EthernetKey } from '../../types/flow.js'
import { mac } from '../netlink/addresses.js'
import type { Scanner } from '../netlink/scanner.js'
import type { ActionSpelling } from './text-action-spelling.js'
import { vlanSpelling } from './text-attribute.js'

export const pushVlanSpelling: ActionSpelling<PushVlan> = {
  format: ({ tpid = 0x8100, ...tag }) => {
    const type = tpid === 0x8100 ? '' : `tpid=0x${tpid.toString(16).padStart(4, '0')},`
    return `push_vlan(${type}${vlanSpelling.format(tag, undefined, { verbose: true })})`
  },
  parse: (scanner) => {
    if (!scanner.eat('push_vlan(')) return undefined
    let tpid = 0x8100
    if (scanner.eat('tpid=')) {
      tpid = scanner.integer(0xffff)
      scanner.expect(',')
    }
    scanner.expect('vid=')
    const vid = scanner.integer(0xfff)
    scanner.expect(',pcp=')
    const pcp = scanner.integer(7)
    const cfi = scanner.eat(',cfi=') ? scanner.integer(1) : 1
    scanner.expect(')')
    return { pushVlan: { tpid, vid, pcp, cfi } }
  },
}

/** OVS prints this and does not read it. */
export const pushMplsSpelling: ActionSpelling<PushMpls> = {
  format: (label) => `push_mpls(${formatLabel(label)})`,
  parse: (scanner) => (scanner.eat('push_mpls(') ? { pushMpls: scanLabel(scanner) } : undefined),
}

/** Text has no word for the place: OVS takes it for the one before the Ethernet header. */
export const addMplsSpelling: ActionSpelling<AddMpls> = {
  format: (label) => `add_mpls(${formatLabel(label)})`,
  parse: (scanner) =>
    scanner.eat('add_mpls(') ? { addMpls: { ...scanLabel(scanner), flags: 0 } } : undefined,
}

/** OVS prints this and does not read it. */
export const popMplsSpelling: ActionSpelling<number> = {
  format: (etherType) => `pop_mpls(eth_type=0x${etherType.toString(16)})`,
  parse: (scanner) => {
    if (!scanner.eat('pop_mpls(eth_type=')) return undefined
    const popMpls = scanner.integer(0xffff)
    scanner.expect(')')
    return { popMpls }
  },
}

/** OVS prints this and does not read it. */
export const pushEthSpelling: ActionSpelling<EthernetKey> = {
  format: ({ src = mac.zero, dst = mac.zero }) => `push_eth(src=${mac.format(src)},dst=${mac.format(dst)})`,
  parse: (scanner) => {
    if (!scanner.eat('push_eth(src=')) return undefined
    const src = mac.parse(scanner)
    scanner.expect(',dst=')
    const dst = mac.parse(scanner)
    scanner.expect(')')
    return { pushEth: { src, dst } }
  },
}

function formatLabel({ label = 0, tc = 0, ttl = 0, bos = 0, etherType = 0x8847 }: PushMpls): string {
  return `label=${label},tc=${tc},ttl=${ttl},bos=${bos},eth_type=0x${etherType.toString(16)}`
}

function scanLabel(scanner: Scanner): PushMpls {
  scanner.expect('label=')
  const label = scanner.integer(0xfffff)
  scanner.expect(',tc=')
  const tc = scanner.integer(7)
  scanner.expect(',ttl=')
  const ttl = scanner.integer(255)
  scanner.expect(',bos=')
  const bos = scanner.integer(1)
  scanner.expect(',eth_type=')
  const etherType = scanner.integer(0xffff)
  scanner.expect(')')
  return { label, tc, ttl, bos, etherType }
}
