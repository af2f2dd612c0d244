export { ConnectionCounter, type ConnectionTally, formatTally } from './tally.js'
export {
  type FormatConnectionOptions,
  formatConnection,
  formatLimits,
  formatTuple,
  isWholeTuple,
  parseTuple,
} from './text.js'
export { timeoutPolicyName } from './timeout.js'
