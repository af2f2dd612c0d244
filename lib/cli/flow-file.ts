import { type Dpif, type FlowFileEntry, type FlowVerb, type Op, parseFlowFile } from '../index.js'
import { readText } from './file.js'
import { CHUNK, flowName, placementLines, portNumbers } from './flows.js'
import { Progress } from './io.js'
import { failureJson, resultJson, toJson } from './json.js'
import type { Call } from './verb.js'

/**
 * Carries out a file of flows, in batches and in order. A line that cannot be read or done is named on stderr; the others are done
 * all the same.
 */
export async function runFlowFile(call: Call, dpif: Dpif, file: string, verb: FlowVerb): Promise<void> {
  const { options, out } = call
  const name = file === '-' ? 'stdin' : file
  const text = await readText(file, call.io)
  const jobs: { readonly line: number; readonly op: Op }[] = []
  const failed: { readonly line: number; readonly message: string }[] = []
  const documents: { readonly line: number; readonly document: object }[] = []
  for (const entry of parseFlowFile(text, verb, await portNumbers(dpif))) {
    const { line, error } = entry
    if (error === undefined) jobs.push({ line, op: opOf(entry, options) })
    else {
      failed.push({ line, message: error.message })
      documents.push({ line, document: { ufid: '', error: failureJson(error) } })
    }
  }

  const progress = new Progress(call.io)
  try {
    for (let done = 0; done < jobs.length; done += CHUNK) {
      progress.show(done, jobs.length)
      const chunk = jobs.slice(done, done + CHUNK)
      const results = await dpif.operate(chunk.map(({ op }) => op))
      for (const [index, result] of results.entries()) {
        const { line, op } = chunk[index] as (typeof chunk)[number]
        if (result.error !== undefined) failed.push({ line, message: result.error.message })
        if (options.json) documents.push({ line, document: resultJson(result, call.now()) })
        else if (options.verbose && op.op === 'put') {
          for (const text of placementLines(result)) await out.line(`${name}:${line}: ${text.trim()}`)
        }
      }
    }
  } finally {
    progress.end()
  }

  if (options.json) {
    const results = documents.sort((a, b) => a.line - b.line)
    await out.line(toJson(results.map(({ line, document }) => ({ line, ...document }))))
  }
  for (const { line, message } of failed.sort((a, b) => a.line - b.line)) {
    call.fail(`${name}:${line}: ${message}`)
  }
}

function opOf(entry: FlowFileEntry, { mayCreate, clear }: Call['options']): Op {
  const { verb, ufid, key, mask, actions = [] } = entry
  if (verb === 'delete') return { op: 'del', ...flowName(entry) }
  return {
    op: 'put',
    ...(ufid === undefined ? {} : { ufid }),
    key,
    mask,
    actions,
    mode: verb === 'add' ? 'create' : mayCreate ? 'upsert' : 'modify',
    zeroStats: verb === 'modify' && clear,
  }
}
