import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { errorCodes, policies, rules, rulesSchema } from '../lib/index.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const read = (file: string) => readFileSync(join(root, file), 'utf8')

t.test("the README's example runs as it stands", async (t) => {
  const [, example = ''] = /## Ten lines\s+```ts\n(.*?)```/s.exec(read('README.md')) ?? []
  // Inside the package, so that its own name resolves.
  const folder = mkdtempSync(join(root, 'dist/readme-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'example.mjs'), example)
  const { stdout, stderr, status } = spawnSync(process.execPath, ['example.mjs'], {
    cwd: folder,
    encoding: 'utf8',
  })
  t.equal(stderr, '')
  t.equal(status, 0)
  t.equal(stdout, 'the flow went to tc\ntc 10.0.0.0 0n\n')
})

t.test('the README lists every error code as lib/errors.ts has it', async (t) => {
  const rows = [...read('README.md').matchAll(/^\| `([A-Z_]+)` \| (.*) \| (.*) \|$/gm)]
  const listed = Object.fromEntries(rows.map(([, code, meaning, advice]) => [code, { meaning, advice }]))
  t.same(listed, errorCodes)
})

t.test('the README, the changelog and the page about policies name every one', async (t) => {
  for (const [name, { usage }] of Object.entries(policies)) {
    const camel = name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
    t.match(read('README.md'), camel)
    t.match(read('CHANGELOG.md'), camel)
    t.ok(read('docs/policies.md').includes(`\`${usage.replaceAll('|', '\\|')}\``), usage)
  }
})

t.test('the schema of policies in the package is the one that is checked by', async (t) => {
  t.equal(
    read('policy.schema.json'),
    `${JSON.stringify(rulesSchema(), undefined, 2)}\n`,
    'npm run schema writes it',
  )
})

t.test('the page about policies names every field of a match, and its documents are some', async (t) => {
  const page = read('docs/policies.md')
  const [, rows = ''] = /\| field of a match \| \|\n\| --- \| --- \|\n(.*?)\n\n/s.exec(page) ?? []
  const named = [...rows.matchAll(/^\| (.*?) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`(\w+)`/g)].map(([, field]) => field),
  )
  const schema = rulesSchema() as {
    properties: { rules: { items: { properties: { match: { properties: object } } } } }
  }
  t.same(named.sort(), Object.keys(schema.properties.rules.items.properties.match.properties).sort())
  const documents = [...page.matchAll(/```yaml\n(.*?)```/gs)]
  t.ok(documents.length > 0)
  for (const [, text = ''] of documents) t.doesNotThrow(() => rules(text))
})
