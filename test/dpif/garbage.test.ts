import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

const run = promisify(execFile)
const script = fileURLToPath(new URL('../fixtures/garbage.js', import.meta.url))

// So much room that nothing but young objects is collected meanwhile.
const flags = ['--initial-heap-size=1024', '--min-semi-space-size=16']

/** Node 20 printed 0.7 and 10; 17 and 30 with a set of the calls under way, 50 and 60 with a function that each call left in the old space. */
const most = { ovs: 10, tc: 20 }

for (const [backend, limit] of Object.entries(most)) {
  t.test(`what puts to ${backend} leave is gone with the next collection of young objects`, async (t) => {
    const { NODE_OPTIONS: _, ...env } = process.env
    const { stdout } = await run(process.execPath, [...flags, script, backend], { env })
    const { bytes, whole } = JSON.parse(stdout) as { readonly bytes: number; readonly whole: number }
    t.equal(whole, 0, 'there was no such collection meanwhile')
    t.ok(bytes < limit, `a flow left ${bytes} bytes that only a collection of everything finds`)
  })
}
