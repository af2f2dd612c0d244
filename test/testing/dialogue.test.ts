import { readFileSync } from 'node:fs'
import t from 'tap'
import { SimulatedKernel } from '../../lib/testing/simulated-kernel/index.js'
import { converse } from './dialogue.js'

// The recording was made with Linux 6.1.176 (User-mode Linux, Debian), by the command in record.ts.
// The compiler copies no data, so a compiled test looks beside its source.
const recording = new URL('linux-6.1.jsonl', import.meta.url.replace('/dist/test/', '/test/'))

t.test('the simulated kernel answers as Linux 6.1 did', async (t) => {
  const lines = readFileSync(recording, 'utf8').trimEnd().split('\n')
  const real = lines.map((line) => JSON.parse(line) as [asked: string, answer: unknown])
  const kernel = new SimulatedKernel()
  for (const name of ['eth0', 'eth1']) kernel.addDevice(name)
  const simulated = await converse(kernel)
  t.equal(simulated.length, real.length)
  for (const [index, [asked, answer]] of simulated.entries())
    t.same([asked, JSON.parse(JSON.stringify(answer))], real[index], asked)
})
