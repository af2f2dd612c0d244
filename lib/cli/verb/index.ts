import type { Verb } from '../verb.js'
import { addDp } from './add-dp.js'
import { addFlow } from './add-flow.js'
import { addFlows } from './add-flows.js'
import { addIf } from './add-if.js'
import { audit } from './audit.js'
import { ctDelLimits, ctGetLimits, ctSetLimits } from './ct-limits.js'
import { ctBkts } from './ct-bkts.js'
import { ctStatsShow } from './ct-stats-show.js'
import { cacheGetSize } from './cache-get-size.js'
import { cacheSetSize } from './cache-set-size.js'
import { completion } from './completion.js'
import { delDp } from './del-dp.js'
import { delFlow } from './del-flow.js'
import { delFlows } from './del-flows.js'
import { delIf } from './del-if.js'
import { devices } from './devices.js'
import { dumpConntrack } from './dump-conntrack.js'
import { dumpDps } from './dump-dps.js'
import { dumpFlows } from './dump-flows.js'
import { eswitch } from './eswitch.js'
import { explain } from './explain.js'
import { flushConntrack } from './flush-conntrack.js'
import { getFlow } from './get-flow.js'
import { help } from './help.js'
import { addMeter, delMeter, dumpMeters, meterFeatures, modMeter } from './meters.js'
import { modFlow } from './mod-flow.js'
import { modFlows } from './mod-flows.js'
import { monitorPorts } from './monitor-ports.js'
import { features } from './features.js'
import { listCommands } from './list-commands.js'
import { normalizeActions } from './normalize-actions.js'
import { parseActionsVerb } from './parse-actions.js'
import { parseFlow } from './parse-flow.js'
import { policyVerb } from './policy.js'
import { preflightVerb } from './preflight.js'
import { setIf } from './set-if.js'
import { show } from './show.js'
import { upcalls } from './upcalls.js'
import { userspaceOnly } from './userspace-only.js'
import { sweep } from './sweep.js'
import { trace } from './trace.js'

/** Everything the command line can do, in the order help prints it. */
export const verbs: readonly Verb[] = [
  addDp,
  delDp,
  dumpDps,
  addIf,
  delIf,
  setIf,
  monitorPorts,
  show,
  addFlow,
  modFlow,
  getFlow,
  delFlow,
  addFlows,
  modFlows,
  delFlows,
  dumpFlows,
  dumpConntrack,
  flushConntrack,
  ctStatsShow,
  ctBkts,
  ctSetLimits,
  ctDelLimits,
  ctGetLimits,
  addMeter,
  modMeter,
  delMeter,
  dumpMeters,
  meterFeatures,
  cacheGetSize,
  cacheSetSize,
  upcalls,
  explain,
  trace,
  audit,
  sweep,
  parseFlow,
  parseActionsVerb,
  normalizeActions,
  features,
  devices,
  eswitch,
  preflightVerb,
  policyVerb,
  ...userspaceOnly,
  completion,
  listCommands,
  help,
]
