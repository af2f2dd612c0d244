import type { Policy } from '../../types/policy.js'
import type { ActionKind } from '../../types/rules.js'
import { abstain } from './abstain.js'
import { allOf } from './all-of.js'
import { byPort } from './by-port.js'
import { type CapacityOptions, capacity } from './capacity.js'
import { complexKinds, type DenyComplexOptions, denyComplex } from './deny-complex.js'
import { type ElephantsOptions, elephants } from './elephants.js'
import { firstOf } from './first-of.js'
import { kernelOnly } from './kernel-only.js'
import { preferTc } from './prefer-tc.js'
import { formatProblem, match, RulesError, type RulesOptions, rules, rulesSchema } from './rules.js'
import { type SameSwitchOptions, sameSwitch } from './same-switch.js'
import { tcOnly } from './tc-only.js'
import { type Tenant, type TenantsOptions, tenants } from './tenants.js'
import { type Condition, when } from './when.js'

export {
  abstain,
  allOf,
  byPort,
  type CapacityOptions,
  type Condition,
  capacity,
  complexKinds,
  type DenyComplexOptions,
  denyComplex,
  type ElephantsOptions,
  elephants,
  firstOf,
  formatProblem,
  kernelOnly,
  match,
  preferTc,
  RulesError,
  type RulesOptions,
  rules,
  rulesSchema,
  type SameSwitchOptions,
  sameSwitch,
  type Tenant,
  type TenantsOptions,
  tcOnly,
  tenants,
  when,
}

/** A policy the command line knows. */
export interface NamedPolicy {
  readonly usage: string
  /** One that can be made, for those that need an argument. */
  readonly example?: string
  /** Whether it takes the whole text behind its colon, pluses as well. */
  readonly takesAll?: true
  /** Of what follows the colon, and of the policy behind the plus, if there is one. Throws a TypeError or a RangeError. */
  make(argument: string, inner?: Policy): Policy
}

/**
 * Policies by the names the command line knows, with what may follow a colon. Those that ask another one take it behind a plus:
 * `deny-complex+same-switch+capacity:1000+tc-only:skip_sw`.
 */
export const policies: Readonly<Record<string, NamedPolicy>> = {
  'prefer-tc': { usage: 'prefer-tc[:skip_sw|skip_hw]', make: (argument) => preferTc(skipOf(argument)) },
  'kernel-only': { usage: 'kernel-only', make: () => kernelOnly() },
  'tc-only': { usage: 'tc-only[:skip_sw|skip_hw]', make: (argument) => tcOnly(skipOf(argument)) },
  'by-port': { usage: 'by-port:PORT=POLICY[,PORT=POLICY]...', takesAll: true, make: portsOf },
  'same-switch': {
    usage: 'same-switch[:no-tunnels][+POLICY]',
    make: (argument, inner) => sameSwitch(tunnelsOf(argument), inner),
  },
  'deny-complex': {
    usage: 'deny-complex[:KIND[,KIND]...][+POLICY]',
    make: (argument, inner) =>
      denyComplex(argument === '' ? {} : { kinds: argument.split(',') as ActionKind[] }, inner),
  },
  capacity: {
    usage: 'capacity[:FLOWS[-RESERVE]][+POLICY]',
    make: (argument, inner) => {
      const [flows, reserve] = numbersOf(argument)
      return capacity(
        { ...(flows === undefined ? {} : { flows }), ...(reserve === undefined ? {} : { reserve }) },
        inner,
      )
    },
  },
  elephants: {
    usage: 'elephants[:PACKETS_PER_SECOND[-UNTIL]][+POLICY]',
    make: (argument, inner) => {
      const [packetsPerSecond, until] = numbersOf(argument)
      return elephants(
        {
          ...(packetsPerSecond === undefined ? {} : { packetsPerSecond }),
          ...(until === undefined ? {} : { until }),
        },
        inner,
      )
    },
  },
  tenants: {
    usage: 'tenants:[flows=FLOWS,][borrow,]TENANT=SHARE%@PORT[/PORT]...[,TENANT=…]...[+POLICY]',
    make: (argument, inner) => tenants(tenantsOf(argument), inner),
  },
  'first-of': {
    usage: 'first-of:POLICY[,POLICY]...',
    takesAll: true,
    make: (argument) => firstOf(...split(argument).map((text) => policyOf(text, abstain()))),
  },
  'all-of': {
    usage: 'all-of:POLICY[,POLICY]...',
    takesAll: true,
    make: (argument) => allOf(...split(argument).map((text) => policyOf(text))),
  },
  when: {
    usage: 'when:{FIELD: VALUE, …}=POLICY[+POLICY]',
    example: '{protocol: udp}=kernel-only',
    takesAll: true,
    make: whenOf,
  },
}

