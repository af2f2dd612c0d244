import type { Transport } from '../../types/transport.js'
import { DpifError } from '../errors.js'
import { controller, type Family, GENL_ID_CTRL } from '../netlink/genl.js'
import { readMessage, writeMessage } from '../netlink/message.js'
import { messagesOf } from '../netlink/reader.js'
import { Writer } from '../netlink/writer.js'

/** Looks up the numbers of generic netlink families by name, once each. */
export class Families {
  readonly #transport: Transport
  readonly #ids = new Map<string, Promise<number>>()

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** Rejects with NO_MODULE when the kernel does not know the family: its module is not loaded. */
  id({ name, origin }: Pick<Family<never, never>, 'name' | 'origin'>): Promise<number> {
    let id = this.#ids.get(name)
    if (id === undefined) {
      id = this.#lookUp(name, origin)
      this.#ids.set(name, id)
      // A module can still be loaded later; only success is kept.
      id.catch(() => this.#ids.delete(name))
    }
    return id
  }

  async #lookUp(familyName: string, origin = OPENVSWITCH): Promise<number> {
    const writer = new Writer(64)
    const header = { cmd: controller.commands.GETFAMILY as number, version: controller.version }
    writeMessage(writer, controller, { type: GENL_ID_CTRL, flags: 0, header, body: { familyName } })
    const { failures, replies } = await this.#transport.exchange('generic', writer.take())
    const [failure] = failures
    if (failure !== undefined && failure.errno !== ENOENT) {
      throw new DpifError(
        'KERNEL',
        `cannot look up generic netlink family ${familyName}: errno ${failure.errno}`,
        failure,
      )
    }
    for (const message of messagesOf(replies)) {
      const { familyId } = readMessage(controller, message).body
      if (familyId !== undefined) return familyId
    }
    throw new DpifError('NO_MODULE', `the kernel has no generic netlink family ${familyName}; ${origin}`, {
      errno: ENOENT,
    })
  }
}

const ENOENT = 2
const OPENVSWITCH = "load its module with 'modprobe openvswitch'"
