import { u32 } from '../../netlink/integers.js'
import { struct } from '../../netlink/struct.js'
import { AttributeSet } from '../../netlink/table.js'
import { times } from '../stats.js'
import { type ActionKind, type CommonOptions, type General, general } from './kind.js'

export interface MirredParms extends General {
  /** One of {@link directions}. */
  readonly eaction: number
  readonly ifindex: number
}

export interface MirredOptions extends CommonOptions {
  readonly parms?: MirredParms
}

/** TCA_EGRESS_*: redirect takes the packet, mirror a copy of it. */
export const directions = { EGRESS_REDIR: 1, EGRESS_MIRROR: 2, INGRESS_REDIR: 3, INGRESS_MIRROR: 4 } as const

/** Sends the packet, or a copy, to another device. */
export const mirred: ActionKind<MirredOptions> = {
  kind: 'mirred',
  // biome-ignore format: one row per line
  options: new AttributeSet<MirredOptions>('mirred', {
    parms: { uapi: 'TCA_MIRRED_PARMS', id: 2, codec: struct<MirredParms>({ ...general, eaction: u32, ifindex: u32 }), doc: 'Direction and device.' },
    times: { uapi: 'TCA_MIRRED_TM', id: 1, codec: times, doc: 'Last use.' },
  }, { pad: 3 }),
}
