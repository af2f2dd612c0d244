import type { Eswitch, EswitchMode, NetDevice, Preflight } from '../types/device.js'
import type { OpenConntrack } from '../types/conntrack.js'
import type { Dpif, Language } from '../types/dpif.js'
import type { KernelFeature } from '../types/feature.js'
import type { Policy } from '../types/policy.js'
import type { Datapath, DatapathSettings } from '../types/port.js'
import type { Transport } from '../types/transport.js'
import { KernelConntrack } from './backend/conntrack/index.js'
import { Meters } from './backend/meters.js'
import { Inventory } from './backend/device/inventory.js'
import { judge } from './backend/device/preflight.js'
import { survey } from './backend/device/survey.js'
import { KernelLeftovers } from './backend/leftovers.js'
import { Datapaths } from './backend/ovs/datapath.js'
import { KernelExecutor } from './backend/ovs/execute.js'
import type { FamilyId, GroupId } from './backend/ovs/family.js'
import { OvsBackend } from './backend/ovs/flows.js'
import { KernelMeters } from './backend/ovs/meters.js'
import { KernelPortChanges } from './backend/ovs/port-changes.js'
import { Ports } from './backend/ovs/ports.js'
import { probeOpenvswitch } from './backend/ovs/probe.js'
import { KernelUpcalls } from './backend/ovs/upcalls.js'
import { TcBackend } from './backend/tc/flows.js'
import { Polices } from './backend/tc/meters.js'
import { probeTc } from './backend/tc/probe.js'
import { DpifProvider } from './dpif/dpif.js'
import { ParsedUfid, ufidOfWords } from './ovs/ufid.js'
import { bitsOf } from './ovs/match-bits.js'
import { identify, inputFailure, viewOf } from './ovs/view.js'
import { preferTc } from './policy/prefer-tc.js'
import { Ftrace } from './trace/ftrace.js'
import { Families } from './transport/family.js'
import { NativeTransport } from './transport/native.js'
import { threadsOf } from './transport/threads.js'

/** Which kernel to talk to. */
export interface KernelOptions {
  /** The kernel of this machine when left out. A transport that is passed in stays open and is the caller's to close. */
  readonly transport?: Transport
}

export interface OpenOptions extends KernelOptions {
  /** Name of the datapath. */
  readonly datapath: string
  /** Where flows go; `preferTc()` when left out. */
  readonly policy?: Policy
  /**
   * Sockets for TC, 1 to 16; 1 when left out. The flows of a call are divided among them, for example 4 for a NIC whose driver
   * inserts in parallel. openvswitch has one in any case: its writers take turns (ovs_mutex).
   */
  readonly lanes?: number
}

/** What modules there are takes a try, which changes something for a moment. */
const untried = { privileged: true, missing: [], lacking: [] }

/** Each is a socket and a thread. */
const MAX_LANES = 16

const language: Language = {
  view: viewOf,
  identify,
  idOf: (ufid) => new ParsedUfid(ufid),
  ufidOf: ufidOfWords,
  bits: bitsOf,
  failure: inputFailure,
}

/**
 * Opens a datapath that exists. Nothing is written to it.
 *
 * Rejects with NO_DATAPATH, NO_MODULE or ADDON_MISSING, and with a RangeError when `lanes` is no whole number from 1 to 16.
 *
 * ```ts
 * const dpif = await openDpif({ datapath: 'dp0' })
 * const result = await dpif.put({ key: 'in_port(1),eth(),eth_type(0x0800),ipv4()', actions: '2' })
 * await dpif.close()
 * ```
 */
