import type { Backend } from '../../types/backend.js'
import { UfidTable } from '../memory/ufid-table.js'
import { isInterruption, LivingFlow } from './look.js'
import type { PlanContext } from './plan.js'

/**
 * Learns which flows are there already: another process may have put them. Whoever listens is told of those nobody knew of, and with
 * `isFirst` of all; only then the flows are read whole.
 */
export async function adopt(
  { placement, devices, news }: PlanContext,
  backends: readonly Backend[],
  isFirst: boolean,
): Promise<void> {
  const { isWanted } = news
  const told = new UfidTable()
  for (let turn = 1; ; turn++) {
    const problems: unknown[] = []
    for (const backend of backends) {
      try {
        for await (const flows of backend.dump({ terse: !isWanted })) {
          for (const flow of flows) {
            const { id } = flow
            const isNew = isWanted && (isFirst || placement.of(id).length === 0)
            placement.add(id, backend.name, devices.of(flow.inPort))
            if (isNew && told.add(id))
              news.placed(new LivingFlow(flow), {
                ufid: flow.ufid,
                cause: 'adopt',
                backend: backend.name,
                declined: [],
              })
          }
        }
      } catch (error) {
        problems.push(error)
      }
    }
    const interrupted = problems.filter(isInterruption)
    if (interrupted.length < problems.length) throw problems.find((problem) => !isInterruption(problem))
    // Flows that come and go meanwhile are found out about when they are met; what holds still was seen by now.
    if (interrupted.length === 0 || turn === MAX_TURNS) return
  }
}

const MAX_TURNS = 3
