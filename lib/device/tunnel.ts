import type { TunnelSettings, TunnelType } from '../../types/port.js'
import { be16, u8 } from '../netlink/integers.js'
import { AttributeSet, flag } from '../netlink/table.js'
import { Writer } from '../netlink/writer.js'
import type { LinkInfo } from './link.js'

/*
 * Tunnels a datapath can use are devices that learn a packet's tunnel from its metadata, and tell it there (collect-metadata mode).
 * A device of the same kind in another mode has its ends and its key for itself, and is a device like any other.
 */

/** What a kind's device says of itself, as far as it matters here. */
interface TunnelData {
  readonly learning?: number
  readonly port?: number
  readonly zeroCsum6Rx?: number
  readonly gbp?: true
  readonly gpe?: true
  readonly collectMetadata?: number | true
}

type DataOf<K extends keyof TunnelData> = Pick<TunnelData, K>

// biome-ignore format: one row per line
export const vxlanData = new AttributeSet<DataOf<'learning' | 'port' | 'zeroCsum6Rx' | 'gbp' | 'gpe'> & { readonly collectMetadata?: number }>('vxlan', {
  learning: { uapi: 'IFLA_VXLAN_LEARNING', id: 7, codec: u8, doc: 'Keeps a table of its own.' },
  port: { uapi: 'IFLA_VXLAN_PORT', id: 15, codec: be16, doc: 'UDP port.' },
  zeroCsum6Rx: { uapi: 'IFLA_VXLAN_UDP_ZERO_CSUM6_RX', id: 20, codec: u8, doc: 'Takes IPv6 without checksum.' },
  gbp: { uapi: 'IFLA_VXLAN_GBP', id: 23, codec: flag, doc: 'Group policy.' },
  collectMetadata: { uapi: 'IFLA_VXLAN_COLLECT_METADATA', id: 25, codec: u8, doc: 'The tunnel is the flows\' business.' },
  gpe: { uapi: 'IFLA_VXLAN_GPE', id: 27, codec: flag, doc: 'Packets without an Ethernet header.' },
})

// biome-ignore format: one row per line
export const geneveData = new AttributeSet<DataOf<'port' | 'zeroCsum6Rx'> & { readonly collectMetadata?: true }>('geneve', {
  port: { uapi: 'IFLA_GENEVE_PORT', id: 5, codec: be16, doc: 'UDP port.' },
  collectMetadata: { uapi: 'IFLA_GENEVE_COLLECT_METADATA', id: 6, codec: flag, doc: 'The tunnel is the flows\' business.' },
  zeroCsum6Rx: { uapi: 'IFLA_GENEVE_UDP_ZERO_CSUM6_RX', id: 10, codec: u8, doc: 'Takes IPv6 without checksum.' },
})

// biome-ignore format: one row per line
export const greData = new AttributeSet<{ readonly collectMetadata?: true }>('gre', {
  collectMetadata: { uapi: 'IFLA_GRE_COLLECT_METADATA', id: 18, codec: flag, doc: 'The tunnel is the flows\' business.' },
})

interface TunnelRow {
  /** What rtnetlink calls it. */
  readonly kind: string
  readonly data: AttributeSet<TunnelData>
  /** Said of every device that is made; the same as ovs-vswitchd says. */
  readonly always: TunnelData
  /** UDP port unless another is asked for; absent where there are none. */
  readonly port?: number
  readonly hasGbp?: true
}

const gre = { data: greData as AttributeSet<TunnelData>, always: { collectMetadata: true } } as const

/** Every type of tunnel, as rtnetlink has it. */
export const tunnelKinds: Readonly<Record<TunnelType, TunnelRow>> = {
  vxlan: {
    kind: 'vxlan',
    data: vxlanData as AttributeSet<TunnelData>,
    always: { learning: 0, zeroCsum6Rx: 1, collectMetadata: 1 },
    port: 4789,
    hasGbp: true,
  },
  geneve: {
    kind: 'geneve',
    data: geneveData as AttributeSet<TunnelData>,
    always: { zeroCsum6Rx: 1, collectMetadata: true },
    port: 6081,
  },
  gre: { kind: 'gretap', ...gre },
  ip6gre: { kind: 'ip6gretap', ...gre },
  erspan: { kind: 'erspan', ...gre },
  ip6erspan: { kind: 'ip6erspan', ...gre },
}

export const tunnelTypes = Object.keys(tunnelKinds) as TunnelType[]
const typeOf = new Map(tunnelTypes.map((type) => [tunnelKinds[type].kind, type]))

/** The settings with everything said that a type has. Throws a TypeError or a RangeError on what it does not have. */
export function completeSettings(type: TunnelType, { dstPort, gbp }: TunnelSettings = {}): TunnelSettings {
  const { port, hasGbp } = tunnelKinds[type]
  if (dstPort !== undefined && port === undefined)
    throw new TypeError(`tunnels of type ${type} have no dstPort`)
  if (dstPort !== undefined && (!Number.isInteger(dstPort) || dstPort < 1 || dstPort > 0xffff))
    throw new RangeError(`dstPort ${dstPort}: a whole number from 1 to 65535 is needed`)
  if (gbp && !hasGbp) throw new TypeError(`tunnels of type ${type} have no group policy`)
  return { ...(port === undefined ? {} : { dstPort: dstPort ?? port }), ...(gbp ? { gbp } : {}) }
}

/** What makes a device of that type. */
export function tunnelInfo(type: TunnelType, settings: TunnelSettings): LinkInfo {
  const { kind, data, always } = tunnelKinds[type]
  const { dstPort, gbp } = completeSettings(type, settings)
  const said = { ...always, ...(dstPort === undefined ? {} : { port: dstPort }), ...(gbp ? { gbp } : {}) }
  return { kind, data: data.encode(new Writer(64), said) }
}

/** Which tunnel a device is; undefined for one that is none, or not the flows' business. */
export function tunnelOf({
  kind = '',
  data,
}: LinkInfo): { type: TunnelType; tunnel: TunnelSettings } | undefined {
  const type = typeOf.get(kind)
  if (type === undefined || data === undefined) return undefined
  const { collectMetadata, gpe, port, gbp } = tunnelKinds[type].data.read(data, 0, data.length)
  if (!collectMetadata || gpe) return undefined
  return { type, tunnel: { ...(port === undefined ? {} : { dstPort: port }), ...(gbp ? { gbp } : {}) } }
}