export async function openDpif({
  datapath: name,
  policy = preferTc(),
  lanes = 1,
  ...kernel
}: OpenOptions): Promise<Dpif> {
  if (!Number.isInteger(lanes) || lanes < 1 || lanes > MAX_LANES)
    throw new RangeError(`lanes ${lanes}: a whole number from 1 to ${MAX_LANES} is needed`)
  const { transport, release } = reach(kernel)
  try {
    const families = new Families(transport)
    const id: FamilyId = (family) => families.id(family)
    const group: GroupId = (family, name) => families.group(family, name)
    const datapaths = new Datapaths(transport, id)
    const datapath = await datapaths.get(name)
    const inventory = new Inventory(transport, id)
    const abilities = { chains: datapath.features.includes('tcRecircSharing') }
    const kernelMeters = new KernelMeters(transport, id, datapath.ifindex)
    const polices = new Polices(transport, datapath.ifindex, async (meters) => {
      return new Set((await kernelMeters.get(meters)).map((meter) => meter.id))
    })
    const upcalls = new KernelUpcalls(transport, id, group, datapath.ifindex)
    return new DpifProvider({
      datapath,
      backends: [
        new TcBackend(transport, { lanes, abilities, polices }),
        new OvsBackend(transport, id, datapath.ifindex),
      ],
      policy,
      ports: new Ports(transport, id, datapath.ifindex, () => upcalls.pidsOfPorts),
      portChanges: new KernelPortChanges(transport, id, group, datapath.ifindex),
      conntrack: new KernelConntrack(transport, id),
      meters: new Meters(kernelMeters, polices),
      upcalls,
      executor: new KernelExecutor(transport, id, datapath.ifindex),
      stats: () => datapaths.stats(name),
      language,
      leftovers: new KernelLeftovers({ transport, id, datapaths, inventory }),
      surveyor: {
        survey: async (names) => {
          const found = await survey(transport, inventory, names, untried)
          return {
            devices: found.ports.flatMap((port) => port.device ?? []),
            findings: judge(found).findings,
          }
        },
      },
      tracer: transport instanceof NativeTransport ? new Ftrace(() => threadsOf(transport)) : undefined,
      release,
    })
  } catch (error) {
    await release()
    throw error
  }
}

/**
 * The tracked connections of the network namespace, their limits and timeouts: what `dpif.conntrack` is, without a datapath. Nothing is
 * asked of the kernel before the first call.
 *
 * ```ts
 * await using conntrack = openConntrack()
 * for await (const { original, status } of conntrack.dump()) console.log(original, status)
 * ```
 */
export function openConntrack(kernel: KernelOptions = {}): OpenConntrack {
  const { transport, release } = reach(kernel)
  const families = new Families(transport)
  return new KernelConntrack(transport, (family) => families.id(family), release)
}

/** The datapaths there are. Rejects with NO_MODULE or ADDON_MISSING. */
export function listDatapaths(kernel: KernelOptions = {}): Promise<Datapath[]> {
  return withDatapaths(kernel, (datapaths) => datapaths.list())
}

/**
 * Makes a datapath, with an internal port 0 of the same name. Without `features` it has `tcRecircSharing`, where the kernel can, so that TC
 * takes flows that recirculate; with them it has what they say.
 *
 * ```ts
 * await createDatapath('dp0', { features: [], masksCacheSize: 1024 })
 * ```
 *
 * Rejects with EXISTS, NO_PRIVILEGE, UNSUPPORTED or INVALID for settings this kernel does not have, and with a TypeError or a RangeError on
 * what is none.
 */
export function createDatapath(
  name: string,
  { features, masksCacheSize, ...kernel }: KernelOptions & DatapathSettings = {},
): Promise<Datapath> {
  return withDatapaths(kernel, (datapaths) => datapaths.create(name, settings(features, masksCacheSize)))
}

/**
 * Changes a datapath, whoever runs it, and answers how it is then. What is left out stays as it is. The kernel takes all features at once,
 * so what another process switches at the same moment may be lost.
 *
 * Rejects with NO_DATAPATH, and as `createDatapath` does.
 */
export function changeDatapath(
  name: string,
  { features, masksCacheSize, ...kernel }: KernelOptions & DatapathSettings,
): Promise<Datapath> {
  return withDatapaths(kernel, (datapaths) => datapaths.change(name, settings(features, masksCacheSize)))
}

function settings(
  features: DatapathSettings['features'],
  masksCacheSize: number | undefined,
): DatapathSettings {
  return {
    ...(features === undefined ? {} : { features }),
    ...(masksCacheSize === undefined ? {} : { masksCacheSize }),
  }
}

/**
 * What the kernel has of what openvswitch and TC flower learned over the years. It is asked on demand and by nobody else. Of openvswitch
 * by changing flows that are not there, so that nothing is written and no packet sent; of TC by filters on `lo`, in a chain
 * nothing leads to, which are taken away at once.
 *
 * ```ts
 * const features = await kernelFeatures('dp0')
 * if (!features.some(({ name, present }) => name === 'ctNat' && present)) console.log('no NAT here')
 * ```
 *
 * Rejects with NO_DATAPATH, NO_PRIVILEGE, NO_MODULE or ADDON_MISSING.
 */
