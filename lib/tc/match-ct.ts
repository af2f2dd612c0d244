import type { FlowKey } from '../../types/flow.js'
import { u16, u32, u128 } from '../netlink/integers.js'
import type { Writer } from '../netlink/writer.js'
import type { Supports } from './features.js'
import { put, row, type Take, writeRow } from './match-row.js'
import type { Report } from './reasons.js'

/*
 * What conntrack knows of a packet. flower sees it once act_ct has run, in a filter before; a packet it has not run on is untracked,
 * all zero, as in openvswitch.
 *
 * flower derives the state from ctinfo alone (fl_ct_info_to_flower_map), openvswitch adds to it: rel for the whole life of a connection
 * that a helper expected, new for one that is not confirmed. Without helpers the two always agree.
 */

// biome-ignore format: one row per line
export const ctRows = [
  row('ctZone',   'CT_ZONE',   93, 94, u16),
  row('ctMark',   'CT_MARK',   95, 96, u32),
  row('ctLabels', 'CT_LABELS', 97, 98, u128),
] as const

export const ctState = {
  uapi: 'TCA_FLOWER_KEY_CT_STATE',
  id: 91,
  maskUapi: 'TCA_FLOWER_KEY_CT_STATE_MASK',
  maskId: 92,
} as const

/** TCA_FLOWER_KEY_CT_FLAGS_*, and OVS_CS_F_* in their order. */
// biome-ignore format: one row per line
export const ctFlags = [
  { name: 'NEW',         flower: 1,  ovs: 0x01 },
  { name: 'ESTABLISHED', flower: 2,  ovs: 0x02 },
  { name: 'RELATED',     flower: 4,  ovs: 0x04 },
  { name: 'TRACKED',     flower: 8,  ovs: 0x20 },
  { name: 'INVALID',     flower: 16, ovs: 0x10 },
  { name: 'REPLY',       flower: 32, ovs: 0x08 },
] as const

const NEW = 0x01
const EST = 0x02
const RPL = 0x08
const INV = 0x10
const TRK = 0x20
const NAT = 0xc0

/** Both ways: the two numberings differ in that trk and rpl change places. */
function swap(bits: number): number {
  return (bits & 0x17) | ((bits & 0x08) << 2) | ((bits & 0x20) >> 2)
}

export function matchesCt({ ctState, ctZone, ctMark, ctLabels }: FlowKey): boolean {
  return Boolean(ctState || ctZone || ctMark || ctLabels)
}

export function writeCt(writer: Writer, key: FlowKey, mask: FlowKey): void {
  if (mask.ctState) {
    put(writer, ctState.maskId, u16, swap(mask.ctState))
    // Only what counts: older kernels check all of it.
    put(writer, ctState.id, u16, swap((key.ctState ?? 0) & mask.ctState))
  }
  for (const row of ctRows) writeRow(writer, row, key, mask)
}

/** The parts that are matched. */
export function readCt(take: Take): { key: FlowKey; mask: FlowKey } {
  const key: Record<string, unknown> = {}
  const mask: Record<string, unknown> = {}
  const state = take(ctState.id, u16)
  if (state !== undefined) {
    key.ctState = swap(state)
    mask.ctState = swap(take(ctState.maskId, u16) ?? 0x3f)
  }
  for (const { attribute, id, maskId = 0, codec } of ctRows) {
    const value = take(id, codec, maskId)
    if (value === undefined) continue
    key[attribute] = value
    mask[attribute] = take(maskId, codec) ?? codec.ones
  }
  return { key, mask }
}

export function reportCt(key: FlowKey, mask: FlowKey, supports: Supports, report: Report): void {
  if (!supports.has('ctState')) {
    const path = mask.ctState ? 'ctState' : mask.ctZone ? 'ctZone' : mask.ctMark ? 'ctMark' : 'ctLabels'
    return report(path, 'NEEDS_KERNEL', 'flower matches conntrack from Linux 5.3')
  }
  const bits = mask.ctState ?? 0
  if (bits & NAT) report('ctState', 'NO_FLOWER_KEY', 'flower does not know the states snat and dnat')
  if (bits & (INV | RPL) && !supports.has('ctReply'))
    report('ctState', 'NEEDS_KERNEL', 'flower knows the states inv and rpl from Linux 5.12')
  // fl_validate_ct_state(), net/sched/cls_flower.c. The second half are states no packet has.
  const state = (key.ctState ?? 0) & bits
  const refuse = (problem: string) => report('ctState', 'KERNEL_RULE', problem)
  if (state !== 0 && !(state & TRK)) refuse('TC takes other states only beside +trk')
  if (state & NEW && state & EST) refuse('TC does not take +new and +est together')
  if (state & NEW && state & RPL) refuse('TC does not take +new and +rpl together')
  if (state & INV && state & ~(INV | TRK)) refuse('TC takes nothing but +trk beside +inv')
}
