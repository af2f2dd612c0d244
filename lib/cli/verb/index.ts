import type { Verb } from '../verb.js'
import { addDp } from './add-dp.js'
import { addFlow } from './add-flow.js'
import { addFlows } from './add-flows.js'
import { addIf } from './add-if.js'
import { cacheGetSize } from './cache-get-size.js'
import { cacheSetSize } from './cache-set-size.js'
import { completion } from './completion.js'
import { delDp } from './del-dp.js'
import { delFlow } from './del-flow.js'
import { delFlows } from './del-flows.js'
import { delIf } from './del-if.js'
import { devices } from './devices.js'
import { dumpDps } from './dump-dps.js'
import { dumpFlows } from './dump-flows.js'
import { eswitch } from './eswitch.js'
import { explain } from './explain.js'
import { features } from './features.js'
import { getFlow } from './get-flow.js'
import { help } from './help.js'
import { listCommands } from './list-commands.js'
import { modFlow } from './mod-flow.js'
import { modFlows } from './mod-flows.js'
import { normalizeActions } from './normalize-actions.js'
import { parseActionsVerb } from './parse-actions.js'
import { parseFlow } from './parse-flow.js'
import { preflightVerb } from './preflight.js'
import { show } from './show.js'
import { upcalls } from './upcalls.js'
import { userspaceOnly } from './userspace-only.js'

/** Everything the command line can do, in the order help prints it. */
export const verbs: readonly Verb[] = [
  addDp,
  delDp,
  dumpDps,
  addIf,
  delIf,
  show,
  addFlow,
  modFlow,
  getFlow,
  delFlow,
  addFlows,
  modFlows,
  delFlows,
  dumpFlows,
  cacheGetSize,
  cacheSetSize,
  upcalls,
  explain,
  parseFlow,
  parseActionsVerb,
  normalizeActions,
  features,
  devices,
  eswitch,
  preflightVerb,
  ...userspaceOnly,
  completion,
  listCommands,
  help,
]
