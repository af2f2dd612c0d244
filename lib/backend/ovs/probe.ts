import { randomBytes } from 'node:crypto'
import type { KernelFeature } from '../../../types/feature.js'
import type { MessageFailure, Transport } from '../../../types/transport.js'
import { DpifError } from '../../errors.js'
import { writeMessage } from '../../netlink/message.js'
import { Writer } from '../../netlink/writer.js'
import { commands } from '../../ovs/family.js'
import { flow as family } from '../../ovs/flow.js'
import { type FlowProbe, flowProbes, plainProbe } from '../../ovs/probes.js'
import { exactMask, readActions, readKey } from '../../ovs/view.js'
import { kernelFailure } from '../failure.js'
import type { FamilyId } from './family.js'

/**
 * Finds out what openvswitch has of what it learned over the years, and writes nothing. The kernel is asked to change flows that are not
 * there: it reads match and actions first, and only then finds that there is no such flow (ovs_flow_cmd_set()).
 */
export async function probeOpenvswitch(
  transport: Transport,
  id: FamilyId,
  dpIfindex: number,
): Promise<KernelFeature[]> {
  const type = await id(family)
  const rows: readonly [name: string, probe: FlowProbe][] = Object.entries(flowProbes)
  const writer = new Writer(8192)
  for (const probe of [plainProbe, ...rows.map(([, probe]) => probe)]) {
    const header = { cmd: commands.SET, version: family.version, dpIfindex }
    writeMessage(writer, family, { type, flags: 0, header, body: bodyOf(probe) })
  }
  const { failures } = await transport.exchange('generic', writer.take())
  const errnoAt = new Map(failures.map((failure) => [failure.index, failure]))
  const basis = errnoAt.get(0)
  if (basis?.errno !== ENOENT) throw refusal(basis)
  return rows.map(([name, { since, doc }], index) => {
    return { backend: 'ovs', name, since, doc, present: errnoAt.get(index + 1)?.errno === ENOENT }
  })
}

function bodyOf({ key: spec, actions }: FlowProbe) {
  const { key, mask } = spec === undefined ? { key: undefined, mask: undefined } : readKey(spec)
  return {
    // Nobody has a flow of that name.
    ufid: new Uint8Array(randomBytes(16)),
    ...(key === undefined ? {} : { key, mask: mask ?? exactMask(key) }),
    ...(actions === undefined ? {} : { actions: readActions(actions) }),
    probe: true as const,
  }
}

function refusal(failure: MessageFailure | undefined): DpifError {
  if (failure === undefined)
    return new DpifError('BAD_MESSAGE', 'the kernel changed a flow that does not exist')
  const more = failure.errno === ENODEV ? { code: 'NO_DATAPATH' as const } : {}
  return DpifError.from(kernelFailure('ask openvswitch what it can do', failure, more))
}

const ENOENT = 2
const ENODEV = 19
