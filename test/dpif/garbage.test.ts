import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

const run = promisify(execFile)
const script = fileURLToPath(new URL('../fixtures/garbage.js', import.meta.url))

// So much room that nothing but young objects is collected meanwhile.
const flags = ['--initial-heap-size=1024', '--min-semi-space-size=16']

for (const backend of ['ovs', 'tc']) {
  t.test(`what puts to ${backend} leave is gone with the next collection of young objects`, async (t) => {
    const { NODE_OPTIONS: _, ...env } = process.env
    const { stdout } = await run(process.execPath, [...flags, script, backend], { env })
    const bytes = Number(stdout)
    t.ok(bytes < 25, `a flow left ${bytes} bytes that only a collection of everything finds`)
  })
}
