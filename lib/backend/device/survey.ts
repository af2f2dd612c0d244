import type { Transport } from '../../../types/transport.js'
import { foreignFilters, ingressQdiscs } from './hook.js'
import type { Inventory } from './inventory.js'
import { type TcModules, tcModules } from './modules.js'
import type { PreflightFacts } from './preflight.js'

/**
 * Finds out what {@link judge} looks at. Nothing stays changed; `lo` may have an ingress qdisc for a moment, unless `modules` are given,
 * which are then not asked for.
 */
export async function survey(
  transport: Transport,
  inventory: Inventory,
  names: readonly string[],
  given?: TcModules,
): Promise<PreflightFacts> {
  const [{ devices, eswitches }, qdiscs] = await Promise.all([inventory.all(), ingressQdiscs(transport)])
  const modules = given ?? (await tcModules(transport))
  const ports = names.map(async (name) => {
    const device = devices.find((known) => known.name === name)
    if (device === undefined) return { name }
    const qdisc = qdiscs.get(device.ifindex)
    const foreign = qdisc === undefined ? [] : await foreignFilters(transport, device.ifindex)
    return { name, device, hook: { ...(qdisc === undefined ? {} : { qdisc }), foreign } }
  })
  return { ports: await Promise.all(ports), eswitches, modules }
}
