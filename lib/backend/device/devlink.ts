import type { EswitchMode } from '../../../types/device.js'
import type { Transport } from '../../../types/transport.js'
import { type DevlinkBody, devlink, devlinkVersion, eswitchModes, RUNNING } from '../../device/devlink.js'
import { DpifError } from '../../errors.js'
import { kernelFailure } from '../failure.js'
import type { FamilyId } from '../ovs/family.js'
import { GenericFamily, ifThere } from './family.js'

/** What a device of devlink says of itself. */
export interface DevlinkDevice {
  /** `pci/0000:08:00.0` */
  readonly name: string
  readonly driver?: string
  readonly firmware?: string
  readonly mode?: EswitchMode
}

/** The devices of devlink and their ports. A kernel without devlink has none. */
export class Devlink {
  readonly #family: GenericFamily<DevlinkBody>

  constructor(transport: Transport, id: FamilyId) {
    this.#family = new GenericFamily(transport, id, devlink)
  }

  async ports(): Promise<DevlinkBody[]> {
    return ifThere(this.#family.dump(command('PORT_GET'), {}), [])
  }

  async devices(): Promise<DevlinkDevice[]> {
    const devices = await ifThere(this.#family.dump(command('GET'), {}), [])
    return this.about(devices.map(nameOf))
  }

  /** What these devices say, in one go; of one that is not there, or says nothing, the name. */
  async about(names: readonly string[]): Promise<DevlinkDevice[]> {
    const handles = names.map(handleOf)
    const infos = handles.map((body) => ({ cmd: command('INFO_GET'), body }))
    const modes = handles.map((body) => ({ cmd: command('ESWITCH_GET'), body }))
    const answers = await ifThere(this.#family.ask([...infos, ...modes]), [])
    return names.map((name, index) =>
      deviceOf(name, answers[index]?.body, answers[names.length + index]?.body),
    )
  }

  /** The payload of DEVLINK_ATTR_PARAM; undefined when there is no such parameter. */
  async param(name: string, paramName: string): Promise<Uint8Array | undefined> {
    const question = { cmd: command('PARAM_GET'), body: { ...handleOf(name), paramName } }
    const [answer] = await ifThere(this.#family.ask([question]), [])
    return answer?.body?.param
  }

  /** Rejects with NO_PORT when there is no such device, with UNSUPPORTED when it has no e-switch, and as the driver refuses. */
  async setMode(name: string, mode: EswitchMode): Promise<void> {
    const body = { ...handleOf(name), eswitchMode: eswitchModes[mode] }
    const [answer] = await this.#family.ask([{ cmd: command('ESWITCH_SET'), body }])
    if (answer?.failure === undefined) return
    const hint = hints[answer.failure.errno]
    const attempt = `set e-switch '${name}' to mode ${mode}`
    throw DpifError.from(kernelFailure(attempt, answer.failure, hint === undefined ? {} : { hint }))
  }
}

/** `pci/0000:08:00.0` for what a message says. */
export const nameOf = ({ busName = '', devName = '' }: DevlinkBody): string => `${busName}/${devName}`

function handleOf(name: string): Required<Pick<DevlinkBody, 'busName' | 'devName'>> {
  const at = name.indexOf('/')
  return { busName: name.slice(0, at), devName: name.slice(at + 1) }
}

function deviceOf(name: string, info: DevlinkBody = {}, eswitch: DevlinkBody = {}): DevlinkDevice {
  const firmware = firmwareIn(info)
  const mode = eswitchModeNames.find((known) => eswitchModes[known] === eswitch.eswitchMode)
  return {
    name,
    ...(info.driver === undefined ? {} : { driver: info.driver }),
    ...(firmware === undefined ? {} : { firmware }),
    ...(mode === undefined ? {} : { mode }),
  }
}

const command = (name: string): number => devlink.commands[name] as number
const eswitchModeNames = Object.keys(eswitchModes) as EswitchMode[]

const hints: Readonly<Record<number, string>> = {
  19: 'there is no such device; list them with `hwacc eswitch show`',
  95: 'the device has no e-switch, or its driver cannot change the mode',
}

/** The running versions: of the firmware as a whole where there is one, of all parts otherwise. */
function firmwareIn({ unknown = [] }: DevlinkBody): string | undefined {
  const found = new Map<string, string>()
  for (const { id, data } of unknown) {
    if (id !== RUNNING.id) continue
    const { name = '?', value = '?' } = devlinkVersion.read(data, 0, data.length)
    found.set(name, value)
  }
  const all = [...found].map(([name, value]) => `${name} ${value}`).join(', ')
  return found.get('fw.version') ?? found.get('fw') ?? (all === '' ? undefined : all)
}
