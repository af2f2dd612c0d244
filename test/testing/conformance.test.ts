import t from 'tap'
import { createDatapath, kernelOnly, openDpif } from '../../lib/index.js'
import { conformance } from '../../lib/testing/conformance.js'
import { SimulatedKernel } from '../../lib/testing/simulated-kernel/index.js'

// The suite every kernel has to pass, on the one that is simulated: what it gets away with here, the real one confirms in
// test/kernel/conformance.test.ts.

async function fresh() {
  const transport = new SimulatedKernel()
  const datapath = 'dp0'
  await createDatapath(datapath, { transport })
  const dpif = await openDpif({ transport, datapath, policy: kernelOnly() })
  const ports: { number: number; name: string }[] = []
  for (const name of ['eth1', 'eth2', 'eth3']) {
    transport.addDevice(name)
    ports.push(await dpif.addPort(name))
  }
  await dpif.close()
  return {
    transport,
    datapath,
    ports,
    send: async (port: number, frame: Uint8Array, count: number) => {
      const name = ports.find(({ number }) => number === port)?.name ?? ''
      for (let turn = 0; turn < count; turn++) transport.receive(name, frame)
    },
    dispose: () => transport.close(),
  }
}

for (const { name, run } of conformance({ fresh })) t.test(name, run)
