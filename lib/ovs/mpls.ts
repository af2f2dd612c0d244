import type { MplsKey } from '../../types/flow.js'
import { be32 } from '../netlink/integers.js'
import { bitFields, type Struct } from '../netlink/struct.js'
import { arrayOf, type StructArray } from '../netlink/table.js'

/** One label stack entry, as it is on the wire (RFC 3032). */
export const mplsEntry: Struct<MplsKey> = bitFields<MplsKey>(be32, {
  label: { shift: 12, bits: 20 },
  tc: { shift: 9, bits: 3 },
  ttl: { shift: 0, bits: 8 },
  bos: { shift: 8, bits: 1 },
})

/** A label stack. The kernel writes an empty one into the mask of a flow that matches no label. */
export const mplsStack: StructArray<MplsKey> = arrayOf(mplsEntry)

/** How many labels the kernel matches (MPLS_LABEL_DEPTH), and text can have. */
export const MPLS_DEPTH = 3
