export type * from '../types/index.js'
export { DpifError, errorCodes } from './errors.js'
export {
  ConnectionCounter,
  type ConnectionTally,
  type FormatConnectionOptions,
  formatConnection,
  formatLimits,
  formatTally,
  formatTuple,
  isWholeTuple,
  parseTuple,
  timeoutPolicyName,
} from './netfilter/index.js'
export {
  changeDatapath,
  createDatapath,
  deleteDatapath,
  eswitches,
  type KernelOptions,
  kernelFeatures,
  listDatapaths,
  listDevices,
  openConntrack,
  type OpenOptions,
  openDpif,
  preflight,
  setEswitchMode,
  setHwTcOffload,
} from './open.js'
export { type FlowFileEntry, type FlowFileError, type FlowVerb, parseFlowFile } from './ovs/flow-file.js'
export {
  type FlowLineOptions,
  formatFlow,
  formatStats,
  type ParsedFlow,
  parseFlowLine,
} from './ovs/flow-line.js'
export {
  encodeGeneveMask,
  encodeGeneveOptions,
  type GeneveOption,
  type GeneveOptionMask,
  geneveOptions,
} from './ovs/geneve.js'
export {
  type FormatOptions,
  formatActions,
  formatKey,
  formatUfid,
  type ParsedKey,
  type ParseOptions,
  parseActions,
  parseKey,
  parseUfid,
} from './ovs/text.js'
export * from './policy/index.js'
export { NativeTransport } from './transport/native.js'
