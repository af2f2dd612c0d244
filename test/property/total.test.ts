import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { minimum } from './cases.js'

t.test('a million cases, and 100000 of each kind', async (t) => {
  t.ok(Object.values(minimum).reduce((sum, count) => sum + count, 0) >= 1_000_000)
  const { hostileBytes, hostileText, ...kinds } = minimum
  for (const count of [...Object.values(kinds), hostileBytes + hostileText]) t.ok(count >= 100_000)
})

t.test('every kind is counted by a test', async (t) => {
  const folder = dirname(fileURLToPath(import.meta.url))
  const files = readdirSync(folder).filter((name) => name.endsWith('.test.js'))
  const texts = files.map((name) => readFileSync(join(folder, name), 'utf8')).join()
  for (const kind of Object.keys(minimum)) t.ok(texts.includes(`new Cases('${kind}')`), kind)
})
