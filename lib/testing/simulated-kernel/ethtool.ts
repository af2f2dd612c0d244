import {
  type EthtoolBit,
  type EthtoolFeatures,
  ethtool,
  ethtoolBitset,
  ethtoolHeader,
  HW_TC_OFFLOAD,
} from '../../device/ethtool.js'
import type { Span } from './attributes.js'
import type { Device } from './devices.js'
import { refuse } from './errors.js'
import type { Command } from './generic.js'
import { frame } from './request.js'
import type { State } from './state.js'

/** The features there are, with the numbers of Linux 6.1; one of them can be switched, and only where the driver has it. */
const others: readonly EthtoolBit[] = [
  { index: 11, name: 'tx-generic-segmentation' },
  { index: 14, name: 'rx-gro' },
]
const feature = { index: 49, name: HW_TC_OFFLOAD }
const SIZE = 64

/** Family ethtool, as far as features go (net/ethtool/features.c). */
export const ethtoolCommands: Readonly<Record<number, Command>> = {
  [ethtool.commands.FEATURES_GET as number]: ({ state, attributes, reply }) => {
    const device = find(state, attributes)
    reply((type) => writeFeatures(type, 0, device))
  },
  [ethtool.commands.FEATURES_SET as number]: ({ state, attributes, reply }) => {
    const device = find(state, attributes)
    const span = attributes.get(ethtool.body.ids.wanted) ?? refuse('EINVAL')
    const { bits = [] } = ethtoolBitset.read(span.bytes, span.start, span.end)
    if (bits.some(({ name }) => name !== HW_TC_OFFLOAD && !others.some((other) => other.name === name)))
      refuse('EOPNOTSUPP', 'bit name not found')
    const wanted = bits.find(({ name }) => name === HW_TC_OFFLOAD)
    const before = isOn(device)
    if (wanted !== undefined) change(device, wanted.value === true)
    // What was asked for and did not come about; what changed.
    const differs = wanted !== undefined && (wanted.value === true) !== isOn(device)
    const list = (there: boolean, on: boolean): EthtoolBit[] =>
      there ? [{ ...feature, ...(on ? { value: true as const } : {}) }] : []
    reply((type) =>
      write(type, 0, ethtool.commands.FEATURES_SET as number, device, {
        wanted: { size: SIZE, bits: list(differs, wanted?.value === true) },
        active: { size: SIZE, bits: list(before !== isOn(device), isOn(device)) },
      }),
    )
  },
}

export function* dumpFeatures(
  state: State,
  type: number,
  _: number,
  attributes: ReadonlyMap<number, Span>,
): Generator<Uint8Array> {
  if (!attributes.has(ethtool.body.ids.header)) refuse('EINVAL', 'request header missing')
  for (const device of state.devices.all()) yield writeFeatures(type, 2, device)
}

const isOn = ({ hwTcOffload }: Device) => hwTcOffload === 'on' || hwTcOffload === 'fixed'

/** A driver keeps what it cannot switch, and does not let go while it holds rules; it is not asked for what is wanted already. */
function change(device: Device, on: boolean): void {
  if (device.hwTcOffload === 'fixed' || device.hwTcOffload === 'absent' || device.wantsOffload === on) return
  device.wantsOffload = on
  if (on || device.rules === 0) device.hwTcOffload = on ? 'on' : 'off'
}

function find({ devices }: State, attributes: ReadonlyMap<number, Span>): Device {
  const span = attributes.get(ethtool.body.ids.header) ?? refuse('EINVAL', 'request header missing')
  const { ifindex, name } = ethtoolHeader.read(span.bytes, span.start, span.end)
  if (ifindex !== undefined) return devices.byIndex(ifindex) ?? refuse('ENODEV', 'no device matches ifindex')
  if (name === undefined) return refuse('EINVAL', 'neither ifindex nor name specified')
  return devices.byName(name) ?? refuse('ENODEV', 'no device matches name')
}

function writeFeatures(type: number, flags: number, device: Device): Uint8Array {
  const canSwitch = device.hwTcOffload === 'on' || device.hwTcOffload === 'off'
  const all = [...others, { ...feature, ...(canSwitch ? { value: true as const } : {}) }]
  const on = isOn(device) ? [feature] : []
  return write(type, flags, ethtool.commands.FEATURES_GET as number, device, {
    hw: { size: SIZE, bits: all },
    wanted: { noMask: true, size: SIZE, bits: [...others, ...on] },
    active: { noMask: true, size: SIZE, bits: [...others, ...on] },
  })
}

function write(type: number, flags: number, cmd: number, device: Device, body: EthtoolFeatures): Uint8Array {
  const { ifindex, name } = device
  return frame(type, flags, (writer) => {
    ethtool.header.write(writer, { cmd, version: ethtool.version })
    ethtool.body.write(writer, { header: { ifindex, name }, ...body })
  })
}
