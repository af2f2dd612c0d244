import assert from 'node:assert/strict'
import type { Action } from '../../../types/action.js'
import type { FlowKey } from '../../../types/flow.js'
import type { Exchange, Protocol, Transport } from '../../../types/transport.js'
import { controller, GENL_ID_CTRL } from '../../netlink/genl.js'
import { flags, readMessage, writeMessage } from '../../netlink/message.js'
import { messagesOf } from '../../netlink/reader.js'
import { Writer } from '../../netlink/writer.js'
import { commands } from '../../ovs/family.js'
import { flow as flowFamily } from '../../ovs/flow.js'
import { vport } from '../../ovs/vport.js'
import { verdicts } from '../../tc/action/kind.js'
import { flower } from '../../tc/flower.js'
import { filterInfo, hooks, prioAndProtocol, tcMessage, types } from '../../tc/message.js'

// What others do to the same kernel: tools that know nothing of us, in the messages they would send.

async function sent(transport: Transport, protocol: Protocol, writer: Writer): Promise<Exchange> {
  const exchange = await transport.exchange(protocol, writer.take())
  assert.deepEqual(exchange.failures, [], 'the kernel refused what the case prepares')
  return exchange
}

async function familyOf(transport: Transport, familyName: string): Promise<number> {
  const lookup = new Writer()
  const header = { cmd: controller.commands.GETFAMILY as number, version: controller.version }
  const asked = { type: GENL_ID_CTRL, flags: 0, header, body: { familyName } }
  writeMessage(lookup, controller, asked)
  const [reply] = [...messagesOf((await sent(transport, 'generic', lookup)).replies)]
  assert(reply)
  return readMessage(controller, reply).body.familyId ?? 0
}

/** Takes a port away from its datapath. */
export async function detach(transport: Transport, dpIfindex: number, portNo: number): Promise<void> {
  const type = await familyOf(transport, vport.name)
  const writer = new Writer()
  const header = { cmd: commands.DEL, version: vport.version, dpIfindex }
  writeMessage(writer, vport, { type, flags: 0, header, body: { portNo } })
  await sent(transport, 'generic', writer)
}

/** Puts a flow as ovs-dpctl does when it is given no ufid. */
export async function putWithoutUfid(
  transport: Transport,
  dpIfindex: number,
  body: { readonly key: FlowKey; readonly mask: FlowKey; readonly actions: readonly Action[] },
): Promise<void> {
  const type = await familyOf(transport, flowFamily.name)
  const writer = new Writer()
  const { key, mask, actions } = body
  writeMessage(writer, flowFamily, {
    type,
    flags: flags.CREATE,
    header: { cmd: commands.NEW, version: flowFamily.version, dpIfindex },
    body: { key, mask, actions },
  })
  await sent(transport, 'generic', writer)
}

/** A filter somebody else has on a port: it drops everything of one Ethernet type. */
export interface ForeignFilter {
  readonly ifindex: number
  readonly prio: number
  readonly protocol: number
  readonly handle: number
  readonly cookie?: Uint8Array
}

/** Puts a flower filter of somebody else's. */
export async function putForeign(transport: Transport, filter: ForeignFilter): Promise<void> {
  const { ifindex, prio, protocol, handle, cookie } = filter
  const options = new Writer()
  const actions = [
    { kind: 'gact', options: { parms: { action: verdicts.SHOT } }, ...(cookie && { cookie }) } as const,
  ]
  flower.write(options, { actions })
  // TCA_FLOWER_KEY_ETH_TYPE, as tc sends it.
  const at = options.begin(8)
  options.append(Uint8Array.of(protocol >> 8, protocol & 0xff))
  options.end(at)
  const writer = new Writer()
  writeMessage(writer, tcMessage, {
    type: types.NEWTFILTER,
    flags: flags.CREATE | flags.EXCL,
    header: { ifindex, handle, parent: hooks.INGRESS, info: filterInfo(prio, protocol) },
    body: { kind: 'flower', options: options.take() },
  })
  await sent(transport, 'route', writer)
}

/** Adds or removes the ingress qdisc of a port. */
export async function changeQdisc(
  transport: Transport,
  ifindex: number,
  verb: 'add' | 'remove',
): Promise<void> {
  const writer = new Writer()
  writeMessage(writer, tcMessage, {
    type: verb === 'add' ? types.NEWQDISC : types.DELQDISC,
    flags: verb === 'add' ? flags.CREATE | flags.EXCL : 0,
    header: { ifindex, handle: hooks.QDISC_HANDLE, parent: hooks.QDISC },
    body: { kind: 'ingress' },
  })
  await sent(transport, 'route', writer)
}

/** Whether a port has an ingress qdisc. */
export async function hasQdisc(transport: Transport, ifindex: number): Promise<boolean> {
  const writer = new Writer()
  // Without the handle the kernel answers with what stands in for a qdisc that was there once (tc_get_qdisc(), Linux 6.1).
  const header = { ifindex, handle: hooks.QDISC_HANDLE, parent: hooks.QDISC }
  writeMessage(writer, tcMessage, { type: types.GETQDISC, flags: 0, header, body: {} })
  const { failures } = await transport.exchange('route', writer.take())
  return failures.length === 0
}

/** The filters on the ingress of a port, as `prio protocol handle`. */
export async function filtersOf(transport: Transport, ifindex: number): Promise<string[]> {
  const writer = new Writer()
  const header = { ifindex, parent: hooks.INGRESS }
  writeMessage(writer, tcMessage, { type: types.GETTFILTER, flags: 0, header, body: {} })
  const found: string[] = []
  for await (const page of transport.dump('route', writer.take())) {
    for (const message of messagesOf(page)) {
      const { handle = 0, info = 0 } = readMessage(tcMessage, message).header
      const { prio, protocol } = prioAndProtocol(info)
      // Every priority announces itself with a record of handle 0.
      if (handle !== 0)
        found.push(`${prio} 0x${protocol.toString(16).padStart(4, '0')} 0x${handle.toString(16)}`)
    }
  }
  return found.sort()
}
