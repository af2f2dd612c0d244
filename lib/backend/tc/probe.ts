import type { KernelFeature } from '../../../types/feature.js'
import type { Transport } from '../../../types/transport.js'
import { Writer } from '../../netlink/writer.js'
import { type Feature, type FeatureRow, features } from '../../tc/features.js'
import { Answers, Batch } from './batch.js'
import { Features } from './features.js'
import { Ports } from './ports.js'
import { Qdiscs } from './qdisc.js'

/** What flower has of what it learned over the years. Where no filter can be put nothing is known of any feature. */
export async function probeTc(transport: Transport): Promise<KernelFeature[]> {
  const found = await findFeatures(transport)
  const rows: readonly [string, FeatureRow][] = Object.entries(features)
  return rows.map(([name, { since, doc, proof }]) => {
    const known = proof !== undefined && found.isFound
    return { backend: 'tc', name, since, doc, ...(known ? { present: found.has(name as Feature) } : {}) }
  })
}

/**
 * Asks on `lo`, where nobody offloads anything, with filters that no packet sees and that go at once: on the qdisc that is there, or on
 * one for that moment.
 */
export async function findFeatures(transport: Transport): Promise<Features> {
  const batch = new Batch(new Writer(8192))
  const qdiscs = new Qdiscs()
  const found = new Features()
  qdiscs.ensure(batch, LOOPBACK)
  const read = found.write(batch, LOOPBACK)
  try {
    const answers = new Answers(await batch.send(transport), new Ports())
    qdiscs.settle(batch, answers)
    read(answers)
  } finally {
    await qdiscs.removeOurs(transport)
  }
  return found
}

/** LOOPBACK_IFINDEX (include/net/flow.h): the same in every network namespace. */
export const LOOPBACK = 1
