import type { Backend, DumpedFlow } from '../../types/backend.js'
import type { Found, Language, Leftovers } from '../../types/dpif.js'
import type { FlowId } from '../../types/flow.js'
import type { BackendName } from '../../types/op.js'
import type { Port } from '../../types/port.js'
import { DpifError } from '../errors.js'
import { UfidTable } from '../memory/ufid-table.js'
import type { PlacementMap } from './placement.js'
import { Shadows } from './shadows.js'

/** What an {@link Audit} works with. */
export interface AuditParts {
  /** In the order in which packets meet them. */
  readonly backends: readonly Backend[]
  readonly language: Pick<Language, 'bits' | 'idOf'>
  readonly leftovers: Leftovers
  readonly placement: PlacementMap
  /** Where the policy wants a flow that is in these backends. */
  readonly wanted: (flow: DumpedFlow, homes: readonly BackendName[]) => BackendName
}

/** Looks for what is not as it should be, and knows what takes it away. */
export class Audit {
  readonly #parts: AuditParts

  constructor(parts: AuditParts) {
    this.#parts = parts
  }

  /** Errors of a dump come after all that could be read. */
  async *find(ports: readonly Port[]): AsyncGenerator<Found> {
    const problems: unknown[] = []
    const seen = new UfidTable()
    const shadows = new Shadows()
    for (const [turn, backend] of this.#parts.backends.entries()) {
      try {
        for await (const flows of backend.dump({ terse: false })) {
          for (const flow of flows) flow.detach()
          for (const flow of flows) yield* this.#judge(flow, turn, seen, shadows)
        }
      } catch (error) {
        problems.push(error)
      }
    }
    if (shadows.isUnfinished) yield unfinished
    yield* this.#parts.leftovers.find(ports)
    if (problems.length > 0) throw problems[0]
  }

  *#judge(flow: DumpedFlow, turn: number, seen: UfidTable, shadows: Shadows): Generator<Found> {
    const { backends, language } = this.#parts
    const { ufid } = flow
    if (flow.suspect) {
      const message = `flow ${ufid} is said to be in hardware, and software sees packets of it: the device may have lost it; put it again`
      yield { finding: { kind: 'SUSPECT', message, ufid, sweepable: false } }
    }
    if (turn === 0) {
      seen.add(flow.id)
      shadows.add(ufid, language.bits(flow))
      return
    }
    const first = (backends[0] as Backend).name
    if (seen.has(flow.id)) yield* this.#duplicate(flow, first)
    const other = shadows.find(ufid, language.bits(flow))
    if (other === undefined) return
    const message = `flow ${other} in ${first} takes packets from flow ${ufid} in ${flow.backend}: no two flows should match the same packet; delete one of them`
    yield { finding: { kind: 'SHADOW', message, ufid: other, sweepable: false } }
  }

  /** A copy that a crash has left in the middle of a move; or a move that is under way, and over when we look again. */
  *#duplicate(flow: DumpedFlow, first: BackendName): Generator<Found> {
    const { ufid } = flow
    const homes = [first, flow.backend]
    const stays = this.#parts.wanted(flow, homes)
    const goes = stays === first ? flow.backend : first
    const message = `flow ${ufid} is in ${homes.join(' and in ')}; the policy wants it in ${stays}, the copy in ${goes} can go`
    const id = this.#parts.language.idOf(ufid)
    yield {
      finding: { kind: 'DUPLICATE', message, ufid, sweepable: true },
      sweep: () => this.#dropCopy(id, stays, goes),
    }
  }

  /** The copy that stays goes on from what both have counted. */
  async #dropCopy(id: FlowId, stays: BackendName, goes: BackendName): Promise<boolean> {
    const { backends, placement } = this.#parts
    const byName = (name: BackendName) => backends.find((backend) => backend.name === name) as Backend
    const [kept] = await byName(stays).operate([{ verb: 'get', id }])
    if (kept?.flow === undefined) return false
    const [gone] = await byName(goes).operate([{ verb: 'del', id, wantStats: true }])
    if (gone?.error?.code === 'NOT_FOUND') return false
    if (gone?.error !== undefined) throw DpifError.from(gone.error)
    placement.add(id, stays)
    placement.remove(id, goes)
    if (gone?.stats !== undefined) placement.carry(id, gone.stats)
    return true
  }
}

const unfinished: Found = {
  finding: {
    kind: 'UNFINISHED',
    message:
      'there are too many flows to compare all of them with one another: some shadows may not be told of',
    sweepable: false,
  },
}