export function kernelFeatures(datapath: string, kernel: KernelOptions = {}): Promise<KernelFeature[]> {
  return withKernel(kernel, async (transport, id) => {
    const { ifindex } = await new Datapaths(transport, id).get(datapath)
    return [...(await probeOpenvswitch(transport, id, ifindex)), ...(await probeTc(transport))]
  })
}

/**
 * Deletes a datapath with its ports, the tunnel devices `addPort` made, and its flows in openvswitch. Flows in TC live on the devices and stay; `dpif.flush()` removes
 * them. Rejects with NO_DATAPATH or NO_PRIVILEGE.
 */
export function deleteDatapath(name: string, kernel: KernelOptions = {}): Promise<void> {
  return withDatapaths(kernel, (datapaths) => datapaths.delete(name))
}

/**
 * The devices of the host, ascending by ifindex, and what is known of them as ports of an e-switch. Rejects with ADDON_MISSING.
 *
 * ```ts
 * const representors = (await listDevices()).filter(({ kind }) => kind === 'vf')
 * ```
 */
export function listDevices(kernel: KernelOptions = {}): Promise<NetDevice[]> {
  return withInventory(kernel, (inventory) => inventory.devices())
}

/** The e-switches of the host, by name. Their modes take CAP_NET_ADMIN. Rejects with ADDON_MISSING. */
export async function eswitches(kernel: KernelOptions = {}): Promise<Eswitch[]> {
  return withInventory(kernel, async (inventory) => (await inventory.all()).eswitches)
}

/**
 * Sets the mode of an e-switch, named as `devlink` does (`pci/0000:08:00.0`) or by a device that is one of its ports; answers how it is
 * then. Representors come with mode `switchdev` and go with `legacy`, and flows on them with them.
 *
 * Rejects with NO_PORT, UNSUPPORTED, NO_PRIVILEGE or NO_MODULE, as the driver refuses, and with a TypeError on what is no mode.
 */
export async function setEswitchMode(
  device: string,
  mode: EswitchMode,
  kernel: KernelOptions = {},
): Promise<Eswitch> {
  if (mode !== 'legacy' && mode !== 'switchdev')
    throw new TypeError(`'${mode}' is no mode of an e-switch; there are legacy and switchdev`)
  return withInventory(kernel, (inventory) => inventory.setMode(device, mode))
}

/**
 * Switches ethtool's hw-tc-offload of a device, without which its driver takes no filters. Rejects with NO_PORT, UNSUPPORTED when it
 * cannot be switched, BUSY when filters hold it on, NO_PRIVILEGE, and NO_MODULE on a kernel before 5.6.
 */
export async function setHwTcOffload(device: string, on: boolean, kernel: KernelOptions = {}): Promise<void> {
  return withInventory(kernel, (inventory) => inventory.setHwTcOffload(device, on))
}

/**
 * What keeps flows on these devices, and from one to the other, out of hardware, each with the command that mends it. Nothing stays
 * changed: modules that can be loaded are, and `lo` may have an ingress qdisc for a moment. Rejects with ADDON_MISSING.
 *
 * ```ts
 * for (const { message, mend } of (await preflight(['pf0vf0', 'pf0vf1'])).findings) console.log(message, mend)
 * ```
 */
export async function preflight(ports: readonly string[], kernel: KernelOptions = {}): Promise<Preflight> {
  return withInventory(kernel, async (inventory, transport) =>
    judge(await survey(transport, inventory, ports)),
  )
}

function withDatapaths<T>(kernel: KernelOptions, work: (datapaths: Datapaths) => Promise<T>): Promise<T> {
  return withKernel(kernel, (transport, id) => work(new Datapaths(transport, id)))
}

function withInventory<T>(
  kernel: KernelOptions,
  work: (inventory: Inventory, transport: Transport) => Promise<T>,
): Promise<T> {
  return withKernel(kernel, (transport, id) => work(new Inventory(transport, id), transport))
}

/** Work that takes a kernel for one call. */
async function withKernel<T>(
  kernel: KernelOptions,
  work: (transport: Transport, id: FamilyId) => Promise<T>,
): Promise<T> {
  const { transport, release } = reach(kernel)
  try {
    const families = new Families(transport)
    return await work(transport, (family) => families.id(family))
  } finally {
    await release()
  }
}

/** The transport to use, and what ends our use of it. */
function reach({ transport }: KernelOptions): {
  readonly transport: Transport
  readonly release: () => Promise<void>
} {
  if (transport !== undefined) return { transport, release: async () => {} }
  const native = new NativeTransport()
  return { transport: native, release: () => native.close() }
}
