import { struct } from '../../netlink/struct.js'
import { AttributeSet } from '../../netlink/table.js'
import { times } from '../stats.js'
import { type ActionKind, type CommonOptions, type General, general } from './kind.js'

export interface GactOptions extends CommonOptions {
  readonly parms?: General
}

/** Nothing but a verdict: drops, or goes to another chain. */
export const gact: ActionKind<GactOptions> = {
  kind: 'gact',
  // biome-ignore format: one row per line
  options: new AttributeSet<GactOptions>('gact', {
    parms: { uapi: 'TCA_GACT_PARMS', id: 2, codec: struct<General>(general), doc: 'The verdict.' },
    times: { uapi: 'TCA_GACT_TM', id: 1, codec: times, doc: 'Last use.' },
  }, { pad: 4 }),
}
