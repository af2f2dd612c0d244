import {
  changeDatapath,
  createDatapath,
  type Datapath,
  type DatapathFeature,
  type DatapathSettings,
  deleteDatapath,
  type Dpif,
  type Eswitch,
  type EswitchMode,
  eswitches,
  type KernelFeature,
  type KernelOptions,
  kernelFeatures,
  listDatapaths,
  listDevices,
  NativeTransport,
  type NetDevice,
  openDpif,
  type Preflight,
  preflight,
  setEswitchMode,
  type Transport,
} from '../index.js'
import { CliError, fromInput } from './error.js'
import type { Io } from './io.js'
import { type Devices, policyFor } from './policy.js'

/** The kernel a call talks to, reached when it is first needed. */
export class Kernel {
  readonly #io: Io
  readonly #given: Transport | undefined
  #own: NativeTransport | undefined

  constructor(io: Io) {
    this.#io = io
    this.#given = io.transport
  }

  list(): Promise<Datapath[]> {
    return listDatapaths(this.#options)
  }

  /** `features` as the command line names them, with commas between; those of the library when left out. */
  create(name: string, features?: string): Promise<Datapath> {
    const wanted = features === undefined ? {} : { features: words(features) as DatapathFeature[] }
    return fromInput(() => createDatapath(plainName(name), { ...wanted, ...this.#options }))
  }

  change(name: string, settings: DatapathSettings): Promise<Datapath> {
    return fromInput(() => changeDatapath(plainName(name), { ...settings, ...this.#options }))
  }

  features(datapath: string): Promise<KernelFeature[]> {
    return kernelFeatures(plainName(datapath), this.#options)
  }

  delete(name: string): Promise<void> {
    return deleteDatapath(plainName(name), this.#options)
  }

  devices(): Promise<NetDevice[]> {
    return listDevices(this.#options)
  }

  eswitches(): Promise<Eswitch[]> {
    return eswitches(this.#options)
  }

  setEswitchMode(device: string, mode: string): Promise<Eswitch> {
    return fromInput(() => setEswitchMode(device, mode as EswitchMode, this.#options))
  }

  preflight(ports: readonly string[]): Promise<Preflight> {
    return preflight(ports, this.#options)
  }

  /** Opens a datapath; `policy` as the command line names it, or the name of a document. */
  async open(name: string, policy?: string): Promise<Dpif> {
    const chosen =
      policy === undefined ? {} : { policy: await policyFor(policy, this.#io, () => this.#switchIds()) }
    return openDpif({ datapath: plainName(name), ...chosen, ...this.#options })
  }

  /**
   * The datapath a call is about, as ovs-dpctl finds it: the first argument if there is a datapath of that name; else, while
   * arguments are left out, the only one there is.
   */
  async choose(
    args: readonly string[],
    most: number,
  ): Promise<{ datapath: string; rest: readonly string[] }> {
    const names = (await this.list()).map(({ name }) => name)
    const [first, ...rest] = args
    if (first !== undefined && (first.startsWith('system@') || names.includes(first))) {
      const datapath = plainName(first)
      if (!names.includes(datapath)) throw notFound(first, names)
      return { datapath, rest }
    }
    if (first !== undefined && args.length >= most) throw notFound(first, names)
    const [only, ...others] = names
    if (only === undefined) throw new CliError('no datapaths exist')
    if (others.length > 0) {
      throw new CliError(`multiple datapaths, specify one of ${names.sort().join(', ')}`)
    }
    return { datapath: only, rest: args }
  }

  /** The datapath of that name; fails naming those there are. */
  async named(name: string): Promise<Datapath> {
    const all = await this.list()
    const wanted = plainName(name)
    const found = all.find((datapath) => datapath.name === wanted)
    if (found !== undefined) return found
    throw notFound(
      name,
      all.map((datapath) => datapath.name),
    )
  }

  async close(): Promise<void> {
    await this.#own?.close()
  }

  /** Switch ids by the names of e-switches. */
  async #switchIds(): Promise<Devices> {
    const all = await this.eswitches()
    return Object.fromEntries(
      all.flatMap(({ name, switchId }) => (switchId === undefined ? [] : [[name, switchId]])),
    )
  }

  get #options(): KernelOptions {
    this.#own ??= this.#given === undefined ? new NativeTransport() : undefined
    return { transport: this.#given ?? (this.#own as NativeTransport) }
  }
}

/** `dp0` for `system@dp0`: the kernel's datapaths are of type system. */
export function plainName(name: string): string {
  const [, type, plain] = /^([a-z]+)@(.*)$/s.exec(name) ?? []
  if (type === undefined || plain === undefined) return name
  if (type !== 'system')
    throw new CliError(`there are no datapaths of type '${type}' in the kernel, only system`)
  return plain
}

const words = (list: string): string[] => list.split(',').filter((word) => word !== '')

function notFound(name: string, names: readonly string[]): CliError {
  const known = names.length === 0 ? 'no datapaths exist' : `there is ${[...names].sort().join(', ')}`
  return new CliError(`datapath '${name}' not found; ${known}`)
}
