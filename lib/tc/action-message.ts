import type { UnknownAttribute } from '../../types/flow.js'
import { u8, u16 } from '../netlink/integers.js'
import type { MessageForm } from '../netlink/message.js'
import { type Struct, struct } from '../netlink/struct.js'
import { AttributeSet, bytes } from '../netlink/table.js'

/** struct tcamsg (linux/rtnetlink.h). */
export interface ActionHeader {
  readonly family?: number
  readonly pad1?: number
  readonly pad2?: number
}

export interface ActionBody {
  /** A list as in a filter, read and written by `tcActions`; where actions are only named, by `actionEnvelope`. */
  readonly actions?: Uint8Array
  readonly unknown?: readonly UnknownAttribute[]
}

/** What RTM_*ACTION messages look like: actions that stand by themselves, for filters to share. */
export const actionMessage: MessageForm<ActionHeader, ActionBody> & {
  readonly header: Struct<ActionHeader>
  readonly body: AttributeSet<ActionBody>
} = {
  header: struct<ActionHeader>({ family: u8, pad1: u8, pad2: u16 }),
  // biome-ignore format: one row per line
  body: new AttributeSet<ActionBody>('actions', {
    actions: { uapi: 'TCA_ACT_TAB', id: 1, codec: bytes, doc: 'The actions, numbered from 1.' },
  }),
}

/** RTM_*ACTION of linux/rtnetlink.h. */
export const actionTypes = { NEWACTION: 48, DELACTION: 49, GETACTION: 50 } as const
