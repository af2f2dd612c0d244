import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { errorCodes, policies } from '../lib/index.js'

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

t.test('the README and the changelog name every policy', async (t) => {
  for (const name of Object.keys(policies)) {
    const camel = name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
    t.match(read('README.md'), camel)
    t.match(read('CHANGELOG.md'), camel)
  }
})
