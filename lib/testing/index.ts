export * from './scripted-transport.js'
export * from './simulated-kernel/index.js'
