import type { FlowView } from '../../../types/backend.js'
import type { Failure } from '../../../types/errors.js'
import type { Choice } from '../../../types/policy.js'
import type { Port } from '../../../types/port.js'
import { beginMessage, endMessage } from '../../netlink/message.js'
import { Writer } from '../../netlink/writer.js'
import { ufidToBytes } from '../../ovs/ufid.js'
import { jumpsOf } from '../../tc/action/index.js'
import { type FlowerBody, filterFlags, flower } from '../../tc/flower.js'
import { writeMatch } from '../../tc/match.js'
import { namesTunnel } from '../../tc/match-tunnel.js'
import { filterInfo, hooks, tcMessage } from '../../tc/message.js'
import { matchObjections, type Objection } from '../../tc/objections.js'
import type { FilterId } from './identity.js'
import type { Ports } from './ports.js'
import { type Frame, isTunnel, portObjection, type Translated, translateActions } from './action/index.js'

/** A flow as a filter: where it hangs, and what its message says. */
export interface TranslatedFilter {
  readonly ifindex: number
  /** Ethernet type. */
  readonly protocol: number
  readonly chain: number
  /** The chains it sends packets to. */
  readonly targets: readonly number[]
  readonly write: (writer: Writer) => void
}

/** Where a flow's filter goes and what it says, or why there can be none. */
export function translateFilter(
  flow: FlowView,
  choice: Choice,
  ports: Ports,
): TranslatedFilter | { readonly error: Failure } {
  const port = flow.key.inPort === undefined ? undefined : ports.byNumber(flow.key.inPort)
  const cookie = ufidToBytes(flow)
  const translated = translateActions(flow.actions, { ...pick(flow), cookie }, ports)
  const { actions, strangers } = translated
  const [first] = objectionsTo(flow, choice, ports, translated)
  if (first !== undefined) return { error: first }
  const { etherType: protocol = 0 } = flow.key
  return {
    ifindex: port?.ifindex ?? 0,
    protocol,
    chain: chainOf(flow),
    targets: jumpsOf(actions),
    write: (writer) => {
      flower.write(writer, { actions })
      writeMatch(writer, flow.key, flow.mask)
      flower.write(writer, { flags: skipFlags(choice, strangers.length > 0) })
    },
  }
}

/** The chain a flow's packets are seen in. One that does not care in which pass it is is taken for one of the first, as in OVS. */
export function chainOf({ key, mask }: FlowView): number {
  return mask.recircId ? (key.recircId ?? 0) : 0
}

/** Why a flow that nobody sends packets to is not put. */
export function notReached({ key }: FlowView): Failure {
  const path = 'recircId'
  const problem = `no flow that TC carries sends packets of port ${key.inPort} to recirculation id ${key.recircId}`
  const message = `${path}: ${problem}; put that one first`
  return { code: 'UNSUPPORTED_MATCH', path, reason: 'NOT_REACHED', message, backend: 'tc' }
}

/** What stands against a flow as a filter, as far as can be said without asking a kernel. */
export function filterObjections(flow: FlowView, choice: Choice, ports: Ports): Failure[] {
  return objectionsTo(flow, choice, ports, translateActions(flow.actions, blank(flow), ports))
}

/** Why a filter is put into software only, though nobody asks for that. */
export function softwareOnly(flow: FlowView, choice: Choice, ports: Ports): Failure | undefined {
  if (choice.skip !== undefined) return undefined
  const [first] = translateActions(flow.actions, blank(flow), ports).strangers
  return first && failureOf(first)
}

function objectionsTo(
  flow: FlowView,
  { skip }: Choice,
  ports: Ports,
  { objections, strangers }: Translated,
): Failure[] {
  const port = flow.key.inPort === undefined ? undefined : ports.byNumber(flow.key.inPort)
  const match = matchObjections(flow.key, flow.mask, ports.abilities)
  const hardware = skip === 'sw' ? strangers : []
  return [...match, ...inPortObjections(flow, port), ...objections, ...hardware].map(failureOf)
}

const failureOf = ({ code, path, reason, problem }: Objection): Failure => {
  return { code, path, reason, message: `${path}: ${problem}`, backend: 'tc' }
}

const blank = (flow: FlowView): Frame => ({ ...pick(flow), cookie: new Uint8Array(16) })

/** What a filter's message says, as the kernel will read it. */
export function bodyOf({ write }: TranslatedFilter): FlowerBody {
  const writer = new Writer(1024)
  write(writer)
  const bytes = writer.take()
  return flower.read(bytes, 0, bytes.length)
}

/** Writes a message about one filter. */
export function writeFilter(
  writer: Writer,
  type: number,
  messageFlags: number,
  { ifindex, prio, protocol, handle, chain }: FilterId,
  options?: (writer: Writer) => void,
): void {
  const at = beginMessage(writer, type, messageFlags)
  tcMessage.header.write(writer, { ifindex, handle, parent: hooks.INGRESS, info: filterInfo(prio, protocol) })
  tcMessage.body.write(writer, chain === 0 ? { kind: 'flower' } : { kind: 'flower', chain })
  if (options !== undefined) {
    const nest = writer.begin(tcMessage.body.ids.options)
    options(writer)
    writer.end(nest)
  }
  endMessage(writer, at)
}

const pick = ({ key, mask }: FlowView) => ({ key, mask })

/** What no device can carry out is not offered to one. */
function skipFlags({ skip }: Choice, isForSoftware: boolean): number {
  if (skip === undefined) return isForSoftware ? filterFlags.SKIP_HW : 0
  return skip === 'sw' ? filterFlags.SKIP_SW : filterFlags.SKIP_HW
}

function inPortObjections(flow: FlowView, port: Port | undefined): Objection[] {
  const { inPort, tunnel } = flow.key
  if (inPort === undefined) return []
  if (port === undefined) {
    const problem = `no port ${inPort} on this datapath`
    return [{ code: 'NO_PORT', path: 'inPort', reason: 'NO_PORT', problem }]
  }
  const problem = portObjection(port)
  if (problem !== undefined)
    return [{ code: 'PORT_NOT_IN_TC', path: 'inPort', reason: 'PORT_NOT_IN_TC', problem }]
  // A mask for the tunnel under a key without one means none at all, whatever its bits (ip_tun_from_nlattr()).
  if (!isTunnel(port) || tunnel !== undefined || !namesTunnel(flow.mask)) return []
  const none = `every packet from port ${inPort} (${port.name}) came through a tunnel; match it, or leave it out of the mask`
  return [{ code: 'UNSUPPORTED_MATCH', path: 'tunnel', reason: 'NO_FLOWER_KEY', problem: none }]
}