/**
 * The policy `text` names, for example `tc-only:skip_sw`, `same-switch+capacity:1000` or `by-port:1=kernel-only`. Throws a TypeError
 * naming those there are, and what is wrong with an argument.
 */
export function policyNamed(text: string): Policy {
  try {
    return policyOf(text)
  } catch (error) {
    // Numbers come from the text as well.
    if (error instanceof RangeError || error instanceof RulesError)
      throw new TypeError(`${text}: ${error.message}`)
    throw error
  }
}

/** `inner` is for those that end without one. */
function policyOf(text: string, inner?: Policy): Policy {
  const [, name = '', colon = '', rest = ''] = /^([^:+]*)(:?)(.*)$/s.exec(text) ?? []
  const policy = Object.hasOwn(policies, name) ? policies[name] : undefined
  if (policy === undefined) {
    throw new TypeError(`'${name}' is no policy; there are ${Object.keys(policies).join(', ')}`)
  }
  if (policy.takesAll) return policy.make(rest, inner)
  const [, argument = '', behind] = /^([^+]*)(?:\+(.*))?$/s.exec(rest) ?? []
  if (colon === '' && argument !== '') throw new TypeError(`'${text}': a colon belongs behind ${name}`)
  return policy.make(argument, behind === undefined ? inner : policyOf(behind, inner))
}

function skipOf(argument: string): { readonly skip?: 'sw' | 'hw' } {
  if (argument === '') return {}
  if (argument === 'skip_sw') return { skip: 'sw' }
  if (argument === 'skip_hw') return { skip: 'hw' }
  throw new TypeError(`'${argument}' is neither skip_sw nor skip_hw`)
}

function tunnelsOf(argument: string): SameSwitchOptions {
  if (argument === '') return {}
  if (argument === 'no-tunnels') return { tunnels: false }
  throw new TypeError(`'${argument}' is not no-tunnels`)
}

/** `1000` or `1000-50`. */
function numbersOf(argument: string): readonly (number | undefined)[] {
  if (argument === '') return []
  const [, first, second] = /^([0-9]+)(?:-([0-9]+))?$/.exec(argument) ?? []
  if (first === undefined) throw new TypeError(`'${argument}' is neither a number nor two like 1000-50`)
  return [Number(first), second === undefined ? undefined : Number(second)]
}

function portsOf(argument: string): Policy {
  return byPort(
    Object.fromEntries(
      split(argument).map((entry) => {
        const [, port, policy] = /^(\d+)=(.+)$/s.exec(entry) ?? []
        if (port === undefined || policy === undefined) throw new TypeError(`'${entry}' is not PORT=POLICY`)
        return [port, policyOf(policy)]
      }),
    ),
  )
}

function tenantsOf(argument: string): TenantsOptions {
  const found: Record<string, Tenant> = {}
  let options: Omit<TenantsOptions, 'tenants'> = {}
  for (const entry of split(argument)) {
    const [, flows] = /^flows=([0-9]+)$/.exec(entry) ?? []
    const [, name, share, ports] = /^([^=@]+)=([0-9.]+)%@(.+)$/.exec(entry) ?? []
    if (entry === 'borrow') options = { ...options, borrow: true }
    else if (flows !== undefined) options = { ...options, flows: Number(flows) }
    else if (name !== undefined && share !== undefined && ports !== undefined) {
      const numbered = ports.split('/').map((port) => (/^[0-9]+$/.test(port) ? Number(port) : port))
      found[name] = { share: Number(share) / 100, ports: numbered }
    } else throw new TypeError(`'${entry}' is neither flows=FLOWS, borrow nor TENANT=SHARE%@PORT[/PORT]...`)
  }
  return { ...options, tenants: found }
}

function whenOf(argument: string, inner: Policy = preferTc()): Policy {
  const end = argument.lastIndexOf('}=') + 1
  const [, then, otherwise] = /^=([^+]+)(?:\+(.*))?$/s.exec(argument.slice(end)) ?? []
  if (end === 0 || then === undefined) throw new TypeError(`'${argument}' is not {FIELD: VALUE, …}=POLICY`)
  return when(
    match(argument.slice(0, end)),
    policyOf(then),
    otherwise === undefined ? inner : policyOf(otherwise, inner),
  )
}

/** At commas outside braces and brackets. */
function split(text: string): string[] {
  const parts: string[] = []
  let depth = 0
  let from = 0
  for (let at = 0; at <= text.length; at++) {
    const character = text[at]
    if (character === '{' || character === '[') depth++
    else if (character === '}' || character === ']') depth--
    else if (character === undefined || (character === ',' && depth === 0)) {
      if (at > from) parts.push(text.slice(from, at))
      from = at + 1
    }
  }
  return parts
}
