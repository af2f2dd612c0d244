import t from 'tap'
import { createDatapath, type Flow, openDpif, tcOnly } from '../../lib/index.js'
import { SimulatedKernel } from '../../lib/testing/index.js'

// What hardware says it does, and what software sees of it.

t.test(
  'what a device counts is told apart, and a flow that software sees all the same is suspect',
  async (t) => {
    const transport = new SimulatedKernel()
    for (const name of ['nic0', 'nic1']) transport.addDevice(name, { offload: { capacity: 10 } })
    await createDatapath('dp0', { transport })
    const dpif = await openDpif({ datapath: 'dp0', policy: tcOnly(), transport })
    t.teardown(() => dpif.close())
    for (const name of ['nic0', 'nic1']) await dpif.addPort(name)
    await dpif.put({ key: 'in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)', actions: '2' })
    const dumped = async () => {
      const flows: Flow[] = []
      for await (const flow of dpif.dump()) flows.push(flow)
      t.equal(flows.length, 1)
      return flows[0]
    }
    const frame = {
      ethernet: { src: '02:00:00:00:00:01', dst: '02:00:00:00:00:02' },
      etherType: 0x0800,
      ipv4: { proto: 17 },
    }
    t.match(transport.receive('nic0', frame, 100), { by: 'tc', offloaded: true })
    t.match(await dumped(), {
      offloaded: true,
      suspect: false,
      stats: { packets: 1n, bytes: 100n, hardware: { packets: 1n, bytes: 100n } },
    })
    transport.loseRules('nic0')
    t.match(transport.receive('nic0', frame, 100), { by: 'tc', offloaded: false })
    t.match(await dumped(), {
      offloaded: true,
      suspect: true,
      stats: { packets: 2n, bytes: 200n, hardware: { packets: 1n, bytes: 100n } },
    })
    let swept = 0n
    for await (const page of dpif.sweep())
      for (let at = 0; at < page.count; at++) swept += page.bytes[at] ?? 0n
    t.equal(swept, 200n, 'a sweep counts alike')
  },
)
