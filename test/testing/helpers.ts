import type { FlowView } from '../../types/backend.js'
import type { FlowKey } from '../../types/flow.js'
import type { Exchange, Transport } from '../../types/transport.js'
import { controller, GENL_ID_CTRL } from '../../lib/netlink/genl.js'
import { flags, type MessageForm, readMessage, writeMessage } from '../../lib/netlink/message.js'
import { messagesOf } from '../../lib/netlink/reader.js'
import { Writer } from '../../lib/netlink/writer.js'
import { commands } from '../../lib/ovs/family.js'
import { type DatapathBody, datapath } from '../../lib/ovs/datapath.js'
import { type FlowBody, flow } from '../../lib/ovs/flow.js'
import { type VportBody, vport } from '../../lib/ovs/vport.js'
import { ParsedUfid } from '../../lib/ovs/ufid.js'
import { exactMask } from '../../lib/ovs/view.js'
import { hooks, type TcBody, tcMessage, types } from '../../lib/tc/message.js'
import { Families } from '../../lib/transport/family.js'

/** Sends one message and returns what came of it. */
export async function send<Header, Body>(
  transport: Transport,
  protocol: 'generic' | 'route',
  form: MessageForm<Header, Body>,
  message: { type: number; flags?: number; header: Header; body: Body },
): Promise<{ errno: number; text?: string; replies: { header: Header; body: Body }[] }> {
  const writer = new Writer()
  writeMessage(writer, form, { flags: 0, ...message })
  return answerOf(form, await transport.exchange(protocol, writer.take()))
}

export function answerOf<Header, Body>(form: MessageForm<Header, Body>, { failures, replies }: Exchange) {
  const [failure] = failures
  return {
    errno: failure?.errno ?? 0,
    ...(failure?.text === undefined ? {} : { text: failure.text }),
    replies: [...messagesOf(replies)].map((reply) => readMessage(form, reply)),
  }
}

/** Asks the families of openvswitch by hand. */
export class Ovs {
  readonly transport: Transport
  readonly #families: Families

  constructor(transport: Transport) {
    this.transport = transport
    this.#families = new Families(transport)
  }

  async datapath(cmd: keyof typeof commands, body: DatapathBody, dpIfindex = 0, more = 0) {
    return this.#ask(datapath, cmd, body, dpIfindex, more)
  }

  async vport(cmd: keyof typeof commands, body: VportBody, dpIfindex = 0, more = 0) {
    return this.#ask(vport, cmd, body, dpIfindex, more)
  }

  async flow(cmd: keyof typeof commands, body: FlowBody, dpIfindex = 0, more = 0) {
    return this.#ask(flow, cmd, body, dpIfindex, more)
  }

  async dump<Body>(
    family: { name: string; version: number } & MessageForm<
      { cmd: number; version: number; dpIfindex: number },
      Body
    >,
    dpIfindex: number,
    body: Body = {} as Body,
  ): Promise<Body[]> {
    const writer = new Writer()
    const header = { cmd: commands.GET, version: family.version, dpIfindex }
    writeMessage(writer, family, { type: await this.#families.id(family), flags: 0, header, body })
    const found: Body[] = []
    for await (const page of this.transport.dump('generic', writer.take()))
      for (const message of messagesOf(page)) found.push(readMessage(family, message).body)
    return found
  }

  async #ask<Body>(
    family: { name: string; version: number } & MessageForm<
      { cmd: number; version: number; dpIfindex: number },
      Body
    >,
    cmd: keyof typeof commands,
    body: Body,
    dpIfindex: number,
    more: number,
  ) {
    const header = { cmd: commands[cmd], version: family.version, dpIfindex }
    return send(this.transport, 'generic', family, {
      type: await this.#families.id(family),
      flags: more,
      header,
      body,
    })
  }
}

/** Looks up a family by hand. */
export function family(transport: Transport, familyName: string) {
  const header = { cmd: controller.commands.GETFAMILY as number, version: 1 }
  return send(transport, 'generic', controller, { type: GENL_ID_CTRL, header, body: { familyName } })
}

export function qdisc(transport: Transport, type: number, ifindex: number, more = 0, kind = 'ingress') {
  const header = { ifindex, handle: hooks.QDISC_HANDLE, parent: hooks.QDISC }
  return send(transport, 'route', tcMessage, { type, flags: more, header, body: { kind } })
}

export function filter(
  transport: Transport,
  type: number,
  name: { ifindex: number; info: number; handle?: number; parent?: number },
  body: TcBody = {},
  more = 0,
) {
  const header = { parent: hooks.INGRESS, ...name }
  return send(transport, 'route', tcMessage, { type, flags: more, header, body: { kind: 'flower', ...body } })
}

export async function dumpFilters(transport: Transport, ifindex: number, body: TcBody = {}) {
  const writer = new Writer()
  writeMessage(writer, tcMessage, {
    type: types.GETTFILTER,
    flags: 0,
    header: { ifindex, parent: hooks.INGRESS },
    body,
  })
  const found = []
  for await (const page of transport.dump('route', writer.take()))
    for (const message of messagesOf(page)) found.push(readMessage(tcMessage, message))
  return found
}

/** A TCP packet from 10.0.0.1, as openvswitch sees it on port 1. */
export const tcpKey: FlowKey = {
  inPort: 1,
  ethernet: { src: '00:00:00:00:00:01', dst: '00:00:00:00:00:02' },
  etherType: 0x0800,
  ipv4: { src: '10.0.0.1', dst: '10.0.0.2', proto: 6, tos: 0, ttl: 64, frag: 0 },
  tcp: { src: 1234, dst: 80 },
  tcpFlags: 0x10,
}

export function view(
  ufid: string,
  parts: Partial<Omit<FlowView, 'inPort'>> & Pick<FlowView, 'key'>,
): FlowView {
  const { inPort } = parts.key
  const { w0, w1, w2, w3 } = new ParsedUfid(ufid)
  return {
    ...{ ufid, w0, w1, w2, w3, ufidGiven: true, mode: 'create', inPort },
    mask: exactMask(parts.key),
    actions: [],
    ...parts,
  }
}

export const CREATE = flags.CREATE
export const EXCL = flags.EXCL
export const ECHO = flags.ECHO
