import { u32 } from '../../netlink/integers.js'
import { struct } from '../../netlink/struct.js'
import { AttributeSet } from '../../netlink/table.js'
import { times } from '../stats.js'
import { type ActionKind, type CommonOptions, type General, general } from './kind.js'

export interface CsumParms extends General {
  /** Sum of {@link csumFlags}. */
  readonly updateFlags: number
}

export interface CsumOptions extends CommonOptions {
  readonly parms?: CsumParms
}

/** TCA_CSUM_UPDATE_FLAG_*. */
export const csumFlags = { IPV4HDR: 1, ICMP: 2, TCP: 8, UDP: 16, SCTP: 64 } as const

/** Mends checksums after headers were rewritten. */
export const csum: ActionKind<CsumOptions> = {
  kind: 'csum',
  // biome-ignore format: one row per line
  options: new AttributeSet<CsumOptions>('csum', {
    parms: { uapi: 'TCA_CSUM_PARMS', id: 1, codec: struct<CsumParms>({ ...general, updateFlags: u32 }), doc: 'Which checksums.' },
    times: { uapi: 'TCA_CSUM_TM', id: 2, codec: times, doc: 'Last use.' },
  }, { pad: 3 }),
}
