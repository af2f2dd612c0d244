import type { Policy } from '../../types/policy.js'
import { byPort } from './by-port.js'
import { kernelOnly } from './kernel-only.js'
import { preferTc } from './prefer-tc.js'
import { tcOnly } from './tc-only.js'

export { byPort, kernelOnly, preferTc, tcOnly }

/** Policies by the names the command line knows, with what may follow a colon. */
export const policies: Readonly<Record<string, { readonly usage: string; make(argument: string): Policy }>> =
  {
    'prefer-tc': { usage: 'prefer-tc[:skip_sw|skip_hw]', make: (argument) => preferTc(skipOf(argument)) },
    'kernel-only': { usage: 'kernel-only', make: () => kernelOnly() },
    'tc-only': { usage: 'tc-only[:skip_sw|skip_hw]', make: (argument) => tcOnly(skipOf(argument)) },
    'by-port': { usage: 'by-port:PORT=POLICY[,PORT=POLICY]...', make: portsOf },
  }

/** The policy `text` names, for example `tc-only:skip_sw` or `by-port:1=kernel-only`. Throws a TypeError naming those there are. */
export function policyNamed(text: string): Policy {
  const [, name = '', argument = ''] = /^([^:]*):?(.*)$/s.exec(text) ?? []
  const policy = policies[name]
  if (policy === undefined) {
    throw new TypeError(`'${name}' is no policy; there are ${Object.keys(policies).join(', ')}`)
  }
  return policy.make(argument)
}

function skipOf(argument: string): { readonly skip?: 'sw' | 'hw' } {
  if (argument === '') return {}
  if (argument === 'skip_sw') return { skip: 'sw' }
  if (argument === 'skip_hw') return { skip: 'hw' }
  throw new TypeError(`'${argument}' is neither skip_sw nor skip_hw`)
}

function portsOf(argument: string): Policy {
  const entries = argument.split(',').filter((entry) => entry !== '')
  return byPort(
    Object.fromEntries(
      entries.map((entry) => {
        const [, port, policy] = /^(\d+)=(.+)$/.exec(entry) ?? []
        if (port === undefined || policy === undefined) throw new TypeError(`'${entry}' is not PORT=POLICY`)
        return [port, policyNamed(policy)]
      }),
    ),
  )
}
