import type { Transport } from '../../../types/transport.js'
import { foreignFilters, ingressQdiscs } from './hook.js'
import type { Inventory } from './inventory.js'
import { tcModules } from './modules.js'
import type { PreflightFacts } from './preflight.js'

/** Finds out what {@link judge} looks at. Nothing stays changed; `lo` may have an ingress qdisc for a moment. */
export async function survey(
  transport: Transport,
  inventory: Inventory,
  names: readonly string[],
): Promise<PreflightFacts> {
  const [{ devices, eswitches }, qdiscs] = await Promise.all([inventory.all(), ingressQdiscs(transport)])
  const modules = await tcModules(transport)
  const ports = names.map(async (name) => {
    const device = devices.find((known) => known.name === name)
    if (device === undefined) return { name }
    const qdisc = qdiscs.get(device.ifindex)
    const foreign = qdisc === undefined ? [] : await foreignFilters(transport, device.ifindex)
    return { name, device, hook: { ...(qdisc === undefined ? {} : { qdisc }), foreign } }
  })
  return { ports: await Promise.all(ports), eswitches, modules }
}
