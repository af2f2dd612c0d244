import { ipv4, ipv6 } from '../../netlink/addresses.js'
import { be16, u8, u16, u32, u128 } from '../../netlink/integers.js'
import { struct } from '../../netlink/struct.js'
import { AttributeSet, string } from '../../netlink/table.js'
import { times } from '../stats.js'
import { type ActionKind, type CommonOptions, type General, general } from './kind.js'

export interface CtOptions extends CommonOptions {
  readonly parms?: General
  /** Sum of {@link ctActions}. */
  readonly flags?: number
  readonly zone?: number
  readonly mark?: number
  readonly markMask?: number
  readonly labels?: bigint
  readonly labelsMask?: bigint
  readonly ipv4Min?: string
  readonly ipv4Max?: string
  readonly ipv6Min?: string
  readonly ipv6Max?: string
  readonly portMin?: number
  readonly portMax?: number
  readonly helper?: string
  /** AF_INET or AF_INET6. */
  readonly helperFamily?: number
  readonly helperProto?: number
}

/** TCA_CT_ACT_*. */
export const ctActions = { COMMIT: 1, FORCE: 2, CLEAR: 4, NAT: 8, NAT_SRC: 16, NAT_DST: 32 } as const

/** Sends the packet through connection tracking. */
export const ct: ActionKind<CtOptions> = {
  kind: 'ct',
  nested: true,
  // biome-ignore format: one row per line
  options: new AttributeSet<CtOptions>('ct', {
    parms: { uapi: 'TCA_CT_PARMS', id: 1, codec: struct<General>(general), doc: 'What is next.' },
    flags: { uapi: 'TCA_CT_ACTION', id: 3, codec: u16, doc: 'What is done.' },
    zone: { uapi: 'TCA_CT_ZONE', id: 4, codec: u16, doc: 'Which table of connections.' },
    mark: { uapi: 'TCA_CT_MARK', id: 5, codec: u32, doc: 'Mark of the connection.' },
    markMask: { uapi: 'TCA_CT_MARK_MASK', id: 6, codec: u32, doc: 'Its bits that are written.' },
    labels: { uapi: 'TCA_CT_LABELS', id: 7, codec: u128, doc: 'Label of the connection.' },
    labelsMask: { uapi: 'TCA_CT_LABELS_MASK', id: 8, codec: u128, doc: 'Its bits that are written.' },
    ipv4Min: { uapi: 'TCA_CT_NAT_IPV4_MIN', id: 9, codec: ipv4, doc: 'First address to translate to.' },
    ipv4Max: { uapi: 'TCA_CT_NAT_IPV4_MAX', id: 10, codec: ipv4, doc: 'Last one.' },
    ipv6Min: { uapi: 'TCA_CT_NAT_IPV6_MIN', id: 11, codec: ipv6, doc: 'First address to translate to.' },
    ipv6Max: { uapi: 'TCA_CT_NAT_IPV6_MAX', id: 12, codec: ipv6, doc: 'Last one.' },
    portMin: { uapi: 'TCA_CT_NAT_PORT_MIN', id: 13, codec: be16, doc: 'First port to translate to.' },
    portMax: { uapi: 'TCA_CT_NAT_PORT_MAX', id: 14, codec: be16, doc: 'Last one.' },
    helper: { uapi: 'TCA_CT_HELPER_NAME', id: 16, codec: string, since: '6.2', doc: 'Protocol helper.' },
    helperFamily: { uapi: 'TCA_CT_HELPER_FAMILY', id: 17, codec: u8, since: '6.2', doc: 'IP version it is for.' },
    helperProto: { uapi: 'TCA_CT_HELPER_PROTO', id: 18, codec: u8, since: '6.2', doc: 'IP protocol it is for.' },
    times: { uapi: 'TCA_CT_TM', id: 2, codec: times, doc: 'Last use.' },
  }, { pad: 15 }),
}
