import type { Choice, Facts, Placement, Policy, PolicyPut } from '../../types/policy.js'
import type { RuleMatch, RulesDocument, RulesPolicy, RulesProblem, RuleSummary } from '../../types/rules.js'
import { DpifError } from '../errors.js'
import { Labels } from './labels.js'
import { Ledger } from './ledger.js'
import { type ReadDocument, type ReadRule, readDocument, schemaOfDocuments } from './rules/document.js'
import { match as matchShape, type Test } from './rules/match.js'
import { Question } from './rules/question.js'
import { Reader } from './rules/reader.js'
import type { Condition } from './when.js'

export interface RulesOptions {
  /** Switch ids by the names of e-switches, as `eswitches()` tells them. */
  readonly devices?: Readonly<Record<string, string>>
}

/** A document that cannot be made a policy of. Its message has the first problem, `problems` all of them, as they stand. */
export class RulesError extends DpifError {
  readonly problems: readonly RulesProblem[]

  constructor(found: readonly RulesProblem[]) {
    const problems = [...found].sort(
      (a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0),
    )
    const [first, ...more] = problems.map(formatProblem)
    const others = more.length === 0 ? '' : `, and ${more.length} more`
    super('SYNTAX', `the policy cannot be read: ${first}${others}`, { path: problems[0]?.path ?? '' })
    this.problems = problems
  }
}
Object.defineProperty(RulesError.prototype, 'name', {
  value: 'RulesError',
  configurable: true,
  writable: true,
})

/** `3:5: rules[0].match.port: a whole number …`. */
export function formatProblem({ line, column, path, message }: RulesProblem): string {
  const place = line === undefined ? '' : `${line}:${column}: `
  return `${place}${path === '' ? '' : `${path}: `}${message}`
}

/**
 * A policy out of a document in YAML or JSON, or an object of that form: the first rule that fits decides. A rule fits when its match
 * does for every packet of the flow, unless it says `packets: some`. Flows beyond the limit of their rule or tenant wait in
 * openvswitch for room. Limits count flows this policy has decided about: after `setPolicy`, those that live when `replace` has
 * asked about them.
 *
 * Throws a {@link RulesError} that names every problem with line, column and field.
 *
 * ```ts
 * rules(`
 *   version: 1
 *   rules:
 *     - match: { protocol: tcp, destinationPort: 80 }
 *       backend: ovs
 *       reason: is inspected
 *   default: { backend: [tc, ovs], limit: 10000 }
 * `)
 * ```
 */
export function rules(source: string | RulesDocument, { devices = {} }: RulesOptions = {}): RulesPolicy {
  const reader = new Reader(source, devices)
  const document = readDocument(reader)
  if (document === undefined) throw new RulesError(reader.problems)
  return new Rules(document, [...reader.unresolved])
}

/**
 * A condition for {@link when}, as rules have them.
 *
 * ```ts
 * when(match({ protocol: 'udp', destinationPort: 53 }), kernelOnly(), preferTc())
 * ```
 */
export function match(source: string | RuleMatch): Condition {
  const reader = new Reader(source, {})
  const tests = reader.root === undefined ? undefined : matchShape.read(reader.root, reader, '')
  if (tests === undefined || !reader.good) throw new RulesError(reader.problems)
  const question = new Question(new Labels())
  const fits = everyOf(tests)
  return (put, facts) => fits(question.about(put, facts))
}

/** The JSON Schema of what {@link rules} reads. */
export function rulesSchema(): object {
  return schemaOfDocuments()
}

/** A rule, ready to be asked. */
interface Ready {
  readonly fits: Test
  readonly open: Placement
  /** When the limit is reached. */
  readonly full: Placement
  readonly limit: number | undefined
}

const everything: ReadRule = { backend: ['tc', 'ovs'] }

class Rules implements RulesPolicy {
  readonly name: string
  readonly rules: readonly RuleSummary[]
  readonly unresolved: readonly string[]
  readonly placed?: NonNullable<Policy['placed']>
  readonly removed?: NonNullable<Policy['removed']>
  readonly #ready: readonly Ready[]
  readonly #question: Question
  readonly #tenantLimits: readonly (number | undefined)[]
  readonly #tenantFull: readonly Placement[]
  /** Flows in TC by rule, of those that have a limit; and by tenant. */
  readonly #ofRules = new Ledger()
  readonly #ofTenants = new Ledger()
  readonly #summaries = new Map<Placement, RuleSummary>()

