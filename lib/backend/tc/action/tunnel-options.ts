import type { TunnelKey } from '../../../../types/flow.js'
import { be16, be32, u32 } from '../../../netlink/integers.js'
import type { ErspanOption, GeneveOption, TunnelOptions } from '../../../tc/action/tunnel-key.js'
import type { Translation } from './translation.js'

type Refuse = (part: string, problem: string) => undefined

/** One sort of options: how openvswitch has them ⇄ how TC does. */
interface Sort {
  readonly part: 'geneve' | 'vxlan' | 'erspan'
  readonly write: (tunnel: TunnelKey, refuse: Refuse) => TunnelOptions | undefined
  readonly read: (options: TunnelOptions) => TunnelKey | undefined
}

const sorts: readonly Sort[] = [
  { part: 'geneve', write: writeGeneve, read: readGeneve },
  { part: 'vxlan', write: writeVxlan, read: ({ vxlan }) => ({ vxlan: { gbp: vxlan?.gbp ?? 0 } }) },
  { part: 'erspan', write: writeErspan, read: ({ erspan }) => erspan && readErspan(erspan) },
]

export function tunnelOptions(
  tunnel: TunnelKey,
  translation: Translation,
  path: string,
): TunnelOptions | undefined {
  const found = sorts.filter(({ part }) => tunnel[part] !== undefined)
  const refuse: Refuse = (part, problem) => {
    translation.refuse(`${path}.${part}`, 'KERNEL_RULE', problem)
    return undefined
  }
  if (found.length > 1) return refuse(found[1]?.part ?? '', 'a tunnel has options of one sort only')
  return found[0]?.write(tunnel, refuse)
}

export function readTunnelOptions(options: TunnelOptions): TunnelKey | undefined {
  const found = sorts.filter(({ part }) => options[part] !== undefined)
  return found.length === 1 ? found[0]?.read(options) : undefined
}

// On the wire an option is class, type and a length in words of 4 bytes, the upper three bits of which are reserved.

function writeGeneve({ geneve: bytes = none }: TunnelKey, refuse: Refuse): TunnelOptions | undefined {
  const geneve: GeneveOption[] = []
  let at = 0
  while (at < bytes.length) {
    const size = ((bytes[at + 3] ?? 0) & 0x1f) * 4
    const data = bytes.slice(at + 4, at + 4 + size)
    if (bytes.length < at + 4 || data.length < size) return refuse('geneve', 'an option that is cut short')
    if (size === 0) return refuse('geneve', 'TC does not take an option without data')
    // openvswitch sets the header's C bit for it (validate_and_copy_set_tun()), act_tunnel_key does not.
    if ((bytes[at + 2] ?? 0) & CRITICAL)
      return refuse('geneve', 'TC does not say in the header that an option is critical; types below 0x80')
    if (((bytes[at + 3] ?? 0) & 0xe0) !== 0)
      return refuse('geneve', 'TC clears the reserved bits of an option')
    geneve.push({ class: be16.take(bytes, at), type: bytes[at + 2] as number, data })
    at += 4 + size
  }
  if (geneve.length === 0) return refuse('geneve', 'TC does not take an empty list of options')
  if (bytes.length > MAX_GENEVE)
    return refuse('geneve', `${bytes.length} bytes of options; ${MAX_GENEVE} fit`)
  return { geneve }
}

function readGeneve({ geneve = [] }: TunnelOptions): TunnelKey | undefined {
  const bytes: number[] = []
  for (const { class: owner = 0, type = 0, data = none } of geneve) {
    if (data.length % 4 !== 0 || data.length > 124) return undefined
    bytes.push(owner >> 8, owner & 0xff, type, data.length / 4, ...data)
  }
  return { geneve: Uint8Array.from(bytes) }
}

/** The bits of a group policy the kernel knows (VXLAN_GBP_MASK): the id, "applied" and "do not learn". */
const GBP_BITS = 0x48ffff

function writeVxlan({ vxlan = {} }: TunnelKey, refuse: Refuse): TunnelOptions | undefined {
  const { gbp = 0, unknown } = vxlan
  if (unknown !== undefined) return refuse('vxlan.unknown', 'TC has no such extension')
  if ((gbp & ~GBP_BITS) !== 0) return refuse('vxlan.gbp', 'TC clears all flags but 0x08 and 0x40')
  return { vxlan: { gbp } }
}

// struct erspan_metadata: the version in host order, then the index, or timestamp and tag, which TC leaves 0, and two bytes of bits.

function writeErspan({ erspan: bytes = none }: TunnelKey, refuse: Refuse): TunnelOptions | undefined {
  if (bytes.length !== ERSPAN_SIZE) {
    return refuse('erspan', `${bytes.length} bytes where struct erspan_metadata has ${ERSPAN_SIZE}`)
  }
  const option = erspanOf(bytes)
  const again = option && readErspan(option)?.erspan
  if (option === undefined || !again?.every((byte, at) => byte === bytes[at])) {
    return refuse('erspan', 'TC sets the index of version 1, and direction and hardware id of version 2')
  }
  return { erspan: option }
}

function erspanOf(bytes: Uint8Array): ErspanOption | undefined {
  const version = u32.take(bytes, 0)
  const [upper = 0, lower = 0] = bytes.subarray(10)
  if (version === 1) return { version, index: be32.take(bytes, 4) }
  if (version === 2) {
    return { version, direction: (lower >> 3) & 1, hwid: ((upper & 3) << 4) | (lower >> 4) }
  }
  return undefined
}

function readErspan({ version, index = 0, direction = 0, hwid = 0 }: ErspanOption): TunnelKey | undefined {
  const erspan = new Uint8Array(ERSPAN_SIZE)
  if (version === 1) be32.put(erspan, 4, index)
  else if (version === 2) erspan.set([hwid >> 4, ((hwid & 15) << 4) | (direction << 3)], 10)
  else return undefined
  u32.put(erspan, 0, version)
  return { erspan }
}

const none = new Uint8Array(0)
const ERSPAN_SIZE = 12
const MAX_GENEVE = 252
/** GENEVE_CRIT_OPT_TYPE: who does not know the option has to drop the packet. */
const CRITICAL = 0x80
