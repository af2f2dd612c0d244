import t from 'tap'
import { SimulatedKernel } from '../../lib/testing/index.js'
import { call } from './call.js'

const NAME = 'pci/0000:08:00.0'

function kernel() {
  const transport = new SimulatedKernel()
  transport.addEswitch(NAME, { vfs: 1, prefix: '' })
  return transport
}

t.test('eswitch shows and sets the mode, by name and by port', async (t) => {
  const transport = kernel()
  const shown = (mode: string, more = '') =>
    `${NAME}: mode ${mode}\n  driver: eswitch firmware: 1.0.0\n${more}`
  const ports = '  switch: e500000000000000\n  port: p0\n  port: pf0vf0\n'
  t.same(await call(['eswitch', 'show'], { transport }), { code: 0, out: shown('legacy'), err: '' })
  const set = await call(['eswitch', 'set', NAME, 'switchdev'], { transport })
  t.same(set, { code: 0, out: shown('switchdev', ports), err: '' })
  t.equal((await call(['eswitch', 'show', 'pf0vf0'], { transport })).out, shown('switchdev', ports))
  const json = await call(['eswitch', 'set', 'p0', 'legacy', '--json'], { transport })
  t.same(JSON.parse(json.out), [
    { name: NAME, driver: 'eswitch', firmware: '1.0.0', mode: 'legacy', ports: [] },
  ])
  const wrong: readonly (readonly [words: string[], text: RegExp])[] = [
    [['show', 'eth9'], /'eth9' is no e-switch and no port of one; there is pci\/0000:08:00\.0/],
    [['set', NAME], /usage: hwacc eswitch set DEV MODE/],
    [['set', NAME, 'fast'], /'fast' is no mode of an e-switch; there are legacy and switchdev/],
    [['set', 'eth9', 'legacy'], /cannot set the mode of 'eth9'/],
    [['reset', NAME], /'reset' is nothing to do with an e-switch; there are show and set/],
    [['set', NAME, 'legacy', '--read-only'], /'eswitch' command does not work in read only mode/],
  ]
  for (const [words, text] of wrong) {
    const { code, err } = await call(['eswitch', ...words], { transport })
    t.equal(code, 1)
    t.match(err, text, words.join(' '))
  }
  t.equal((await call(['eswitch', 'show', '--read-only'], { transport })).code, 0)
  const none = await call(['eswitch', 'show', 'p0'], { transport: new SimulatedKernel() })
  t.match(none.err, /there are none/)
})

t.test('devices prints the ports of e-switches, and everything with --json', async (t) => {
  const transport = kernel()
  t.equal((await call(['devices'], { transport })).out, '')
  await call(['eswitch', 'set', NAME, 'switchdev'], { transport })
  transport.addDevice('odd', { switchId: 'aa', hwTcOffload: 'fixed' })
  t.equal(
    (await call(['devices'], { transport })).out,
    [
      `p0: uplink p0, switch e500000000000000 (${NAME}), hw-tc-offload on`,
      `pf0vf0: vf pf0vf0, switch e500000000000000 (${NAME}), hw-tc-offload on`,
      'odd: unknown, switch aa, hw-tc-offload fixed',
      '',
    ].join('\n'),
  )
  const all = JSON.parse((await call(['devices', '--json'], { transport })).out)
  t.match(all, [
    { name: 'lo', kind: 'other', hwTcOffload: 'absent' },
    { name: 'p0' },
    { name: 'pf0vf0', kind: 'vf', pf: 0, vf: 0, portIndex: 1, devlink: NAME },
    { name: 'odd' },
  ])
})

t.test('preflight says what is wrong and what mends it', async (t) => {
  const transport = kernel()
  const before = await call(['preflight', 'pf0vf0'], { transport })
  t.equal(before.code, 1)
  t.match(before.err, /^hwacc: flows on pf0vf0 do not get into hardware as things are\n$/)
  t.match(before.out, /^there is no device 'pf0vf0' .*\(NO_DEVICE; all flows\)\n/)
  t.match(before.out, /\n {4}devlink dev eswitch set pci\/0000:08:00\.0 mode switchdev\n/)
  await call(['eswitch', 'set', NAME, 'switchdev'], { transport })
  const after = await call(['preflight', 'pf0vf0', 'p0', '--json'], { transport })
  t.equal(after.code, 0)
  t.match(JSON.parse(after.out), {
    ready: true,
    findings: [
      { reason: 'NO_QDISC', port: 'pf0vf0' },
      { reason: 'NO_QDISC', port: 'p0' },
    ],
  })
})
