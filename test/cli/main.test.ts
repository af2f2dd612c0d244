import { mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import t from 'tap'
import { run } from '../../lib/cli/main.js'
import { optionRows } from '../../lib/cli/options.js'
import { verbs } from '../../lib/cli/verb/index.js'
import { SimulatedKernel } from '../../lib/testing/index.js'
import type { Transport } from '../../types/transport.js'
import { call, collector } from './call.js'

t.test('a wrong call is one line on stderr and exit code 1', async (t) => {
  const rows: readonly (readonly [words: string[], text: string | RegExp])[] = [
    [[], 'missing command name; use --help for help'],
    [['zork'], "unknown command 'zork'; use --help for help"],
    [['help', 'zork'], "unknown command 'zork'; use --help for help"],
    [['--zork'], "unknown option '--zork'; use --help for help"],
    [['add-flow'], "'add-flow' command requires at least 2 arguments"],
    [['dump-dps', 'x'], "'dump-dps' command takes at most 0 arguments"],
    [['dump-dps', '--policy', 'prefer-tc'], "'dump-dps' has no option --policy; use hwacc help dump-dps"],
    [['add-dp', 'dp0', '--json'], "'add-dp' has no option --json; use hwacc help add-dp"],
    [['--read-only', 'add-dp', 'dp0'], "'add-dp' command does not work in read only mode"],
    [['-t', 'soon', 'show'], "'soon' is not a number of seconds above 0"],
    [['-t'], /argument missing; use --help for help$/],
    [['dump-flows', 'pmd=zork'], "'zork' is no number of a thread"],
    [['dump-flows', 'filter=tcp', 'filter=udp'], 'dump-flows takes one filter'],
    [['upcalls', '--count', 'many'], "'many' is not a whole number above 0"],
    [['completion', 'fish'], "there is no completion for 'fish'; there is for bash, zsh"],
    [['cache-set-size', 'dp0', 'masks-cache', 'large'], "'large' is no number of entries"],
    [['ipf-get-status'], 'no datapaths exist'],
    [['add-dp', 'a1', '--features', 'zork'], /^'zork' is no feature of datapaths; there are unaligned, /],
    [
      ['dump-flows', 'type=ovs,zork'],
      "'zork' is no type of flow; there are ovs, tc, offloaded, non-offloaded and all",
    ],
    [['dump-flows', 'a', 'b'], "dump-flows takes one datapath, not 'a b'"],
    [['show', 'netdev@dp0'], "there are no datapaths of type 'netdev' in the kernel, only system"],
    [
      ['add-dp', 'a-name-of-more-than-15-bytes'],
      "'a-name-of-more-than-15-bytes' is no datapath name; 1 to 15 bytes are",
    ],
  ]
  for (const [words, text] of rows) {
    const { code, out, err } = await call(words, { transport: new SimulatedKernel() })
    t.equal(code, 1, `hwacc ${words.join(' ')}`)
    t.equal(out, '')
    t.match(err, /^hwacc: [^\n]+\n$/)
    const said = err.slice('hwacc: '.length, -1)
    if (typeof text === 'string') t.equal(said, text)
    else t.match(said, text)
  }
})

t.test('help names every verb, and each verb has one of its own', async (t) => {
  const { code, out } = await call(['help'])
  t.equal(code, 0)
  t.equal((await call(['--help'])).out, out)
  for (const { name, usage, options, json } of verbs) {
    t.match(out, new RegExp(`^  ${name} `, 'm'))
    const own = await call(['help', name])
    t.equal(own.code, 0)
    t.ok(own.out.includes(`usage: hwacc ${name} [OPTIONS]`), name)
    t.ok(own.out.includes(usage))
    for (const option of options) t.ok(own.out.includes(`--${option}`), `${name} explains --${option}`)
    t.equal(options.includes('json'), json !== undefined, `${name}: a shape for --json where there is one`)
    t.equal((await call([name, '-h'])).out, own.out)
  }
  for (const option of Object.keys(optionRows)) t.ok(out.includes(`--${option}`), `--${option}`)
  t.match((await call(['-V'])).out, /^hwacc \d+\.\d+\.\d+\n$/)
})

t.test('a bug shows where it is, a refusal does not', async (t) => {
  const broken = {
    name: 'broken',
    exchange: () => {
      throw new TypeError('a bug')
    },
    dump: () => {
      throw new TypeError('a bug')
    },
  }
  const bug = await call(['dump-dps'], { transport: broken as unknown as Transport })
  t.equal(bug.code, 1)
  t.match(bug.err, /^hwacc: TypeError: a bug\n {4}at /)

  const refused = await call(['add-dp', 'dp0'], { transport: new SimulatedKernel({ privileged: false }) })
  t.equal(refused.code, 1)
  t.match(refused.err, /^hwacc: [^\n]*EPERM[^\n]*\n$/)
})

t.test('a reader that leaves ends the output quietly, a full disk does not', async (t) => {
  const failing = (code: string) =>
    new Writable({
      write: (_chunk, _encoding, done) => done(Object.assign(new Error(`${code}: no`), { code })),
    })
  const end = async (code: string) => {
    const stderr = collector()
    const exit = await run(['help'], { stdout: failing(code), stderr, stdin: (async function* () {})() })
    return { exit, err: stderr.text() }
  }
  t.same(await end('EPIPE'), { exit: 0, err: '' })
  t.same(await end('ENOSPC'), { exit: 1, err: 'hwacc: cannot write: ENOSPC: no\n' })
})

t.test('a slow reader is waited for', async (t) => {
  const kernel = new SimulatedKernel()
  kernel.addDevice('eth0')
  await call(['add-dp', 'dp0', 'eth0'], { transport: kernel })
  const input = Array.from(
    { length: 2000 },
    (_, n) => `in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.${n >> 8}.${n & 255}) 1`,
  )
  t.same(await call(['add-flows', '-'], { transport: kernel, input: input.join('\n') }), {
    code: 0,
    out: '',
    err: '',
  })
  let most = 0
  let text = ''
  const stdout = new Writable({
    highWaterMark: 1024,
    write(chunk, _encoding, done) {
      most = Math.max(most, stdout.writableLength)
      text += chunk
      setImmediate(done)
    },
  })
  const stderr = collector()
  const code = await run(['dump-flows'], {
    stdout,
    stderr,
    stdin: (async function* () {})(),
    transport: kernel,
  })
  await new Promise((resolve) => stdout.end(() => resolve(undefined)))
  t.equal(code, 0)
  t.equal(text.trimEnd().split('\n').length, 2000)
  t.ok(most < text.length / 2, 'it was never all waiting at once')
})

t.test('--timeout ends a call the kernel does not answer', async (t) => {
  const silent = {
    name: 'silent',
    exchange: () => new Promise(() => {}),
    dump: () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) }),
    close: async () => {},
  }
  const { code, err } = await call(['-t', '0.05', 'add-dp', 'dp0'], {
    transport: silent as unknown as Transport,
  })
  t.equal(code, 1)
  t.match(err, /^hwacc: gave up after 0\.05 seconds/)
})

t.test('progress is shown to who watches, and taken back', async (t) => {
  const kernel = new SimulatedKernel()
  kernel.addDevice('eth0')
  await call(['add-dp', 'dp0', 'eth0'], { transport: kernel })
  const file = join(mkdtempSync(join(t.testdir({}), 'flows-')), 'file')
  writeFileSync(file, 'in_port(1),eth(),eth_type(0x0806),arp() drop\n')
  const { code, err } = await call(['add-flows', file], { transport: kernel, isTTY: true })
  t.equal(code, 0)
  t.equal(err, '\rhwacc: 0 of 1 flows\r\x1b[K')
})
