import type { Explanation, Failure, Flow, FlowStats, OpResult, Verdict } from '../index.js'

/** One JSON text: a bigint is a number as long as that is exact and a string beyond, bytes are hex digits. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) => {
    if (typeof item === 'bigint') {
      const number = Number(item)
      return Number.isSafeInteger(number) ? number : String(item)
    }
    return item instanceof Uint8Array ? Buffer.from(item).toString('hex') : item
  })
}

/** Counters, with the time since the last use in place of a clock that nobody else reads. */
export function statsJson({ packets, bytes, used, tcpFlags, hardware }: FlowStats, now: number): object {
  const idleMs = used === 0 ? null : Math.max(0, Math.round(now - used))
  return { packets, bytes, idleMs, tcpFlags, ...(hardware === undefined ? {} : { hardware }) }
}

export function flowJson(flow: Flow, now: number): object {
  const { ufid, ufidPresent, backend, offloaded, suspect, key, mask, actions, stats } = flow
  return { ufid, ufidPresent, backend, offloaded, suspect, key, mask, actions, stats: statsJson(stats, now) }
}

/** A failure may be an exception, whose message JSON would leave out. */
export function failureJson({ code, reason, message, errno, backend, kernel, path }: Failure): object {
  return { code, reason, message, errno, backend, kernel, path }
}

export function resultJson({ ufid, backend, error, declined, stats }: OpResult, now: number): object {
  return {
    ufid,
    backend,
    ...(error === undefined ? {} : { error: failureJson(error) }),
    ...(declined === undefined ? {} : { declined: declined.map(failureJson) }),
    ...(stats === undefined ? {} : { stats: statsJson(stats, now) }),
  }
}

export function explanationJson(explanation: Explanation, now: number): object {
  const { ufid, policy, placement, verdicts, others, backend, flow, devices, findings, changes } = explanation
  return {
    ufid,
    policy,
    reason: placement.reason,
    choices: placement.choices.map((choice, index) => ({
      ...choice,
      ...verdictJson(verdicts[index]),
    })),
    others: others.map((verdict) => ({ backend: verdict.backend, ...verdictJson(verdict) })),
    backend: backend ?? null,
    flow: flow === undefined ? null : flowJson(flow, now),
    ...{ devices, findings, changes },
  }
}

function verdictJson(
  { objections, softwareOnly, refusal, filter }: Omit<Verdict, 'backend'> = { objections: [] },
): object {
  return {
    objections: objections.map(failureJson),
    ...(softwareOnly === undefined ? {} : { softwareOnly: failureJson(softwareOnly) }),
    ...(refusal === undefined ? {} : { refusal: failureJson(refusal) }),
    ...(filter === undefined ? {} : { filter }),
  }
}

// The shapes as help prints them.
export const shapes = {
  stats: '{ packets, bytes, idleMs (null: never used), tcpFlags, hardware?: { packets, bytes } }',
  failure: '{ code, reason?, message, errno?, backend?, kernel?, path? }',
  result: '{ ufid, backend?, error?: FAILURE, declined?: [FAILURE, …], stats?: STATS }',
  flow: '{ ufid, ufidPresent, backend: "ovs"|"tc", offloaded, suspect, key, mask, actions, stats: STATS }',
} as const
