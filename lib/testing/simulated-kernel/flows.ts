import { u32 } from '../../netlink/integers.js'
import { commands, ovsHeader } from '../../ovs/family.js'
import { flow as family, ufidFlags } from '../../ovs/flow.js'
import { masked, payload, type Policy, type Span } from './attributes.js'
import { datapathOf } from './datapath.js'
import { refuse } from './errors.js'
import { validateActions } from './flow-actions.js'
import { putKey } from './flow-key.js'
import { type KernelFlow, sameFlow } from './flow-table.js'
import { readKey, readMatch } from './flow-validity.js'
import type { Command } from './generic.js'
import { frame, nest, put } from './request.js'
import type { State } from './state.js'

// OVS_FLOW_ATTR_*, and what the kernel's flow_policy asks of them.
const attr = { KEY: 1, ACTIONS: 2, CLEAR: 6, MASK: 7, UFID: 9, UFID_FLAGS: 10 } as const
export const flowPolicy: Policy = { [attr.UFID]: { min: 1 }, [attr.UFID_FLAGS]: { min: 4 } }

/** Family ovs_flow (net/openvswitch/datapath.c): who is found by what, and what is an error, in the kernel's order. */
export const flowCommands: Readonly<Record<number, Command>> = {
  [commands.NEW]: ({ state, attributes, dpIfindex, exclusive, echo }) => {
    const [key, actions] = [attributes.get(attr.KEY), attributes.get(attr.ACTIONS)]
    if (key === undefined || actions === undefined) refuse('EINVAL')
    const match = readMatch(key, attributes.get(attr.MASK))
    const ufid = ufidOf(attributes.get(attr.UFID))
    validateActions(actions, masked(match.key, match.mask))
    const { flows } = datapathOf(state, dpIfindex)
    let flow = (ufid && flows.byUfid(ufid)) ?? flows.lookup(match.key)
    if (flow === undefined) flow = flows.insert(match, ufid, payload(actions).slice())
    else {
      if (exclusive) refuse('EEXIST')
      if (!sameFlow(flow, match)) flow = flow.ufid === undefined ? flows.exact(match.key) : undefined
      if (flow === undefined) refuse('ENOENT')
      flow.actions = payload(actions).slice()
    }
    const found = flow
    echo((type) => writeFlow(type, 0, commands.NEW, dpIfindex, found, omitOf(attributes)))
  },
  [commands.SET]: ({ state, attributes, dpIfindex, echo }) => {
    const [key, actions] = [attributes.get(attr.KEY), attributes.get(attr.ACTIONS)]
    const ufid = ufidOf(attributes.get(attr.UFID))
    if (key === undefined && (ufid === undefined || actions !== undefined)) refuse('EINVAL')
    const match = key && readMatch(key, attributes.get(attr.MASK))
    if (match && actions) validateActions(actions, masked(match.key, match.mask))
    const { flows } = datapathOf(state, dpIfindex)
    const flow = ufid === undefined ? match && flows.exact(match.key) : flows.byUfid(ufid)
    if (flow === undefined) refuse('ENOENT')
    if (actions !== undefined) flow.actions = payload(actions).slice()
    // The answer is written before the counters are cleared, so that they are not lost.
    echo((type) => writeFlow(type, 0, commands.SET, dpIfindex, flow, omitOf(attributes)))
    if (attributes.has(attr.CLEAR)) Object.assign(flow, { packets: 0n, bytes: 0n, used: 0, tcpFlags: 0 })
  },
  [commands.GET]: ({ state, attributes, dpIfindex, reply }) => {
    const flow = find(state, attributes, dpIfindex) ?? refuse('EINVAL')
    reply((type) => writeFlow(type, 0, commands.GET, dpIfindex, flow, omitOf(attributes)))
  },
  [commands.DEL]: ({ state, attributes, dpIfindex, echo }) => {
    const flow = find(state, attributes, dpIfindex)
    const { flows } = datapathOf(state, dpIfindex)
    // A request that names nothing means everything.
    if (flow === undefined) return flows.flush()
    flows.remove(flow)
    echo((type) => writeFlow(type, 0, commands.DEL, dpIfindex, flow, omitOf(attributes)))
  },
}

/** Every flow of a datapath. Flows that come or go meanwhile may or may not be seen, as in the kernel. */
export function* dumpFlows(
  state: State,
  type: number,
  dpIfindex: number,
  attributes: ReadonlyMap<number, Span>,
): Generator<Uint8Array> {
  const { flows } = datapathOf(state, dpIfindex)
  for (const flow of flows.all()) yield writeFlow(type, 2, commands.GET, dpIfindex, flow, omitOf(attributes))
}

/** Undefined when neither a key nor a ufid names a flow. */
function find(
  state: State,
  attributes: ReadonlyMap<number, Span>,
  dpIfindex: number,
): KernelFlow | undefined {
  const key = attributes.get(attr.KEY)
  const ufid = ufidOf(attributes.get(attr.UFID))
  const wanted = key && readKey(key)
  if (wanted === undefined && ufid === undefined) {
    datapathOf(state, dpIfindex)
    return undefined
  }
  const { flows } = datapathOf(state, dpIfindex)
  const flow = ufid === undefined ? wanted && flows.exact(wanted) : flows.byUfid(ufid)
  return flow ?? refuse('ENOENT')
}

/** A ufid of a length the kernel does not like is none. */
function ufidOf(span: Span | undefined): Uint8Array | undefined {
  if (span === undefined) return undefined
  const ufid = payload(span)
  return ufid.length >= 1 && ufid.length <= 16 ? ufid.slice() : undefined
}

function omitOf(attributes: ReadonlyMap<number, Span>): number {
  const span = attributes.get(attr.UFID_FLAGS)
  return span === undefined ? 0 : u32.take(span.bytes, span.start)
}

/** ovs_flow_cmd_fill_info(): identity, key and mask, counters that are not zero, actions. */
function writeFlow(
  type: number,
  flags: number,
  cmd: number,
  dpIfindex: number,
  flow: KernelFlow,
  omit: number,
): Uint8Array {
  const { ufid, unmasked, key, mask, actions, packets, bytes, used, tcpFlags } = flow
  return frame(type, flags, (writer) => {
    ovsHeader.write(writer, { cmd, version: family.version, dpIfindex })
    const putKeyOf = (vector: Uint8Array) =>
      nest(writer, attr.KEY, () => putKey(writer, vector, vector, false))
    if (ufid === undefined) putKeyOf(unmasked)
    else {
      put(writer, attr.UFID, ufid)
      if (!(omit & ufidFlags.OMIT_KEY)) putKeyOf(key)
    }
    if (!(omit & ufidFlags.OMIT_MASK)) nest(writer, attr.MASK, () => putKey(writer, key, mask, true))
    if (used !== 0) family.body.write(writer, { used: BigInt(Math.floor(used)) })
    if (packets !== 0n) family.body.write(writer, { stats: { packets, bytes } })
    if (tcpFlags !== 0) family.body.write(writer, { tcpFlags })
    if (!(omit & ufidFlags.OMIT_ACTIONS)) put(writer, attr.ACTIONS, actions)
  })
}
