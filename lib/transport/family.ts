import type { Transport } from '../../types/transport.js'
import { DpifError } from '../errors.js'
import { type ControlBody, controller, type Family, GENL_ID_CTRL } from '../netlink/genl.js'
import { readMessage, writeMessage } from '../netlink/message.js'
import { messagesOf } from '../netlink/reader.js'
import { Writer } from '../netlink/writer.js'

type Named = Pick<Family<never, never>, 'name' | 'origin'>
type Found = ControlBody & { readonly familyId: number }

/** Looks up the numbers of generic netlink families, and of their multicast groups, by name, once each. */
export class Families {
  readonly #transport: Transport
  readonly #found = new Map<string, Promise<Found>>()

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /** Rejects with NO_MODULE when the kernel does not know the family: its module is not loaded. */
  async id(family: Named): Promise<number> {
    return (await this.#find(family)).familyId
  }

  /** The multicast group of that name; rejects with NO_MODULE when there is none, or no such family. */
  async group(family: Named, name: string): Promise<number> {
    const { groups = [] } = await this.#find(family)
    const id = groups.find((group) => group.name === name)?.id
    if (id !== undefined) return id
    const { name: familyName, origin = OPENVSWITCH } = family
    throw new DpifError(
      'NO_MODULE',
      `generic netlink family ${familyName} has no multicast group ${name}; ${origin}`,
      {
        errno: ENOENT,
      },
    )
  }

  #find({ name, origin }: Named): Promise<Found> {
    let found = this.#found.get(name)
    if (found === undefined) {
      found = this.#lookUp(name, origin)
      this.#found.set(name, found)
      // A module can still be loaded later; only success is kept.
      found.catch(() => this.#found.delete(name))
    }
    return found
  }

  async #lookUp(familyName: string, origin = OPENVSWITCH): Promise<Found> {
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
      const { body } = readMessage(controller, message)
      const { familyId } = body
      if (familyId !== undefined) return { ...body, familyId }
    }
    throw new DpifError('NO_MODULE', `the kernel has no generic netlink family ${familyName}; ${origin}`, {
      errno: ENOENT,
    })
  }
}

const ENOENT = 2
const OPENVSWITCH = "load its module with 'modprobe openvswitch'"
