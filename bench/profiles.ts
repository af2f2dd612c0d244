import { type Action, type FlowKey, formatActions, formatKey } from '../lib/index.js'
import { UsageError } from './usage-error.js'

// Flows to measure with. Flow number i of a profile is always the same, in every run and on every machine, so results
// can be compared; no two have the same match or the same ufid.

export type ProfileName = 'l2' | '5tuple' | 'encap' | 'rewrite' | 'ct'

/** A flow as the program that puts it holds it: every object its own, as if it had just come from elsewhere. */
export interface BenchFlow {
  readonly ufid: string
  readonly key: FlowKey
  readonly mask: FlowKey
  readonly actions: readonly Action[]
}

/** Where flows come from and go to. */
export interface Ends {
  /** Numbers of the ports flows come in on, taken in turn. */
  readonly inPorts: readonly number[]
  /** Number of the port they go out of; they drop when there is none. */
  readonly outPort?: number
}

export interface Profile {
  readonly name: ProfileName
  readonly title: string
  /** Whether flows go out of a VXLAN device. */
  readonly tunnel?: true
  /** How many distinct masks it can make. */
  readonly maxMasks: number
  key(index: number, inPort: number): FlowKey
  mask(number: number): FlowKey
  actions(index: number, outPort: number | undefined): Action[]
  /** The same match and actions, as `tc` spells them after `flower`. */
  tc(index: number, mask: number, outDevice: string | undefined): string
}

const hex2 = (value: number) => (value & 0xff).toString(16).padStart(2, '0')
const hex8 = (value: number) => (value >>> 0).toString(16).padStart(8, '0')

const macOf = (index: number) =>
  `02:00:${hex2(index >>> 24)}:${hex2(index >>> 16)}:${hex2(index >>> 8)}:${hex2(index)}`
const addressOf = (index: number) => `10.${(index >>> 16) & 0xff}.${(index >>> 8) & 0xff}.${index & 0xff}`
const portOf = (index: number) => 1024 + (index % 60000)

/** The first `length` of 32 bits, as an address. */
function prefix(length: number): string {
  const bits = length === 0 ? 0 : (0xffffffff << (32 - length)) >>> 0
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 0xff).join('.')
}

/** The first `length` of 48 bits, as a MAC. */
function macPrefix(length: number): string {
  return Array.from({ length: 6 }, (_, byte) => {
    const bits = Math.min(8, Math.max(0, length - byte * 8))
    return hex2(0xff << (8 - bits))
  }).join(':')
}

const output = (outPort: number | undefined): Action[] => (outPort === undefined ? [] : [{ output: outPort }])
const redirect = (device: string | undefined) =>
  device === undefined ? 'action drop' : `action mirred egress redirect dev ${device}`

/** Which bits of the source address and port count, for each mask; what makes a flow unique always counts. */
const sourceBits = (mask: number) => ({ address: 32 - (mask % 33), port: 16 - Math.floor(mask / 33) })
const portBits = (length: number) => (0xffff << (16 - length)) & 0xffff

const fiveTuple: Profile = {
  name: '5tuple',
  title: 'UDP over IPv4: addresses, ports and protocol; one output',
  maxMasks: 33 * 17,
  key: (index, inPort) => ({
    recircId: 0,
    inPort,
    ethernet: { src: '00:00:00:00:00:00', dst: '00:00:00:00:00:00' },
    etherType: 0x0800,
    ipv4: { src: '192.168.1.1', dst: addressOf(index), proto: 17, frag: 0 },
    udp: { src: 4000, dst: portOf(index) },
  }),
  mask: (number) => {
    const { address, port } = sourceBits(number)
    return {
      recircId: 0xffffffff,
      inPort: 0xffffffff,
      ethernet: { src: '00:00:00:00:00:00', dst: '00:00:00:00:00:00' },
      etherType: 0xffff,
      ipv4: { src: prefix(address), dst: '255.255.255.255', proto: 0xff, frag: 0xff },
      udp: { src: portBits(port), dst: 0xffff },
    }
  },
  actions: (_, outPort) => output(outPort),
  tc: (index, mask, device) => {
    const { address, port } = sourceBits(mask)
    const source = address === 0 ? '' : ` src_ip 192.168.1.1/${address}`
    const ports = port === 0 ? '' : ` src_port 4000/0x${portBits(port).toString(16)}`
    const match = `ip_proto udp${source} dst_ip ${addressOf(index)} ip_flags nofrag${ports}`
    return `${match} dst_port ${portOf(index)} ${redirect(device)}`
  },
}

/** Where the tunnel ends (TEST-NET-1); there are as many networks in it as a large cloud has on one host. */
const REMOTE = '192.0.2.1'
const vniOf = (index: number) => 1 + (index % 4096)