  constructor(
    { name = 'rules', rules: list, default: last = everything, labels, tenants }: ReadDocument,
    unresolved: readonly string[],
  ) {
    this.name = name
    this.unresolved = unresolved
    this.#question = new Question(labels)
    const all = [
      ...list.map((rule, index) => titled(rule, `rule ${rule.name ?? index + 1}`)),
      titled(last, 'default'),
    ]
    this.#ready = all.map(({ ready }) => ready)
    this.rules = all.map(({ summary }) => summary)
    for (const { ready, summary } of all) {
      this.#summaries.set(ready.open, summary).set(ready.full, summary)
    }
    this.#tenantLimits = tenants.map(({ limit }) => limit)
    this.#tenantFull = tenants.map((tenant) => fullOf(`tenant ${tenant.name}`, tenant.limit))
    const countsTenants = this.#tenantLimits.some((limit) => limit !== undefined)
    if (!countsTenants && this.#ready.every(({ limit }) => limit === undefined)) return
    this.placed = (put, outcome, facts) => {
      this.#ofRules.settle(outcome, () => this.#accountOf(put, facts))
      if (countsTenants) this.#ofTenants.settle(outcome, () => labels.ofFlow(put, facts))
    }
    this.removed = (ufid) => {
      this.#ofRules.remove(ufid)
      this.#ofTenants.remove(ufid)
    }
  }

  place(put: PolicyPut, facts: Facts): Placement {
    const question = this.#question.about(put, facts)
    const index = this.#find(question)
    const ready = this.#ready[index] as Ready
    const { open } = ready
    const { tenant } = question
    question.done()
    const most = tenant === undefined ? undefined : this.#tenantLimits[tenant]
    if (ready.limit === undefined && most === undefined) return open
    if (!open.choices.some(({ backend }) => backend === 'tc')) return open
    const { ufid, mode } = put
    const applicant = { ufid, inTc: mode !== 'create' && facts.location(ufid) === 'tc' }
    const now = facts.now()
    if (ready.limit !== undefined && !this.#ofRules.admit(applicant, index, ready.limit, now)) {
      return ready.full
    }
    if (most === undefined || this.#ofTenants.admit(applicant, tenant as number, most, now)) return open
    this.#ofRules.remove(ufid)
    return this.#tenantFull[tenant as number] as Placement
  }

  ruleOf(placement: Placement): RuleSummary | undefined {
    return this.#summaries.get(placement)
  }

  /** The position of the rule that decides. */
  #find(question: Question): number {
    const ready = this.#ready
    const last = ready.length - 1
    for (let index = 0; index < last; index++) if ((ready[index] as Ready).fits(question)) return index
    return last
  }

  #accountOf(put: PolicyPut, facts: Facts): number | undefined {
    const index = this.#find(this.#question.about(put, facts))
    this.#question.done()
    return this.#ready[index]?.limit === undefined ? undefined : index
  }
}

function titled(rule: ReadRule, name: string): { readonly ready: Ready; readonly summary: RuleSummary } {
  const { backend, skip, limit, reason, match: tests = [], line } = rule
  const choices = backend.map(
    (each): Choice => (each === 'tc' && skip !== undefined ? { backend: each, skip } : { backend: each }),
  )
  const open: Placement = { choices, reason: reason === undefined ? name : `${name}: ${reason}` }
  return {
    ready: { fits: everyOf(tests), open, full: fullOf(name, limit), limit },
    summary: { name, placement: open, ...(line === undefined ? {} : { line }) },
  }
}

function fullOf(name: string, limit: number | undefined): Placement {
  const reason = `${name}: its ${limit} flows in TC are there`
  // Nothing waits where there is never room.
  return limit === 0
    ? { choices: [{ backend: 'ovs' }], reason: `${name}: none of its flows may be in TC` }
    : { choices: [{ backend: 'ovs' }], reason, waitsFor: 'tc' }
}

/** One test out of several; those for the usual numbers spare the loop. */
function everyOf(tests: readonly Test[]): Test {
  const [a, b, c] = tests
  if (a === undefined) return () => true
  if (b === undefined) return a
  if (c === undefined) return (q) => a(q) && b(q)
  if (tests.length === 3) return (q) => a(q) && b(q) && c(q)
  return (q) => {
    for (let index = 0; index < tests.length; index++) if (!(tests[index] as Test)(q)) return false
    return true
  }
}
