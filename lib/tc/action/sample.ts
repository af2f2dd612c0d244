import { u32 } from '../../netlink/integers.js'
import { struct } from '../../netlink/struct.js'
import { AttributeSet } from '../../netlink/table.js'
import { times } from '../stats.js'
import { type ActionKind, type CommonOptions, type General, general } from './kind.js'

export interface SampleOptions extends CommonOptions {
  readonly parms?: General
  /** One packet of so many. */
  readonly rate?: number
  /** Bytes of it; the whole packet when left out. */
  readonly truncate?: number
  readonly group?: number
}

/** Sends a copy to a psample group. */
export const sample: ActionKind<SampleOptions> = {
  kind: 'sample',
  // biome-ignore format: one row per line
  options: new AttributeSet<SampleOptions>('sample', {
    parms: { uapi: 'TCA_SAMPLE_PARMS', id: 2, codec: struct<General>(general), doc: 'What is next.' },
    rate: { uapi: 'TCA_SAMPLE_RATE', id: 3, codec: u32, doc: 'One packet of so many.' },
    truncate: { uapi: 'TCA_SAMPLE_TRUNC_SIZE', id: 4, codec: u32, doc: 'At most so many bytes of it.' },
    group: { uapi: 'TCA_SAMPLE_PSAMPLE_GROUP', id: 5, codec: u32, doc: 'Who gets it.' },
    times: { uapi: 'TCA_SAMPLE_TM', id: 1, codec: times, doc: 'Last use.' },
  }, { pad: 6 }),
}
