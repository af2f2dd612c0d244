import type { TunnelKey } from '../../../../types/flow.js'
import { NO_PERCPU_STATS } from '../../../tc/action/index.js'
import { verdicts } from '../../../tc/action/kind.js'
import { type TunnelKeyOptions, tunnelKeyActions } from '../../../tc/action/tunnel-key.js'
import type { Read } from './reading.js'
import type { Rewrite } from './rewrite.js'
import type { Translate, Translation } from './translation.js'
import { readTunnelOptions, tunnelOptions } from './tunnel-options.js'

/** Parts of a tunnel TC has no place for, unless they say nothing. */
const missing: readonly (keyof TunnelKey)[] = ['tpSrc', 'oam', 'ipv4InfoBridge', 'unknown']

export const translateSetTunnel: Translate<Rewrite> = ({ value, bits }, translation, { path }) => {
  const tunnel = value as TunnelKey
  if (bits !== undefined)
    translation.refuse(path, 'KERNEL_RULE', 'a tunnel is set as a whole, without a mask')
  for (const part of missing) {
    if (tunnel[part]) translation.refuse(`${path}.${part}`, 'NO_TC_ACTION', 'TC cannot set it')
  }
  const { id, tos, ttl, tpDst, df, csum } = tunnel
  if (id !== undefined && id > 0xffffffffn) {
    translation.refuse(`${path}.id`, 'VALUE_TOO_LARGE', `tunnel id ${id} does not fit 32 bits`)
  }
  if (df && !translation.abilities.supports?.has('tunnelNoFrag')) {
    const problem = 'kernels before 6.4 silently send without the flag, and this one is not known to be newer'
    translation.refuse(`${path}.df`, 'NEEDS_KERNEL', problem)
  }
  const encap = tunnelOptions(tunnel, translation, path)
  const options: TunnelKeyOptions = {
    parms: { action: verdicts.PIPE, tunnelAction: tunnelKeyActions.SET },
    ...addresses(tunnel, translation, path),
    ...(id === undefined ? {} : { id: Number(id & 0xffffffffn) }),
    ...(tpDst ? { dstPort: tpDst } : {}),
    noCsum: csum ? 0 : 1,
    ...(encap === undefined ? {} : { encap }),
    ...(tos ? { tos } : {}),
    ...(ttl ? { ttl } : {}),
    ...(df ? { noFrag: true } : {}),
  }
  translation.release()
  translation.packet.encapsulated = true
  translation.push({ kind: 'tunnel_key', options, flags: NO_PERCPU_STATS })
}

/** TC wants both ends of one IP version; a source of zeros lets routing choose, as in openvswitch. */
function addresses(tunnel: TunnelKey, translation: Translation, path: string): TunnelKeyOptions {
  const { src = NO_IPV4, dst, ipv6Src = NO_IPV6, ipv6Dst } = tunnel
  const v4 = dst !== undefined && dst !== NO_IPV4
  const v6 = ipv6Dst !== undefined && ipv6Dst !== NO_IPV6
  if (v4 === v6 || (v4 && ipv6Src !== NO_IPV6) || (v6 && src !== NO_IPV4)) {
    translation.refuse(v4 ? `${path}.ipv6Dst` : `${path}.dst`, 'KERNEL_RULE', 'one destination, IPv4 or IPv6')
  }
  return v6 ? { ipv6Src, ipv6Dst } : { ipv4Src: src, ipv4Dst: dst ?? NO_IPV4 }
}

const NO_IPV4 = '0.0.0.0'
const NO_IPV6 = '::'

/** As openvswitch reports a tunnel: what is zero is left out, but for the TTL. */
export const readTunnelKey: Read<'tunnel_key'> = ({ options }) => {
  const {
    parms,
    id,
    ipv4Src,
    ipv4Dst,
    ipv6Src,
    ipv6Dst,
    tos,
    ttl = 0,
    dstPort,
    noCsum,
    encap,
    noFrag,
  } = options
  if (parms?.tunnelAction === tunnelKeyActions.RELEASE) return []
  if (parms?.tunnelAction !== tunnelKeyActions.SET) return undefined
  const more = encap === undefined ? {} : readTunnelOptions(encap)
  if (more === undefined) return undefined
  const tunnel: TunnelKey = {
    ...(id === undefined ? {} : { id: BigInt(id) }),
    ...(ipv4Src === undefined || ipv4Src === NO_IPV4 ? {} : { src: ipv4Src }),
    ...(ipv4Dst === undefined ? {} : { dst: ipv4Dst }),
    ...(tos ? { tos } : {}),
    ttl,
    ...(noFrag ? { df: true } : {}),
    ...(noCsum ? {} : { csum: true }),
    ...(dstPort ? { tpDst: dstPort } : {}),
    ...(ipv6Src === undefined || ipv6Src === NO_IPV6 ? {} : { ipv6Src }),
    ...(ipv6Dst === undefined ? {} : { ipv6Dst }),
    ...more,
  }
  return [{ set: { tunnel } }]
}
