import type { NshKey, TunnelKey } from '../../types/flow.js'

type Report = (path: string, problem: string) => void

/** How many bytes of options the kernel keeps: `tun_opts` of struct sw_flow_key. */
const MOST_OPTIONS = 255
const GTPU = 16
const PAD = 14

/** What the kernel refuses in a tunnel (ip_tun_from_nlattr(), net/openvswitch/flow_netlink.c). */
export function tunnelViolations(
  key: TunnelKey | undefined,
  mask: TunnelKey | undefined,
  report: Report,
): void {
  for (const side of [key, mask]) if (side !== undefined) reportSide(side, report)
  if (key !== undefined) {
    if (key.ipv4InfoBridge === undefined) reportWhole(key, report)
    else if (Object.keys(key).some((name) => name !== 'id' && name !== 'ipv4InfoBridge'))
      report('tunnel.ipv4InfoBridge', 'an info bridge tunnel has nothing but an id')
  }
  const lengths = [key?.geneve?.length ?? 0, mask?.geneve?.length ?? 0]
  if (mask?.geneve !== undefined && lengths[0] !== lengths[1]) {
    report(
      'tunnel.geneve',
      `options of ${lengths[0]} bytes have a mask of ${lengths[1]}; they are equally long`,
    )
  }
}

/** What holds for keys and masks. */
function reportSide(side: TunnelKey, report: Report): void {
  const v4 = side.src ?? side.dst ?? side.ipv4InfoBridge
  const v6 = side.ipv6Src ?? side.ipv6Dst
  if (v4 !== undefined && v6 !== undefined) report('tunnel', 'a tunnel is either IPv4 or IPv6')
  const kinds = (['geneve', 'vxlan', 'erspan'] as const).filter((name) => side[name] !== undefined)
  if (kinds.length > 1) report(`tunnel.${kinds[1]}`, `options of one kind only, not ${kinds.join(' and ')}`)
  for (const name of ['geneve', 'erspan'] as const) {
    const length = side[name]?.length ?? 0
    if (length > MOST_OPTIONS)
      report(`tunnel.${name}`, `${length} bytes of options; the kernel takes ${MOST_OPTIONS}`)
  }
  if ((side.geneve?.length ?? 0) % 4 !== 0)
    report('tunnel.geneve', 'the length of GENEVE options is a multiple of 4')
  for (const { id } of side.unknown ?? []) {
    if (id === GTPU) report('tunnel.unknown', 'GTP-U options are for Open vSwitch in userspace only')
    else if (id !== PAD) report('tunnel.unknown', `the kernel has no tunnel attribute ${id}`)
  }
  if (side.vxlan?.unknown !== undefined)
    report('tunnel.vxlan.unknown', 'the kernel has no VXLAN extension but gbp')
}

function reportWhole(key: TunnelKey, report: Report): void {
  if (key.ttl === undefined) report('tunnel.ttl', 'a tunnel goes with a ttl')
  const v6 = key.ipv6Src ?? key.ipv6Dst
  const name = v6 === undefined ? 'dst' : 'ipv6Dst'
  if (!/[1-9a-f]/i.test(key[name] ?? '')) report(`tunnel.${name}`, 'a tunnel goes with a destination')
}

/** What the kernel refuses in a network service header (nsh_key_put_from_nlattr()). */
export function nshViolations(key: NshKey | undefined, mask: NshKey | undefined, report: Report): void {
  for (const side of [key, mask]) {
    if (side?.md2 !== undefined) report('nsh.md2', 'a context of type 2 can be pushed, but not matched')
    for (const { id } of side?.unknown ?? []) report('nsh.unknown', `the kernel has no NSH attribute ${id}`)
  }
  if (key?.md1 !== undefined && key.base?.mdtype !== 1) report('nsh.md1', 'c1 to c4 go with mdtype=1')
}
