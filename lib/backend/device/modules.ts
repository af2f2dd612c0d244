import type { Transport } from '../../../types/transport.js'
import { beginMessage, endMessage, flags, writeMessage } from '../../netlink/message.js'
import { Writer } from '../../netlink/writer.js'
import { actionEnvelope, actionKinds } from '../../tc/action/index.js'
import { actionMessage, actionTypes } from '../../tc/action-message.js'
import { etherTypes } from '../../tc/match.js'
import { type Feature, linux61 } from '../../tc/features.js'
import { filterInfo, hooks, tcMessage, types } from '../../tc/message.js'
import { Answers, Batch } from '../tc/batch.js'
import { Ports } from '../tc/ports.js'
import { findFeatures, LOOPBACK } from '../tc/probe.js'
import { Qdiscs } from '../tc/qdisc.js'

/** What the kernel can load of what flows in TC are made of. */
export interface TcModules {
  /** Whether it could be asked: that takes CAP_NET_ADMIN. */
  readonly privileged: boolean
  /** Modules that are neither there nor can be loaded. */
  readonly missing: readonly string[]
  /** What its flower lacks of that of Linux 6.1; none where no filter can be put. */
  readonly lacking: readonly Feature[]
}

/**
 * Asks for a filter and for actions that say nothing: the kernel loads the module first, and only then finds the request wanting. So
 * nothing is made, and ENOENT means that there is no such module. A filter needs a qdisc, and `lo` lends its own, or gets one for that
 * moment: nobody offloads anything there.
 */
export async function tcModules(transport: Transport): Promise<TcModules> {
  const batch = new Batch(new Writer(1024))
  const qdiscs = new Qdiscs()
  const asked = [
    { module: 'sch_ingress', at: qdiscs.ensure(batch, LOOPBACK) ?? 0 },
    { module: 'cls_flower', at: batch.add(writeFilter) },
    ...actionKinds.map(({ kind }) => ({
      module: `act_${kind}`,
      at: batch.add((writer) => writeAction(writer, kind)),
    })),
  ]
  const answers = new Answers(await batch.send(transport), new Ports())
  qdiscs.settle(batch, answers)
  await qdiscs.removeOurs(transport)
  const found = await findFeatures(transport)
  return {
    privileged: ![...answers.failures()].some(({ errno }) => errno === EPERM),
    missing: asked.flatMap(({ module, at }) => (isMissing(answers.failure(at)?.errno) ? [module] : [])),
    lacking: [...linux61].filter((feature) => !found.has(feature)),
  }
}

function writeFilter(writer: Writer): void {
  const at = beginMessage(writer, types.NEWTFILTER, flags.CREATE)
  // The kernel chooses the priority, so that none of those in use is met.
  const info = filterInfo(0, etherTypes.IPV4)
  tcMessage.header.write(writer, { ifindex: LOOPBACK, parent: hooks.INGRESS, info })
  tcMessage.body.write(writer, { kind: 'flower' })
  endMessage(writer, at)
}

function writeAction(writer: Writer, kind: string): void {
  const list = new Writer(64)
  const at = list.begin(1)
  actionEnvelope.write(list, { kind })
  list.end(at)
  const body = { actions: list.take() }
  writeMessage(writer, actionMessage, { type: actionTypes.NEWACTION, flags: flags.CREATE, header: {}, body })
}

const isMissing = (errno: number | undefined) => errno === ENOENT || errno === EOPNOTSUPP

const EPERM = 1
const ENOENT = 2
/** Without CONFIG_NET_CLS_ACT nobody knows the request. */
const EOPNOTSUPP = 95
