export {
  type ConformanceCase,
  type ConformanceKernel,
  type ConformanceSetup,
  conformance,
} from './conformance.js'
export * from './scripted-transport.js'
export * from './simulated-kernel/index.js'
