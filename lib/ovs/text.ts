// Flows as people read and write them. The text is that of ovs-dpctl, in both directions: what one of the two tools prints, the
// other one reads. Names, numbers and masks come from the rows of key.ts and action.ts and their codecs; the few things that
// have a spelling of their own are listed in text-key.ts and text-action.ts, and nowhere else is it asked which attribute it is.
//
// Two things are better than in OVS: a number that does not fit is an error with its position, never cut off, and what is printed
// can be read back. Not the two things for which OVS has no words: half a mask for `frag`, and bits of a mask without a name.

export { formatActions, parseActions } from './text-action.js'
export type { FormatOptions, ParseOptions } from './text-attribute.js'
export { formatKey, type ParsedKey, parseKey } from './text-key.js'
export { formatUfid, parseUfid } from './ufid.js'
