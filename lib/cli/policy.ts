import {
  formatProblem,
  policies,
  type Policy,
  policyNamed,
  RulesError,
  type RulesPolicy,
  rules,
} from '../index.js'
import { CliError, fromInput } from './error.js'
import { readText } from './file.js'
import type { Io } from './io.js'

/** Whether `text` is a file's name and no policy's: it has a slash, or ends like a document. */
export function isDocument(text: string): boolean {
  const [, name = ''] = /^([^:+]*)/.exec(text) ?? []
  return !Object.hasOwn(policies, name) && (text.includes('/') || /\.(ya?ml|json)$/i.test(text))
}

/** Switch ids by the names of e-switches. */
export type Devices = Readonly<Record<string, string>>

/**
 * The policy `text` names, or that of a document. `devices` is asked when the document names e-switches that only a kernel knows.
 * Throws a {@link CliError}.
 */
export async function policyFor(
  text: string,
  io: Pick<Io, 'stdin'>,
  devices: () => Promise<Devices>,
): Promise<Policy> {
  return isDocument(text) ? documentPolicy(text, io, devices) : fromInput(() => policyNamed(text))
}

/** The policy of a document. Throws a {@link CliError} that names every problem, one a line. */
export async function documentPolicy(
  file: string,
  io: Pick<Io, 'stdin'>,
  devices: () => Promise<Devices> = async () => ({}),
): Promise<RulesPolicy> {
  const text = await readText(file, io)
  try {
    const policy = rules(text)
    return policy.unresolved.length === 0 ? policy : rules(text, { devices: await devices() })
  } catch (error) {
    if (!(error instanceof RulesError)) throw error
    throw new CliError(problemLines(file, error).join('\nhwacc: '))
  }
}

/** One line for each problem, as compilers write them. */
export function problemLines(file: string, { problems }: RulesError): string[] {
  return problems.map((problem) => {
    return problem.line === undefined
      ? `${file}: ${formatProblem(problem)}`
      : `${file}:${formatProblem(problem)}`
  })
}
