import type { NetDevice } from '../../index.js'
import { toJson } from '../json.js'
import type { Verb } from '../verb.js'

export const devices: Verb = {
  name: 'devices',
  usage: '',
  summary: 'print the devices that are ports of an e-switch',
  details: '--json prints all devices of the host.',
  options: ['json'],
  takes: [0, 0],
  writes: false,
  json: `[{ name, ifindex, kind: "uplink"|"pf"|"vf"|"sf"|"tunnel"|"unknown"|"other", switchId?, portName?, portId?, devlink?,
  portIndex?, controller?, pf?, vf?, sf?, external?, hwTcOffload?: "on"|"off"|"fixed"|"absent" }, …]`,
  run: async ({ kernel, out, options }) => {
    const found = await kernel.devices()
    if (options.json) return out.line(toJson(found))
    for (const device of found) if (device.switchId !== undefined) await out.line(lineOf(device))
  },
}

function lineOf({ name, kind, portName, switchId, devlink, hwTcOffload }: NetDevice): string {
  const port = portName === undefined ? kind : `${kind} ${portName}`
  const where = devlink === undefined ? `switch ${switchId}` : `switch ${switchId} (${devlink})`
  return `${name}: ${port}, ${where}, hw-tc-offload ${hwTcOffload ?? '?'}`
}
