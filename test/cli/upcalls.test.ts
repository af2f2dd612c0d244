import { Writable } from 'node:stream'
import t from 'tap'
import { run } from '../../lib/cli/main.js'
import { SimulatedKernel } from '../../lib/testing/index.js'
import { udpFrame } from '../fixtures/packets.js'
import { call, collector } from './call.js'

const frame = udpFrame({
  src: '02:00:00:00:00:0a',
  dst: '02:00:00:00:00:0b',
  from: ['10.0.0.1', 1234],
  to: ['10.0.0.2', 7],
})

/** Calls `upcalls`, and `begun` once it listens. */
async function listen(words: readonly string[], begun: (kernel: SimulatedKernel, stop: () => void) => void) {
  const transport = new SimulatedKernel()
  transport.addDevice('eth0')
  await call(['add-dp', 'dp0', 'eth0'], { transport })
  const stdout = collector()
  let stop = () => {}
  let released = false
  const stderr = new Writable({
    write(chunk, _encoding, done) {
      if (String(chunk) === 'hwacc: listening on dp0\n') begun(transport, () => stop())
      done()
    },
  })
  const onInterrupt = (interrupt: () => void) => {
    stop = interrupt
    return () => {
      released = true
    }
  }
  const stdin = (async function* () {})()
  const code = await run(['upcalls', ...words], { stdout, stderr, stdin, transport, onInterrupt })
  t.ok(released, 'signals are nobody’s again')
  // Nobody has them now.
  t.match(JSON.parse((await call(['show', '--json'], { transport })).out), [{ features: [] }])
  return { code, lines: stdout.text().trimEnd().split('\n') }
}

t.test('upcalls are printed as they come, as many as were asked for', async (t) => {
  const { code, lines } = await listen(['--count', '2'], (kernel) => {
    for (let turn = 0; turn < 3; turn++) kernel.receive('eth0', frame)
  })
  t.equal(code, 0)
  t.equal(lines.length, 2)
  t.match(lines[0], /^miss: .*in_port\(1\),.*eth\(src=02:00:00:00:00:0a,.*udp\(src=1234,dst=7\), length:\d+$/)
})

t.test('with --json each is a document on a line, and SIGINT ends them', async (t) => {
  const { code, lines } = await listen(['dp0', '--json'], (kernel, stop) => {
    kernel.receive('eth0', frame)
    setImmediate(stop)
  })
  t.equal(code, 0)
  t.match(JSON.parse(lines[0] ?? ''), {
    kind: 'miss',
    key: { inPort: 1, udp: { src: 1234 } },
    length: frame.length,
    packet: Buffer.from(frame).toString('hex'),
  })
})

t.test('a loss is told of', async (t) => {
  const { lines } = await listen(['dp0', '--json', '--count', '20000'], (kernel, stop) => {
    // The buffers hold far less than that.
    for (let turn = 0; turn < 20_000; turn++) kernel.receive('eth0', frame)
    setTimeout(stop, 500)
  })
  const documents = lines.map((line) => JSON.parse(line) as { readonly lost?: number })
  const lost = documents.reduce((sum, { lost = 0 }) => sum + lost, 0)
  t.equal(documents.filter(({ lost }) => lost === undefined).length + lost, 20_000)
  t.ok(lost > 0, `${lost} were lost`)
})

t.test('--read-only keeps them where they are', async (t) => {
  const { code, err } = await call(['upcalls', '--read-only'], { transport: new SimulatedKernel() })
  t.equal(code, 1)
  t.match(err, /does not work in read only mode/)
})
