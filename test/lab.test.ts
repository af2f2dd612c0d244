import { existsSync, readdirSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { complaint } from './lab/complaints.js'
import { type LabFile, runInLab } from './lab/run.js'
import type { Target, TargetName } from './lab/target.js'
import { targets } from './lab/targets.js'

// Every file in test/kernel runs in every kernel of the lab: one boot per kernel, each file in namespaces of its own.
// LAB_TARGETS="uml" and LAB_FILES="conntrack" narrow it down for the inner loop.

// The conformance suite takes minutes under emulation.
const FILE_TIMEOUT_MS = 900_000

const root = projectRoot(dirname(fileURLToPath(import.meta.url)))
const wantedTargets = words('LAB_TARGETS')
const wantedFiles = words('LAB_FILES')
const files = kernelTests()

t.setTimeout(0)

t.test('there are kernel tests to run', async (t) => {
  t.ok(
    files.length > 0,
    'dist/test/kernel has *.test.js files; if not, run `npx tsc -p .` or widen LAB_FILES',
  )
})

for (const target of Object.values(targets)) {
  if (wantedTargets !== undefined && !wantedTargets.includes(target.name)) continue
  t.test(`kernel ${target.name}`, { timeout: 0 }, async (t) => {
    const status = target.available()
    if (status.available) return runAll(t, target)
    // A machine's own kernel may be anything; those we bring along may only be missing where somebody says so.
    const mayLack = target.name === 'host' || (process.env.LAB_OPTIONAL === '1' && !inCi())
    const sentence = `the lab's ${target.name} kernel is not available: ${status.reason}`
    if (mayLack) t.pass(sentence, { skip: sentence })
    else t.fail(`${sentence}; outside CI, LAB_OPTIONAL=1 skips it`)
  })
}

/** Which files a kernel runs when none is named; all of them where it has no line here. */
const lists: Partial<Record<TargetName, RegExp>> = {
  // Everything but what has to have an e-switch.
  uml: /^(?!eswitch)/,
  // What needs an e-switch, recirculation in TC or conntrack zones, which no other has at native speed, and what says that it is a kernel as any other.
  built: /^(chains|conformance|conntrack|eswitch.*|features)\.test/,
  // Emulation takes minutes a file, so only what may differ in a kernel as distributions ship it.
  qemu: /^(beside|conformance|features|flower-(keys|packets)|keys|modules|privileges|refusals|tc-action(s|-packets)|traffic|upcalls)\.test/,
}

async function runAll(t: Test, target: Target) {
  const list = lists[target.name]
  const isListed = (file: string) => list?.test(basename(file)) ?? true
  const chosen = wantedFiles === undefined ? files.filter(isListed) : files
  // Tracing rewrites the kernel's code, at which two emulated processors may wait for each other for ever.
  const isTraced = (file: string) => target.name === 'qemu' && file.endsWith('eswitch-trace.test.js')
  await runFiles(
    t,
    target,
    chosen.filter((file) => !isTraced(file)),
    {},
  )
  await runFiles(t, target, files.filter(isTraced), { LAB_CPUS: '1' })
  // And once in a kernel that cannot load the module the library is about.
  const bare = files.filter((file) => file.endsWith('modules.test.js'))
  if (target.name === 'uml') await runFiles(t, target, bare, { LAB_MODULES: 'none' })
}

async function runFiles(t: Test, target: Target, files: readonly string[], env: Record<string, string>) {
  if (files.length === 0) return
  const result = await runInLab(target, {
    files: files.map((file) => join(root, file)),
    cwd: root,
    // The runner's own loaders are for the machine outside.
    env: { NODE_OPTIONS: '', ...env },
    eswitch: files.some((file) => file.includes('eswitch')),
    selftests: files.some((file) => file.includes('selftests')),
    timeoutMs: 60_000 + files.length * FILE_TIMEOUT_MS,
    fileTimeoutMs: FILE_TIMEOUT_MS,
  })
  for (const file of result.files) await report(t, file)
  const lastWords = result.kernelLog.trimEnd().split('\n').slice(-60)
  t.equal(result.failure, undefined, 'the kernel lived until the end', { lastWords })
  t.equal(complaint(result.kernelLog), undefined, 'the kernel did not complain')
  t.comment(`${target.name}: booted in ${result.bootMs} ms`)
}

/** The file's own TAP becomes a subtest of ours, assertions and diagnostics included. */
async function report(t: Test, { file, exitCode, output, durationMs }: LabFile) {
  const name = relative(root, file)
  await t.stdin(name, { tapStream: Readable.from([Buffer.from(output)]) })
  const why = exitCode === undefined ? 'it never ended' : exitCode === 137 ? 'it was stopped, too slow?' : ''
  t.equal(exitCode, 0, `${name} exits with 0 (${durationMs} ms) ${why}`.trimEnd(), {
    output: exitCode === 0 ? undefined : output.split('\n').slice(-40),
  })
}

function kernelTests(): string[] {
  const dir = join(root, 'dist/test/kernel')
  if (!existsSync(dir)) return []
  const names = readdirSync(dir).filter((name) => name.endsWith('.test.js'))
  const wanted = names.filter((name) => wantedFiles?.some((word) => name.includes(word)) ?? true)
  return wanted.sort().map((name) => join('dist/test/kernel', name))
}

function words(variable: string): string[] | undefined {
  const found = (process.env[variable] ?? '').split(/[\s,]+/).filter((word) => word !== '')
  return found.length > 0 ? found : undefined
}

function inCi(): boolean {
  return !['', '0', 'false'].includes(process.env.CI ?? '')
}

/** The same from test/ and from dist/test/. */
function projectRoot(from: string): string {
  return existsSync(join(from, 'package.json')) ? from : projectRoot(dirname(from))
}
