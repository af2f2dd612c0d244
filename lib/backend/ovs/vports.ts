import type { Transport } from '../../../types/transport.js'
import { DpifError } from '../../errors.js'
import { readMessage, writeMessage } from '../../netlink/message.js'
import { messagesOf } from '../../netlink/reader.js'
import { Writer } from '../../netlink/writer.js'
import { commands } from '../../ovs/family.js'
import { vport as family, type VportBody } from '../../ovs/vport.js'
import { kernelFailure } from '../failure.js'
import type { FamilyId } from './family.js'

/** The ports of one datapath as openvswitch itself speaks of them, without their devices. */
export class Vports {
  readonly #transport: Transport
  readonly #id: FamilyId
  readonly #dpIfindex: number

  constructor(transport: Transport, id: FamilyId, dpIfindex: number) {
    this.#transport = transport
    this.#id = id
    this.#dpIfindex = dpIfindex
  }

  /** Ascending by number. Rejects with NO_DATAPATH. */
  async list(): Promise<VportBody[]> {
    const found: VportBody[] = []
    const request = await this.request([{ cmd: commands.GET, body: {} }])
    try {
      for await (const page of this.#transport.dump('generic', request)) {
        for (const message of messagesOf(page)) found.push(readMessage(family, message).body)
      }
    } catch (error) {
      // No device to a dump of vports is the datapath's own (ovs_vport_cmd_dump(), net/openvswitch/datapath.c).
      if (!(error instanceof DpifError) || error.errno !== ENODEV) throw error
      throw DpifError.from(kernelFailure('list the ports', { errno: ENODEV }, { code: 'NO_DATAPATH' }))
    }
    return found.sort((a, b) => (a.portNo ?? 0) - (b.portNo ?? 0))
  }

  /** Requests to this family, framed one behind the other. */
  async request(
    requests: readonly { readonly cmd: number; readonly body: VportBody }[],
  ): Promise<Uint8Array> {
    const type = await this.#id(family)
    const writer = new Writer(128)
    for (const { cmd, body } of requests) {
      const header = { cmd, version: family.version, dpIfindex: this.#dpIfindex }
      writeMessage(writer, family, { type, flags: 0, header, body })
    }
    return writer.take()
  }
}

const ENODEV = 19
