import { be16, u8, u32 } from '../../netlink/integers.js'
import { struct } from '../../netlink/struct.js'
import { AttributeSet } from '../../netlink/table.js'
import { times } from '../stats.js'
import { type ActionKind, type CommonOptions, type General, general } from './kind.js'

export interface MplsParms extends General {
  /** One of {@link mplsActions}. */
  readonly mplsAction: number
}

/** A part of the label that is left out keeps its value. */
export interface MplsOptions extends CommonOptions {
  readonly parms?: MplsParms
  readonly protocol?: number
  readonly label?: number
  readonly tc?: number
  readonly ttl?: number
  readonly bos?: number
}

/** TCA_MPLS_ACT_*. */
export const mplsActions = { POP: 1, PUSH: 2, MODIFY: 3, DEC_TTL: 4, MAC_PUSH: 5 } as const

/** Adds, removes or rewrites the outermost MPLS label. */
export const mpls: ActionKind<MplsOptions> = {
  kind: 'mpls',
  nested: true,
  // biome-ignore format: one row per line
  options: new AttributeSet<MplsOptions>('mpls', {
    parms: { uapi: 'TCA_MPLS_PARMS', id: 2, codec: struct<MplsParms>({ ...general, mplsAction: u32 }), doc: 'What is done.' },
    protocol: { uapi: 'TCA_MPLS_PROTO', id: 4, codec: be16, doc: 'Ethernet type then.' },
    label: { uapi: 'TCA_MPLS_LABEL', id: 5, codec: u32, doc: 'Label, 20 bits; 3 is refused.' },
    tc: { uapi: 'TCA_MPLS_TC', id: 6, codec: u8, doc: 'Traffic class, 3 bits.' },
    ttl: { uapi: 'TCA_MPLS_TTL', id: 7, codec: u8, doc: 'Time to live; 0 is refused.' },
    bos: { uapi: 'TCA_MPLS_BOS', id: 8, codec: u8, doc: 'Bottom of stack.' },
    times: { uapi: 'TCA_MPLS_TM', id: 1, codec: times, doc: 'Last use.' },
  }, { pad: 3 }),
}
