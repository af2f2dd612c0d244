export type { DeviceOptions } from './devices.js'
export type { EswitchOptions } from './eswitch.js'
export {
  type Fault,
  type FaultRule,
  type FaultyMessage,
  SimulatedKernel,
  type SimulatedKernelOptions,
} from './kernel.js'
export type { Receipt } from './receive.js'