export const profiles: Readonly<Record<ProfileName, Profile>> = {
  l2: {
    name: 'l2',
    title: 'Ethernet addresses; one output',
    maxMasks: 49,
    key: (index, inPort) => ({
      recircId: 0,
      inPort,
      ethernet: { src: '02:ff:00:00:00:01', dst: macOf(index) },
      etherType: 0x0800,
      ipv4: { frag: 0 },
    }),
    mask: (number) => ({
      recircId: 0xffffffff,
      inPort: 0xffffffff,
      ethernet: { src: macPrefix(48 - number), dst: 'ff:ff:ff:ff:ff:ff' },
      etherType: 0xffff,
      ipv4: { frag: 0xff },
    }),
    actions: (_, outPort) => output(outPort),
    tc: (index, mask, device) => {
      const source = mask === 48 ? '' : `src_mac 02:ff:00:00:00:01/${macPrefix(48 - mask)} `
      return `${source}dst_mac ${macOf(index)} ip_flags nofrag ${redirect(device)}`
    },
  },
  '5tuple': fiveTuple,
  encap: {
    ...fiveTuple,
    name: 'encap',
    title: '5tuple, and packets leave through a VXLAN tunnel',
    tunnel: true,
    actions: (index, outPort) => [
      { set: { tunnel: { id: BigInt(vniOf(index)), dst: REMOTE, ttl: 64 } } },
      ...output(outPort),
    ],
    tc: (index, mask, device) => {
      const [match = '', last = ''] = fiveTuple.tc(index, mask, device).split(' action ')
      const tunnel = `id ${vniOf(index)} src_ip 0.0.0.0 dst_ip ${REMOTE} ttl 64 nocsum`
      return `${match} action tunnel_key set ${tunnel} pipe action ${last}`
    },
  },
  ct: {
    ...fiveTuple,
    name: 'ct',
    title: '5tuple, and connections are committed before the output',
    actions: (_, outPort) => [{ ct: { commit: true } }, ...output(outPort)],
    tc: (index, mask, device) => {
      const [match = '', last = ''] = fiveTuple.tc(index, mask, device).split(' action ')
      return `${match} action ct commit pipe action ${last}`
    },
  },
  rewrite: {
    ...fiveTuple,
    name: 'rewrite',
    title: '5tuple, and Ethernet addresses and the IPv4 destination are rewritten before the output',
    actions: (index, outPort) => [
      {
        setMasked: {
          key: { ethernet: { src: '02:aa:00:00:00:01', dst: macOf(index) } },
          mask: { ethernet: { src: 'ff:ff:ff:ff:ff:ff', dst: 'ff:ff:ff:ff:ff:ff' } },
        },
      },
      {
        setMasked: {
          key: { ipv4: { dst: addressOf(index ^ 0xffffff) } },
          mask: { ipv4: { dst: '255.255.255.255' } },
        },
      },
      ...output(outPort),
    ],
    tc: (index, mask, device) => {
      const [match = '', last = ''] = fiveTuple.tc(index, mask, device).split(' action ')
      const edit = [
        'munge eth src set 02:aa:00:00:00:01',
        `munge eth dst set ${macOf(index)}`,
        `munge ip dst set ${addressOf(index ^ 0xffffff)}`,
      ]
      return `${match} action pedit ex ${edit.join(' ')} pipe action csum ip and udp pipe action ${last}`
    },
  },
}

/** Throws a UsageError naming those there are. */
export function profileNamed(name: string): Profile {
  const profile = (profiles as Record<string, Profile | undefined>)[name]
  if (profile !== undefined) return profile
  throw new UsageError(`'${name}' is no profile; there are ${Object.keys(profiles).join(', ')}`)
}

/** Unique, because multiplying by an odd number is a bijection, and spread like the random ones of ovs-vswitchd. */
export function ufidOf(index: number): string {
  const a = hex8(Math.imul(index + 1, 0x9e3779b1))
  const b = hex8(Math.imul(index + 1, 0x85ebca6b))
  const c = hex8(Math.imul(index + 1, 0xc2b2ae35))
  // Joined, which makes one string, as one that was read from somewhere is; a template would leave a tree of parts.
  return [a, b.slice(0, 4), `4${b.slice(5)}`, `8${c.slice(1, 4)}`, `${c.slice(4)}${hex8(index)}`].join('-')
}

export interface Range {
  readonly from: number
  readonly to: number
}

/** Flows `from` up to `to` of a profile. With `shared`, flows of one mask have one mask object between them. */
export function generate(
  profile: Profile,
  { from, to }: Range,
  ends: Ends,
  { masks, shared = false }: { readonly masks: number; readonly shared?: boolean },
): BenchFlow[] {
  const common = shared ? Array.from({ length: masks }, (_, number) => profile.mask(number)) : []
  return Array.from({ length: to - from }, (_, offset) => {
    const index = from + offset
    const number = index % masks
    return {
      ufid: ufidOf(index),
      key: profile.key(index, ends.inPorts[index % ends.inPorts.length] ?? 0),
      mask: common[number] ?? profile.mask(number),
      actions: profile.actions(index, ends.outPort),
    }
  })
}

/** A line for `ovs-dpctl add-flows`. */
export function dpctlLine({ ufid, key, mask, actions }: BenchFlow): string {
  return `ufid:${ufid},${formatKey(key, mask)} ${formatActions(actions) || 'drop'}`
}

/** A line for `tc -batch`, with the ufid as the cookie of the last action, as the library puts it. */
export function tcLine(
  profile: Profile,
  index: number,
  masks: number,
  { inDevice, outDevice, skip }: { inDevice: string; outDevice: string | undefined; skip: string },
): string {
  const where = `filter add dev ${inDevice} ingress protocol ip pref 2 handle 0x${(index + 1).toString(16)}`
  const flag = skip === 'none' ? '' : `skip_${skip} `
  const cookie = ufidOf(index).replaceAll('-', '')
  return `${where} flower ${flag}${profile.tc(index, index % masks, outDevice)} cookie ${cookie}`
}
