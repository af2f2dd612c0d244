import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { Result } from '../../bench/result.js'

const main = fileURLToPath(new URL('../../bench/main.js', import.meta.url))

// Each run is a process of its own and takes seconds.
t.setTimeout(300_000)

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs the benchmark as a user would, on no kernel. */
function bench(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}

const few = ['--kernel', 'null', '--flows', '300', '--repeat', '2', '--batch', '20']

for (const question of ['insertion', 'deletion', 'modify']) {
  for (const backend of ['ovs', 'tc']) {
    t.test(`${question} in ${backend}: one JSON object and nothing else`, async (t) => {
      const { code, stdout, stderr } = await bench(question, '--backend', backend, '--json', ...few)
      t.equal(stderr, '', 'quiet in a pipe')
      t.equal(code, 0)
      const result = JSON.parse(stdout) as Result
      t.match(result, {
        schema: 'dpif-hw-acc-bench/1',
        question,
        options: { flows: 300, batch: 20, kernel: 'null' },
        environment: { kernel: /^Linux/, node: process.version },
        errors: [],
      })
      t.equal(result.ours?.turns.length, 2)
      t.equal(result.rate?.turns.length, 2)
      t.ok((result.ours?.median ?? 0) > 0)
      t.equal(result.latency?.batch.count, 30, 'fifteen batches in each turn')
      t.equal(result.latency?.op?.count, 300)
      t.equal(result.observed?.exchanges, exchangesOf(backend, question))
      t.equal(result.curve?.at(-1)?.size, 300)
      t.ok(result.memory.peakBytes > 1e6)
      t.equal(result.stages.at(-1)?.name, 'kernel')
      t.ok(result.stages.every(({ ns, how }) => ns >= 0 && how !== ''))
    })
  }
}

t.test('every spelling can be measured', async (t) => {
  for (const spelling of ['raw', 'text']) {
    const { stdout } = await bench('insertion', '--spelling', spelling, '--json', ...few)
    t.match(JSON.parse(stdout), { errors: [], options: { spelling } })
  }
})

t.test('policy, codec and memory are tables', async (t) => {
  for (const question of ['policy', 'codec', 'memory']) {
    const { stdout, code } = await bench(question, '--flows', '2000', '--json')
    t.equal(code, 0)
    const [table] = (JSON.parse(stdout) as Result).tables ?? []
    t.ok((table?.rows.length ?? 0) >= 5, question)
    t.ok(table?.rows.every((row) => row.length === table.head.length))
  }
})

t.test('without --json it is a text to read', async (t) => {
  const { stdout } = await bench('insertion', ...few)
  for (const words of ['flows a second', 'latency of a batch', 'peak memory', 'where a flow', 'bookkeeping'])
    t.match(stdout, words)
})

t.test('a wrong command line ends with 2 and says what is right', async (t) => {
  t.match(await bench('insertion', '--backend', 'x'), {
    code: 2,
    stdout: '',
    stderr: /there are ovs, tc, both/,
  })
  t.match(await bench('insertion', '--lanes', '4', ...few), { code: 2, stderr: /--lanes 4 is for TC/ })
})

t.test('a report says what was measured, and compares', async (t) => {
  const folder = t.testdir()
  const files = await Promise.all(
    ['1', '4'].map(async (masks) => {
      const file = path.join(folder, `${masks}.json`)
      writeFileSync(file, (await bench('insertion', '--masks', masks, '--json', ...few)).stdout)
      return file
    }),
  )
  const page = path.join(folder, 'page.html')
  t.match(await bench('report', ...files, '--report', page), { code: 0, stdout: '' })
  const html = readFileSync(page, 'utf8')
  const [first] = files
  const result = JSON.parse(readFileSync(first as string, 'utf8')) as Result
  t.notMatch(html, /<script|<link|src=|https?:/, 'it needs nothing else')
  for (const fact of [
    'insertion, masks 1',
    'insertion, masks 4',
    result.environment.kernel,
    process.version,
    result.when,
  ])
    t.ok(html.includes(fact), fact)
  for (const title of ['Rate against table size', 'Latency', 'Where the time of one flow goes', 'Lanes'])
    t.ok(html.includes(`<h2>${title}</h2>`), title)
  t.equal(html.match(/<svg viewBox/g)?.length, 3, 'curve, latency, stages; no limit was measured')
  t.notMatch(html, /NaN|undefined|Infinity/)
})

t.test('runs in several lanes are compared', async (t) => {
  const folder = t.testdir()
  const files: string[] = []
  for (const lanes of ['1', '4']) {
    const file = path.join(folder, `${lanes}.json`)
    const { stdout } = await bench('insertion', '--backend', 'tc', '--lanes', lanes, '--json', ...few)
    t.match(JSON.parse(stdout), { errors: [], options: { lanes: Number(lanes) } })
    writeFileSync(file, stdout)
    files.push(file)
  }
  const page = path.join(folder, 'page.html')
  t.match(await bench('report', ...files, '--report', page), { code: 0 })
  const [, section = ''] = readFileSync(page, 'utf8').split('<h2>Lanes</h2>')
  t.match(section, /<svg[^]*1 lane \(insertion[^]*4 lanes \(insertion/)
})

t.test('what is no result is refused', async (t) => {
  const folder = t.testdir({ 'x.json': '{}' })
  t.match(await bench('report', `${folder}/x.json`, '--report', `${folder}/x.html`), {
    code: 2,
    stderr: /is no result of this benchmark/,
  })
  t.match(await bench('report', `${folder}/y.json`, '--report', `${folder}/x.html`), {
    code: 2,
    stderr: /cannot read/,
  })
})

/** Of fifteen batches. */
function exchangesOf(backend: string, question: string): number {
  if (backend !== 'tc') return 15
  // TC looks at a filter before it changes or deletes it; two batches are under way when a qdisc is made, and each marks it as ours.
  return question === 'insertion' ? 17 : 30
}
