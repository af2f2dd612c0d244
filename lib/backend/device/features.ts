import type { HwTcOffload } from '../../../types/device.js'
import type { Transport } from '../../../types/transport.js'
import { type EthtoolBitset, type EthtoolFeatures, ethtool, HW_TC_OFFLOAD } from '../../device/ethtool.js'
import { DpifError } from '../../errors.js'
import { kernelFailure } from '../failure.js'
import type { FamilyId } from '../ovs/family.js'
import { GenericFamily, ifThere } from './family.js'

/** ethtool's hw-tc-offload, read and switched over netlink. */
export class OffloadFeature {
  readonly #family: GenericFamily<EthtoolFeatures>

  constructor(transport: Transport, id: FamilyId) {
    this.#family = new GenericFamily(transport, id, ethtool)
  }

  /** By ifindex. Empty on a kernel that does not tell (before Linux 5.7). */
  async all(): Promise<ReadonlyMap<number, HwTcOffload>> {
    // Without a header the request is refused, though nothing has to be in it.
    const bodies = await ifThere(this.#family.dump(GET, { header: {} }), [])
    return new Map(bodies.map((body) => [body.header?.ifindex ?? 0, stateOf(body)]))
  }

  /**
   * Rejects with NO_PORT when there is no such device, with UNSUPPORTED when it cannot be switched, and with BUSY when the driver does
   * not let go of it.
   */
  async set(name: string, on: boolean): Promise<void> {
    const header = { name }
    const [answer] = await this.#family.ask([change(name, on)])
    const attempt = `switch ${HW_TC_OFFLOAD} ${on ? 'on' : 'off'} on '${name}'`
    if (answer?.failure !== undefined) throw DpifError.from(kernelFailure(attempt, answer.failure))
    // A driver that does not do it is no failure to the kernel; the answer lists what did not become what was asked for.
    if (answer?.body === undefined || !names(answer.body.wanted)) return
    // What was asked for stays wanted, comes about with whatever change is next, and is nothing new when it is asked for again
    // (ethnl_set_features(), net/ethtool/features.c): it is taken back.
    const [now] = await this.#family.ask([{ cmd: GET, body: { header } }, change(name, !on)])
    throw refusal(attempt, now?.body === undefined ? 'absent' : stateOf(now.body))
  }
}

function change(name: string, on: boolean): { readonly cmd: number; readonly body: EthtoolFeatures } {
  const bit = { name: HW_TC_OFFLOAD, ...(on ? { value: true as const } : {}) }
  return { cmd: SET, body: { header: { name }, wanted: { bits: [bit] } } }
}

const GET = ethtool.commands.FEATURES_GET as number
const SET = ethtool.commands.FEATURES_SET as number

const unsupported = 'the device does not leave that to anybody; ethtool calls the feature [fixed]'
const busy = 'the driver keeps it as it is; filters in hardware hold it on, delete them first'

function refusal(attempt: string, state: HwTcOffload): DpifError {
  return state === 'absent' || state === 'fixed'
    ? new DpifError('UNSUPPORTED', `cannot ${attempt}: ${unsupported}`)
    : new DpifError('BUSY', `cannot ${attempt}: ${busy}`)
}

function stateOf({ hw, active }: EthtoolFeatures): HwTcOffload {
  const isOn = isSet(active)
  if (!isSet(hw)) return isOn ? 'fixed' : 'absent'
  return isOn ? 'on' : 'off'
}

const isSet = ({ noMask, bits = [] }: EthtoolBitset = {}) =>
  bits.some(({ name, value }) => name === HW_TC_OFFLOAD && (noMask === true || value === true))

const names = ({ bits = [] }: EthtoolBitset = {}) => bits.some(({ name }) => name === HW_TC_OFFLOAD)
