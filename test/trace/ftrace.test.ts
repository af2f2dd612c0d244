import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Ftrace } from '../../lib/trace/ftrace.js'

// Files that look like tracefs, in a kernel that has function_graph only once: what was changed is as it was afterwards.

const files: Readonly<Record<string, string>> = {
  available_tracers: 'function_graph function nop\n',
  current_tracer: 'nop\n',
  tracing_on: '1\n',
  set_event: '',
  set_ftrace_filter: '#### all functions enabled ####\n',
  set_ftrace_pid: 'no pid\n',
  'options/funcgraph-proc': '0\n',
  trace: '# tracer: nop\n#\n# entries-in-buffer/entries-written: 0/0   #P:2\n',
}

function tracefs(t: Test, more: Readonly<Record<string, string | undefined>> = {}): string {
  const dir = mkdtempSync(join(tmpdir(), 'tracefs-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  mkdirSync(join(dir, 'options'))
  for (const [name, text] of Object.entries({ ...files, ...more }))
    if (text !== undefined) writeFileSync(join(dir, name), text)
  return dir
}

const nothing = { roots: [], devices: [] }
const watcher = (dir: string) => new Ftrace(async () => [12, 13], dir)

function state(dir: string): Record<string, string> {
  const names = [...readdirSync(dir), ...readdirSync(join(dir, 'options')).map((name) => `options/${name}`)]
  return Object.fromEntries(
    names
      .filter((name) => name !== 'options')
      .map((name) => [name, readFileSync(join(dir, name), 'utf8').trim()]),
  )
}

const asBefore = (dir: string, before: Record<string, string>) => ({
  ...before,
  set_ftrace_pid: '',
  set_ftrace_filter: '',
  dir: state(dir).dir,
})

t.test('everything is as it was, whatever came of the work', async (t) => {
  const dir = tracefs(t)
  const before = state(dir)
  const ftrace = watcher(dir)
  const during: Record<string, string>[] = []
  const { value, calls, untraced } = await ftrace.during(
    { roots: ['tc_new_tfilter'], devices: [] },
    async () => {
      during.push(state(dir))
      writeFileSync(join(dir, 'trace'), ' 0)  x-1  |   1.000 us    |  tc_new_tfilter();\n')
      return 7
    },
  )
  t.equal(value, 7)
  t.equal(untraced, undefined)
  t.same(calls, [{ name: 'tc_new_tfilter', microseconds: 1, calls: [] }])
  t.match(during[0], {
    current_tracer: 'function_graph',
    tracing_on: '1',
    'options/funcgraph-proc': '1',
    set_ftrace_pid: '12 13',
    set_ftrace_filter: /^tc_\*\n(.+\n)*\*:mod:openvswitch\n/,
  })
  writeFileSync(join(dir, 'trace'), files.trace ?? '')
  t.same({ ...state(dir), dir: undefined }, asBefore(dir, before))

  const listeners = process.listenerCount('SIGTERM')
  await t.rejects(
    ftrace.during(nothing, async () => {
      t.equal(process.listenerCount('SIGTERM'), listeners + 1)
      throw new Error('no luck')
    }),
    { message: 'no luck' },
  )
  t.same({ ...state(dir), dir: undefined }, asBefore(dir, before))
  t.equal(process.listenerCount('SIGTERM'), listeners)
})

for (const [what, more, words] of [
  ['a tracer', { current_tracer: 'function\n' }, 'current_tracer is function'],
  ['events', { set_event: 'sched:sched_switch\n' }, 'events are traced'],
  ['tasks', { set_ftrace_pid: '12\n' }, 'limited to some tasks'],
  ['functions', { set_ftrace_filter: 'vfs_read\n' }, 'limited to some functions'],
  ['a trace', { trace: '# entries-in-buffer/entries-written: 5/5   #P:2\n' }, 'a trace of somebody else'],
] as const) {
  t.test(`${what} of somebody else is left alone, and the work is done all the same`, async (t) => {
    const dir = tracefs(t, more)
    const before = state(dir)
    const { value, calls, untraced } = await watcher(dir).during(nothing, async () => state(dir))
    t.same(value, before)
    t.same(state(dir), before)
    t.same(calls, [])
    t.match(untraced, words)
  })
}

t.test('why the kernel cannot be watched is said', async (t) => {
  const nowhere = join(tracefs(t), 'nowhere')
  t.match(await watcher(nowhere).during(nothing, async () => 1), {
    value: 1,
    untraced: `there is no tracefs at ${nowhere}: mount -t tracefs tracefs ${nowhere}`,
  })
  const dir = tracefs(t, { available_tracers: 'nop\n' })
  t.match(await watcher(dir).during(nothing, async () => 1), { untraced: /CONFIG_FUNCTION_GRAPH_TRACER/ })
})
