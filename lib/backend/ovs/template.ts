import type { FlowView } from '../../../types/backend.js'
import type { FlowKey } from '../../../types/flow.js'
import { endMessage } from '../../netlink/message.js'
import { AttributeCursor } from '../../netlink/reader.js'
import { type Part, Stencil } from '../../netlink/stencil.js'
import type { Struct } from '../../netlink/struct.js'
import type { Writer } from '../../netlink/writer.js'
import { actionList, sameOutputs } from '../../ovs/action.js'
import { HEADERS } from '../../ovs/family.js'
import { flow as flowFamily } from '../../ovs/flow.js'
import { flowKey } from '../../ovs/key.js'
import { putUfid } from '../../ovs/ufid.js'
import type { Template } from '../templates.js'

/**
 * The message of a new flow, to be sent again for flows with the same attributes and the same mask. Their values go to the places the
 * first one had them in; actions that are not the same outputs are written anew.
 */
export class FlowTemplate implements Template {
  readonly #flow: FlowView
  readonly #stencil: Stencil<FlowKey>
  readonly #ufid: number
  /** The message up to where its actions begin. */
  readonly #head: Uint8Array

  /** A template out of a message that was just written; undefined when flows like it have no fixed places for their values. */
  static from(message: Uint8Array, flow: FlowView): FlowTemplate | undefined {
    if (!flowKey.alike(flow.key, flow.key)) return undefined
    return new FlowTemplate(message, flow)
  }

  private constructor(message: Uint8Array, flow: FlowView) {
    this.#flow = flow
    const { ids } = flowFamily.body
    const parts: Part[] = []
    let ufid = 0
    let actions = message.length
    const cursor = new AttributeCursor(message, HEADERS, message.length)
    while (cursor.next()) {
      if (cursor.id === ids.ufid) ufid = cursor.start
      else if (cursor.id === ids.key) addParts(parts, cursor.nested())
      else if (cursor.id === ids.actions) actions = cursor.start - 4
    }
    this.#ufid = ufid
    this.#stencil = new Stencil(message, parts)
    this.#head = message.subarray(0, actions)
  }

  fits({ raw, mask, key }: FlowView): boolean {
    return raw === undefined && flowKey.alike(key, this.#flow.key) && flowKey.same(mask, this.#flow.mask)
  }

  write(writer: Writer, flow: FlowView): void {
    const { bytes } = this.#stencil
    this.#stencil.fill(flow.key)
    putUfid(bytes, this.#ufid, flow)
    const { actions } = this.#flow
    if (flow.actions === actions || sameOutputs(flow.actions, actions)) {
      writer.append(bytes)
      return
    }
    const at = writer.length
    writer.append(this.#head)
    const nest = writer.begin(flowFamily.body.ids.actions)
    actionList.write(writer, flow.actions)
    writer.end(nest)
    endMessage(writer, at)
  }
}

function addParts(parts: Part[], attributes: AttributeCursor): void {
  while (attributes.next()) {
    const row = flowKey.row(attributes.id)
    if (row === undefined) continue
    const { name: attribute, codec } = row
    const offset = attributes.start
    const fields = 'fields' in codec ? (codec as Struct<object>).fields : []
    // The parts of a tag share their bytes, so it is put as a whole.
    const isWord = fields[1]?.offset === 0
    if (fields.length === 0 || isWord) parts.push({ attribute, offset, codec: codec as Part['codec'] })
    else {
      for (const { name: part, offset: within, scalar } of fields) {
        parts.push({ attribute, part, offset: offset + within, codec: scalar })
      }
    }
  }
}
