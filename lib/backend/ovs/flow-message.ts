import type { BackendOp, FlowView } from '../../../types/backend.js'
import type { FlowId } from '../../../types/flow.js'
import type { Codec } from '../../netlink/codec.js'
import { beginMessage, endMessage, flags } from '../../netlink/message.js'
import type { Writer } from '../../netlink/writer.js'
import { actionList } from '../../ovs/action.js'
import { commands, ovsHeader } from '../../ovs/family.js'
import { flow as flowFamily } from '../../ovs/flow.js'
import { flowKey } from '../../ovs/key.js'
import { putUfid } from '../../ovs/ufid.js'
import { idOf } from '../op.js'

/** Whom a message about a flow is for: the number of the generic netlink family `ovs_flow`, and the datapath. */
export interface Addressee {
  readonly family: number
  readonly dpIfindex: number
}

/** Writes the message of one op; `by` is what the kernel finds the flow by. Throws what a codec throws, and leaves half a message then. */
export function writeOp(writer: Writer, to: Addressee, op: BackendOp, by: 'ufid' | 'key'): void {
  const { cmd, messageFlags } = requestOf(op)
  const at = begin(writer, to, cmd, messageFlags)
  if (by === 'ufid') writeUfid(writer, idOf(op))
  if (op.verb === 'create' || op.verb === 'replace') writeParts(writer, op.flow)
  else if (by === 'key') writeNested(writer, ids.key, flowKey, op.key ?? {})
  if (op.verb === 'replace' && op.zeroStats) writer.attribute(ids.clear, 0)
  endMessage(writer, at)
}

/** Writes the message of a new flow, as {@link writeOp} does. */
export function writeNew(writer: Writer, to: Addressee, flow: FlowView): void {
  const at = begin(writer, to, commands.NEW, EXCLUSIVELY)
  writeFlow(writer, flow)
  endMessage(writer, at)
}

/** The attributes that make a flow. */
export function writeFlow(writer: Writer, flow: FlowView): void {
  writeUfid(writer, flow)
  writeParts(writer, flow)
}

function begin(writer: Writer, { family, dpIfindex }: Addressee, cmd: number, messageFlags: number): number {
  const at = beginMessage(writer, family, messageFlags)
  const header = writer.reserve(ovsHeader.size)
  ovsHeader.put(writer.bytes, header, { cmd, version: flowFamily.version, dpIfindex })
  return at
}

/** CREATE makes NEW exclusive: genetlink used to take EXCL for a dump flag (ovs_flow_cmd_new()). */
const EXCLUSIVELY = flags.CREATE

const { ids } = flowFamily.body

function requestOf(op: BackendOp): { cmd: number; messageFlags: number } {
  if (op.verb === 'create') return { cmd: commands.NEW, messageFlags: EXCLUSIVELY }
  if (op.verb === 'get') return { cmd: commands.GET, messageFlags: 0 }
  return { cmd: op.verb === 'del' ? commands.DEL : commands.SET, messageFlags: op.wantStats ? flags.ECHO : 0 }
}

function writeUfid(writer: Writer, id: FlowId): void {
  // First, since it may put the bytes into a larger buffer.
  const at = writer.attribute(ids.ufid, 16)
  putUfid(writer.bytes, at, id)
}

function writeParts(writer: Writer, flow: FlowView): void {
  const { raw } = flow
  if (raw === undefined) {
    const { key, mask, actions } = flow
    writeNested(writer, ids.key, flowKey, key)
    writeNested(writer, ids.mask, flowKey, mask)
    writeNested(writer, ids.actions, actionList, actions)
    return
  }
  writeRaw(writer, ids.key, raw.key)
  if (raw.mask !== undefined) writeRaw(writer, ids.mask, raw.mask)
  writeRaw(writer, ids.actions, raw.actions)
}

function writeNested<T>(writer: Writer, id: number, codec: Pick<Codec<T>, 'write'>, value: T): void {
  const at = writer.begin(id)
  codec.write(writer, value)
  writer.end(at)
}

function writeRaw(writer: Writer, id: number, data: Uint8Array): void {
  const at = writer.begin(id)
  writer.append(data)
  writer.end(at)
}
