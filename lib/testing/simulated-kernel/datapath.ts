import { u32 } from '../../netlink/integers.js'
import { list, string } from '../../netlink/table.js'
import { datapath as family, datapathFeatures } from '../../ovs/datapath.js'
import { commands, ovsHeader } from '../../ovs/family.js'
import { parse, type Policy, type Span } from './attributes.js'
import { refuse } from './errors.js'
import { FlowTable } from './flow-table.js'
import { frame } from './request.js'
import { type Datapath, type State, vportOf } from './state.js'
import type { Command } from './generic.js'

// OVS_DP_ATTR_*, and what the kernel's datapath_policy asks of them.
const attr = { NAME: 1, UPCALL_PID: 2, USER_FEATURES: 5, MASKS_CACHE_SIZE: 7, PER_CPU_PIDS: 8 } as const
export const datapathPolicy: Policy = {
  [attr.NAME]: { string: 15 },
  [attr.UPCALL_PID]: { min: 4 },
  [attr.USER_FEATURES]: { min: 4 },
  [attr.MASKS_CACHE_SIZE]: { min: 4 },
}

const KNOWN_FEATURES = 0xf

/** Family ovs_datapath (net/openvswitch/datapath.c). */
export const datapathCommands: Readonly<Record<number, Command>> = {
  [commands.NEW]: ({ state, attributes, echo }) => {
    const [name, pid] = [attributes.get(attr.NAME), attributes.get(attr.UPCALL_PID)]
    if (name === undefined || pid === undefined) refuse('EINVAL')
    const features = changes(attributes)
    const text = textOf(name)
    if (state.devices.byName(text) !== undefined) refuse('EEXIST')
    const device = state.devices.add(text, { kind: 'openvswitch' })
    const datapath: Datapath = {
      device,
      ports: new Map(),
      flows: new FlowTable(),
      userFeatures: features.userFeatures,
      masksCacheSize: features.masksCacheSize ?? 256,
      hit: 0n,
      missed: 0n,
      lost: 0n,
      perCpuPids: features.perCpuPids,
    }
    const none = () => ({ packets: 0n, bytes: 0n })
    const upcallPids = [u32.take(pid.bytes, pid.start)]
    datapath.ports.set(0, { number: 0, type: 2, device, datapath, upcallPids, rx: none(), tx: none() })
    state.datapaths.set(device.ifindex, datapath)
    echo((type) => writeDatapath(type, 0, commands.NEW, datapath))
  },
  [commands.DEL]: ({ state, attributes, dpIfindex, echo }) => {
    const datapath = find(state, attributes, dpIfindex)
    echo((type) => writeDatapath(type, 0, commands.DEL, datapath))
    removeDatapath(state, datapath)
  },
  [commands.GET]: ({ state, attributes, dpIfindex, reply }) => {
    const datapath = find(state, attributes, dpIfindex)
    reply((type) => writeDatapath(type, 0, commands.GET, datapath))
  },
  [commands.SET]: ({ state, attributes, dpIfindex, echo }) => {
    const datapath = find(state, attributes, dpIfindex)
    const { userFeatures, masksCacheSize, perCpuPids } = changes(attributes)
    // What a SET does not say is switched off (ovs_dp_change()).
    datapath.userFeatures = userFeatures
    datapath.masksCacheSize = masksCacheSize ?? datapath.masksCacheSize
    datapath.perCpuPids = perCpuPids ?? datapath.perCpuPids
    echo((type) => writeDatapath(type, 0, commands.SET, datapath))
  },
}

/** Every datapath there is. */
export function* dumpDatapaths(state: State, type: number): Generator<Uint8Array> {
  for (const datapath of state.datapaths.values()) yield writeDatapath(type, 2, commands.GET, datapath)
}

/** Takes a datapath away, with the devices openvswitch made for it; those it borrowed stay. */
export function removeDatapath(state: State, datapath: Datapath): void {
  state.datapaths.delete(datapath.device.ifindex)
  for (const { type, device } of datapath.ports.values()) if (type === 2) state.devices.remove(device)
}

/** The datapath a header's ifindex names. */
export function datapathOf(state: State, dpIfindex: number): Datapath {
  return state.datapaths.get(dpIfindex) ?? refuse('ENODEV')
}

/** Text with a closing NUL. */
export function textOf({ bytes, start, end }: Span): string {
  return string.read(bytes, start, end)
}

function find(state: State, attributes: ReturnType<typeof parse>, dpIfindex: number): Datapath {
  const name = attributes.get(attr.NAME)
  if (name === undefined) return datapathOf(state, dpIfindex)
  const device = state.devices.byName(textOf(name))
  const port = device && vportOf(state, device.ifindex)
  return port?.number === 0 ? port.datapath : refuse('ENODEV')
}

function changes(attributes: ReturnType<typeof parse>) {
  const features = attributes.get(attr.USER_FEATURES)
  const userFeatures = features === undefined ? 0 : u32.take(features.bytes, features.start)
  if (userFeatures & ~KNOWN_FEATURES) refuse('EOPNOTSUPP')
  const size = attributes.get(attr.MASKS_CACHE_SIZE)
  const masksCacheSize = size === undefined ? undefined : u32.take(size.bytes, size.start)
  // A power of two that fits in a page of every processor (tbl_mask_cache_alloc()).
  if (masksCacheSize && ((masksCacheSize & (masksCacheSize - 1)) !== 0 || masksCacheSize > 4096))
    refuse('EINVAL')
  // Passed over unless the dispatch is by processor (ovs_dp_change()).
  const perCpu = (userFeatures & datapathFeatures.dispatchUpcallPerCpu.bit) !== 0
  const pids = perCpu ? attributes.get(attr.PER_CPU_PIDS) : undefined
  const length = pids === undefined ? 4 : pids.end - pids.start
  if (length === 0 || length % 4 !== 0) refuse('EINVAL')
  return {
    userFeatures,
    masksCacheSize,
    perCpuPids: pids && list(u32).read(pids.bytes, pids.start, pids.end),
  }
}

function writeDatapath(type: number, flags: number, cmd: number, datapath: Datapath): Uint8Array {
  const { device, flows, hit, missed, lost, userFeatures, masksCacheSize, perCpuPids } = datapath
  const perCpu = (userFeatures & datapathFeatures.dispatchUpcallPerCpu.bit) !== 0
  return frame(type, flags, (writer) => {
    ovsHeader.write(writer, { cmd, version: family.version, dpIfindex: device.ifindex })
    family.body.write(writer, {
      name: device.name,
      stats: { hit, missed, lost, flows: BigInt(flows.size) },
      megaflowStats: { maskHit: hit, masks: flows.maskCount, cacheHit: 0n },
      userFeatures,
      masksCacheSize,
      ...(perCpu && perCpuPids !== undefined ? { perCpuPids } : {}),
    })
  })
}
