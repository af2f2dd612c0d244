import t, { type Test } from 'tap'
import { createDatapath, deleteDatapath, kernelOnly, openDpif } from '../../lib/index.js'
import { SimulatedKernel } from '../../lib/testing/simulated-kernel/index.js'
import { call } from './call.js'

/** Says when somebody listens. */
class WatchedKernel extends SimulatedKernel {
  heard: () => void = () => {}
  readonly listening = new Promise<void>((resolve) => {
    this.heard = resolve
  })

  override async listen(
    ...args: Parameters<SimulatedKernel['listen']>
  ): ReturnType<SimulatedKernel['listen']> {
    const listener = await super.listen(...args)
    this.heard()
    return listener
  }
}

async function setUp(t: Test) {
  const kernel = new WatchedKernel()
  for (const name of ['eth0', 'eth1']) kernel.addDevice(name)
  await createDatapath('dp0', { transport: kernel })
  const dpif = await openDpif({ datapath: 'dp0', policy: kernelOnly(), transport: kernel })
  t.teardown(() => dpif.close())
  await dpif.addPort('eth0')
  return { kernel, dpif, hwacc: (...words: string[]) => call(words, { transport: kernel }) }
}

const good = (out = '') => ({ code: 0, out, err: '' })

t.test('set-if accepts what a port has, and refuses anything else', async (t) => {
  const { hwacc } = await setUp(t)
  t.same(await hwacc('add-if', 'dp0', 'vx,type=vxlan,dst_port=4790'), good())
  t.same(
    await hwacc('set-if', 'dp0', 'eth0', 'eth0,type=system,port_no=1', 'vx,dst_port=4790,key=flow'),
    good(),
  )
  const { code, err } = await hwacc(
    'set-if',
    'dp0',
    'nope',
    'eth0,port_no=2',
    'vx,dst_port=4789',
    'eth0,zork=1',
  )
  t.equal(code, 1)
  t.match(err.trimEnd().split('\n'), [
    /cannot change port 'nope': there is no such port/,
    /cannot change port 'eth0': its number is 1 and cannot become 2/,
    /cannot change port 'vx': its tunnel.dstPort is 4790 and cannot become 4789/,
    /option 'zork' is not supported/,
  ])
})

t.test('monitor-ports prints what comes, goes and changes, until the datapath is deleted', async (t) => {
  for (const json of [false, true]) {
    const { kernel, dpif, hwacc } = await setUp(t)
    const watching = hwacc('monitor-ports', 'dp0', ...(json ? ['--json'] : []))
    await kernel.listening
    await dpif.addPort('int0', { type: 'internal', number: 9 })
    await dpif.setPort('eth0', { upcallPids: [3] })
    kernel.removeDevice('eth0')
    await dpif.delPort(9)
    await deleteDatapath('dp0', { transport: kernel })
    const { code, out, err } = await watching
    t.equal(code, 1)
    t.match(err, /the datapath was deleted/)
    const lines = out.trimEnd().split('\n')
    if (json)
      t.match(
        lines.map((line) => JSON.parse(line)),
        [
          { change: 'added', port: { name: 'int0', number: 9, type: 'internal' } },
          { change: 'changed', port: { name: 'eth0', upcallPids: [3] } },
          { change: 'removed', port: { name: 'eth0' } },
          { change: 'removed', port: { name: 'int0' } },
        ],
      )
    else
      t.same(lines, [
        'added port 9: int0 (internal)',
        'changed port 1: eth0',
        'removed port 1: eth0',
        'removed port 9: int0 (internal)',
      ])
  }
})
