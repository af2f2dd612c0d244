#!/usr/bin/env node
import { realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { DpifError } from '../index.js'
import { CliError } from './error.js'
import { type Io, Output } from './io.js'
import { Kernel } from './kernel.js'
import { type Options, optionRows, parseOptions } from './options.js'
import type { Call, Verb } from './verb.js'
import { help } from './verb/help.js'
import { verbs } from './verb/index.js'

// The command line: ovs-dpctl's verbs, arguments and lines, so that people and scripts can switch, and what two backends add to
// them. It is a customer of the library like any other and looks at nothing but the front door.
//
// A verb is a row in `verb/index.ts`; help and the checks of a call come from it. What is wrong with a call or refused by a kernel
// is one line on stderr and exit code 1; only a bug prints its stack.

/** Runs one command line and answers its exit code. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const out = new Output(io.stdout)
  let failed = false
  const fail = (message: string) => {
    failed = true
    io.stderr.write(`hwacc: ${message}\n`)
  }
  try {
    await dispatch(argv, io, out, fail)
  } catch (error) {
    if (error instanceof CliError || error instanceof DpifError) fail(error.message)
    else fail(error instanceof Error ? (error.stack ?? error.message) : String(error))
  }
  await out.flush()
  if (out.error !== undefined) fail(`cannot write: ${out.error.message}`)
  return failed ? 1 : 0
}

async function dispatch(
  argv: readonly string[],
  io: Io,
  out: Output,
  fail: (message: string) => void,
): Promise<void> {
  const { options, words } = parseOptions(argv)
  const [name, ...args] = words
  if (options.version) return out.line(`hwacc ${version()}`)
  const verb = verbs.find((candidate) => candidate.name === name)
  const kernel = new Kernel(io)
  const call = { options, verbs, kernel, out, io, fail, now: io.now ?? monotonicMs }
  if (options.help) return help.run({ ...call, verb: help, args: verb === undefined ? [] : [verb.name] })
  if (name === undefined) throw new CliError('missing command name; use --help for help')
  if (verb === undefined) throw new CliError(`unknown command '${name}'; use --help for help`)
  check(verb, args, options)
  await within(options.timeoutMs, kernel, () => verb.run({ ...call, verb, args }))
}

/** Whether the words make a call, before anything is done. */
function check(
  { name, takes: [least, most], writes, options: known }: Verb,
  args: Call['args'],
  options: Options,
) {
  const stranger = [...options.given].find(
    (option) => !('everywhere' in optionRows[option]) && !known.includes(option),
  )
  if (stranger !== undefined)
    throw new CliError(`'${name}' has no option --${stranger}; use hwacc help ${name}`)
  if (args.length < least) throw new CliError(`'${name}' command requires at least ${least} arguments`)
  if (args.length > most) throw new CliError(`'${name}' command takes at most ${most} arguments`)
  if (options.readOnly && (writes === true || (writes !== false && writes(args))))
    throw new CliError(`'${name}' command does not work in read only mode`)
}

/** Does the work and closes the kernel; after the time limit the work is left where it is. */
async function within(limitMs: number | undefined, kernel: Kernel, work: () => Promise<void>): Promise<void> {
  const done = work().finally(() => kernel.close())
  if (limitMs === undefined) return done
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const message = `gave up after ${limitMs / 1000} seconds; what was under way may or may not have been done`
    timer = setTimeout(() => reject(new CliError(message)), limitMs)
  })
  try {
    await Promise.race([done, late])
  } finally {
    clearTimeout(timer)
    done.catch(() => {})
  }
}

/** What openvswitch counts the last use of flows in. */
function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n)
}

function version(): string {
  const require = createRequire(import.meta.url)
  return (require('dpif-hw-acc/package.json') as { readonly version: string }).version
}

async function main(): Promise<void> {
  const { stdout, stderr, stdin } = process
  // Nobody left to be told is no reason to fail.
  stderr.on('error', () => {})
  const io = { stdout, stderr, stdin, isTTY: stderr.isTTY === true, onInterrupt }
  process.exitCode = await run(process.argv.slice(2), io)
  // Only a call to the kernel that outlived --timeout still holds the process now.
  setTimeout(() => process.exit(), 500).unref()
}

const signals = ['SIGINT', 'SIGTERM'] as const

function onInterrupt(stop: () => void): () => void {
  for (const signal of signals) process.once(signal, stop)
  return () => {
    for (const signal of signals) process.off(signal, stop)
  }
}

/** Whether this file was started, by its name or through the link npm makes, rather than imported. */
function started(): boolean {
  const [, script] = process.argv
  try {
    return script !== undefined && realpathSync(script) === fileURLToPath(import.meta.url)
  } catch {
    return false
  }
}

if (started()) await main()
