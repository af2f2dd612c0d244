import { u16, u32 } from '../../netlink/integers.js'
import { struct } from '../../netlink/struct.js'
import { AttributeSet } from '../../netlink/table.js'
import { times } from '../stats.js'
import { type ActionKind, type CommonOptions, type General, general } from './kind.js'

export interface SkbeditOptions extends CommonOptions {
  readonly parms?: General
  readonly priority?: number
  readonly mark?: number
  /** One of {@link packetTypes}. */
  readonly ptype?: number
  /** The bits of the mark that are written; all of them when left out. */
  readonly mask?: number
}

/** PACKET_*: whom the receiving host takes a packet to be for. */
export const packetTypes = { HOST: 0, BROADCAST: 1, MULTICAST: 2 } as const

/** Changes what the kernel notes beside a packet. */
export const skbedit: ActionKind<SkbeditOptions> = {
  kind: 'skbedit',
  // biome-ignore format: one row per line
  options: new AttributeSet<SkbeditOptions>('skbedit', {
    parms: { uapi: 'TCA_SKBEDIT_PARMS', id: 2, codec: struct<General>(general), doc: 'What is next.' },
    priority: { uapi: 'TCA_SKBEDIT_PRIORITY', id: 3, codec: u32, doc: 'Queueing priority.' },
    mark: { uapi: 'TCA_SKBEDIT_MARK', id: 5, codec: u32, doc: 'Firewall mark.' },
    ptype: { uapi: 'TCA_SKBEDIT_PTYPE', id: 7, codec: u16, doc: 'Whom the packet is for.' },
    mask: { uapi: 'TCA_SKBEDIT_MASK', id: 8, codec: u32, doc: 'The bits of the mark that are written.' },
    times: { uapi: 'TCA_SKBEDIT_TM', id: 1, codec: times, doc: 'Last use.' },
  }, { pad: 6 }),
}
