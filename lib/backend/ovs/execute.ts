import type { Executor } from '../../../types/dpif.js'
import type { Failure } from '../../../types/errors.js'
import type { ExecuteOp } from '../../../types/op.js'
import type { MessageFailure, Transport } from '../../../types/transport.js'
import { u16, u64 } from '../../netlink/integers.js'
import { beginMessage, endMessage } from '../../netlink/message.js'
import { Writer } from '../../netlink/writer.js'
import { actionList } from '../../ovs/action.js'
import { ovsHeader } from '../../ovs/family.js'
import { flowKey } from '../../ovs/key.js'
import { packet as family, packetCommands } from '../../ovs/packet.js'
import { inputFailure, readActions, readKey } from '../../ovs/view.js'
import { kernelFailure } from '../failure.js'
import type { FamilyId } from './family.js'

/** Sends packets through actions in one datapath. TC has no way to do it, whatever the policy says. */
export class KernelExecutor implements Executor {
  readonly #transport: Transport
  readonly #id: FamilyId
  readonly #dpIfindex: number
  readonly #writer = new Writer(4096)

  constructor(transport: Transport, id: FamilyId, dpIfindex: number) {
    this.#transport = transport
    this.#id = id
    this.#dpIfindex = dpIfindex
  }

  async execute(ops: readonly ExecuteOp[]): Promise<readonly (Failure | undefined)[]> {
    const type = await this.#id(family)
    const results: (Failure | undefined)[] = ops.map(() => undefined)
    const writer = this.#writer
    const exchanges: Promise<void>[] = []
    let sent: number[] = []
    const send = () => {
      if (sent.length === 0) return
      // A batch is read before the call returns, so the next one can be written meanwhile.
      exchanges.push(this.#send(writer.view(), ops, sent, results))
      writer.reset()
      sent = []
    }
    for (const [index, op] of ops.entries()) {
      const start = writer.length
      try {
        this.#write(type, op)
        sent.push(index)
      } catch (error) {
        writer.truncate(start)
        results[index] = { ...inputFailure(error), backend: 'ovs' }
      }
      if (writer.length > ENOUGH) send()
    }
    send()
    await Promise.all(exchanges)
    return results
  }

  async #send(
    batch: Uint8Array,
    ops: readonly ExecuteOp[],
    sent: readonly number[],
    results: (Failure | undefined)[],
  ): Promise<void> {
    const { failures } = await this.#transport.exchange('generic', batch)
    for (const failure of failures) {
      const index = sent[failure.index] ?? -1
      const op = ops[index]
      if (op !== undefined) results[index] = failureOf(op, failure)
    }
  }

  #write(type: number, { packet, key = {}, actions, mru, hash, probe }: ExecuteOp): void {
    if (!(packet instanceof Uint8Array)) throw new TypeError('packet: the packet to execute is a Uint8Array')
    const writer = this.#writer
    const at = beginMessage(writer, type, 0)
    ovsHeader.write(writer, {
      cmd: packetCommands.EXECUTE,
      version: family.version,
      dpIfindex: this.#dpIfindex,
    })
    within(writer, ids.packet, () => writer.append(packet))
    within(writer, ids.key, () => {
      if (key instanceof Uint8Array) writer.append(key)
      else flowKey.write(writer, readKey(key).key)
    })
    within(writer, ids.actions, () => {
      if (actions instanceof Uint8Array) writer.append(actions)
      else actionList.write(writer, readActions(actions))
    })
    if (probe) writer.attribute(ids.probe, 0)
    if (mru !== undefined) within(writer, ids.mru, () => u16.write(writer, mru))
    if (hash !== undefined) within(writer, ids.hash, () => u64.write(writer, hash))
    endMessage(writer, at)
  }
}

/** Bytes of messages that are worth an exchange: a long list of large packets is not copied all at once. */
const ENOUGH = 1 << 20

const { ids } = family.body

function within(writer: Writer, id: number, write: () => void): void {
  const at = writer.begin(id)
  write()
  writer.end(at)
}

function failureOf({ packet }: ExecuteOp, failure: MessageFailure): Failure {
  const attempt = `execute actions on a packet of ${packet.length} bytes`
  const code = failure.errno === ENODEV ? { code: 'NO_DATAPATH' as const } : {}
  return kernelFailure(attempt, failure, { backend: 'ovs', ...code })
}

const ENODEV = 19
