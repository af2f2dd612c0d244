import type { BackendName } from '../../../types/op.js'
import type { Skip } from '../../../types/policy.js'
import type { Rule, RuleAnswer, RulesDocument, RuleTenant } from '../../../types/rules.js'
import { Labels, type PortName } from '../labels.js'
import { isSwitchId, match, portName, type Test } from './match.js'
import type { Reader } from './reader.js'
import {
  constant,
  type Fields,
  integer,
  listOf,
  mapOf,
  mapped,
  object,
  oneOf,
  oneOrMore,
  type Schema,
  type Shape,
  text,
  word,
} from './shape.js'

/** Where flows go, as it was read. */
export interface Answer {
  readonly backend: readonly BackendName[]
  readonly skip?: Skip
  readonly limit?: number
  readonly reason?: string
}

export interface ReadRule extends Answer {
  readonly name?: string
  readonly match?: readonly Test[]
  readonly line?: number
}

interface ReadTenant {
  readonly ports: readonly PortName[]
  readonly limit?: number
}

interface TopParts {
  readonly version: 1
  readonly name?: string
  readonly devices?: true
  readonly tenants?: true
  readonly rules?: readonly ReadRule[]
  readonly default?: ReadRule
}

/** A document that was read. */
export interface ReadDocument {
  readonly name?: string
  readonly rules: readonly ReadRule[]
  readonly default?: ReadRule
  /** Which port is whose. */
  readonly labels: Labels
  /** By number. */
  readonly tenants: readonly { readonly name: string; readonly limit?: number }[]
}

const answerFields: Fields<Answer, RuleAnswer> = {
  backend: {
    doc: 'Where flows go, in the order in which backends are asked.',
    shape: oneOrMore(oneOf(['ovs', 'tc'])),
    required: true,
  },
  skip: { doc: 'In TC: keeps flows out of software (sw) or hardware (hw).', shape: oneOf(['sw', 'hw']) },
  limit: {
    doc: 'So many flows of this rule may be in TC; the others wait in openvswitch.',
    shape: integer(0, 0xffffffff),
  },
  reason: { doc: 'Why, in a few words, for explain.', shape: text },
}

const ruleFields: Fields<Omit<ReadRule, 'line'>, Rule> = {
  name: { doc: 'What the rule is called where it is told of.', shape: text },
  match: { doc: 'What it is about; all of it has to be so. Every flow when left out.', shape: match },
  ...answerFields,
}

const tenantFields: Fields<ReadTenant, RuleTenant> = {
  ports: { doc: 'By number or name. A port has one tenant.', shape: oneOrMore(portName), required: true },
  limit: {
    doc: 'So many of its flows may be in TC, whatever rules say; the others wait in openvswitch.',
    shape: integer(0, 0xffffffff),
  },
}

/** What is said must make sense, and it is known where it stands. */
function sensible<T extends Answer, In>(shape: Shape<T, In>): Shape<T & { readonly line?: number }, In> {
  return mapped(shape, (answer, node, reader, path) => {
    const { backend, skip, limit } = answer
    const about = skip !== undefined ? 'skip' : limit !== undefined ? 'limit' : undefined
    if (new Set(backend).size < backend.length) {
      reader.report(node, `${path}.backend`, 'each backend is named once')
      return undefined
    }
    if (about !== undefined && !backend.includes('tc')) {
      reader.report(node, `${path}.${about}`, `'${about}' is about TC, which backend does not name`)
      return undefined
    }
    const line = reader.lineOf(node)
    return line === undefined ? answer : { ...answer, line }
  })
}

const rule = sensible(object<Omit<ReadRule, 'line'>, Rule>(ruleFields))
const rest: Shape<ReadRule, RuleAnswer> = sensible(object<Answer, RuleAnswer>(answerFields))

const rules = mapped(listOf(rule), (all, node, reader, path) => {
  const everything = all.findIndex((one) => (one.match ?? []).length === 0)
  if (everything < 0 || everything === all.length - 1) return all
  reader.report(
    node,
    `${path}[${everything + 1}]`,
    `no flow gets here: ${path}[${everything}] matches every one`,
  )
  return undefined
})

/** Reads documents; one object for each. */
function top(tenants: { name: string; limit?: number }[], labels: Labels): Shape<TopParts, RulesDocument> {
  const fields: Fields<TopParts, RulesDocument> = {
    version: { doc: 'Of this form of document: 1.', shape: constant(1), required: true },
    name: { doc: 'What the policy is called where it is told of; rules when left out.', shape: text },
    devices: {
      doc: 'Names for e-switches: switch ids in hex digits, or what devlink calls them.',
      shape: mapOf(
        word(
          'a switch id in hex digits, or the name of an e-switch like pci/0000:08:00.0',
          { minLength: 1 },
          (id) => (isSwitchId(id) || id.includes('/') ? id : undefined),
        ),
        (name, id, _node, reader) => {
          reader.devices.set(name, id)
        },
      ),
    },
    tenants: {
      doc: 'Labels of ports.',
      shape: mapOf(
        object<ReadTenant, RuleTenant>(tenantFields),
        (name, { ports, limit }, key, reader, path) => {
          const number = tenants.length
          tenants.push(limit === undefined ? { name } : { name, limit })
          reader.tenants.set(name, number)
          for (const port of ports) {
            const other = labels.set(port, number)
            if (other !== undefined && other !== number)
              reader.report(
                key,
                `${path}.ports`,
                `port ${port} is of tenant '${tenants[other]?.name}' already; it has one`,
              )
          }
        },
      ),
    },
    rules: { doc: 'The first that fits decides.', shape: rules },
    default: { doc: 'For flows no rule fits; TC, then openvswitch when left out.', shape: rest },
  }
  return object<TopParts, RulesDocument>(fields)
}

/** The document, or nothing when the reader has problems. */
export function readDocument(reader: Reader): ReadDocument | undefined {
  const tenants: { name: string; limit?: number }[] = []
  const labels = new Labels()
  if (reader.root === undefined) return undefined
  const parts = top(tenants, labels).read(reader.root, reader, '')
  if (parts === undefined || !reader.good) return undefined
  const { name, rules: list = [], default: last } = parts
  return {
    rules: list,
    labels,
    tenants,
    ...(name === undefined ? {} : { name }),
    ...(last === undefined ? {} : { default: last }),
  }
}

/** The JSON Schema of documents. */
export function schemaOfDocuments(): Schema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'A policy of dpif-hw-acc',
    description: 'Where the flows of an Open vSwitch datapath go, as rules().',
    ...top([], new Labels()).schema,
  }
}
