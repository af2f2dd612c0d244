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
      for (let turn = 0; turn < count; turn++) transport.receive(name, dissected(frame), frame.length)
    },
    dispose: () => transport.close(),
  }
}

/** The frames of the suite are all UDP in IPv4. */
function dissected(frame: Uint8Array) {
  const mac = (at: number) =>
    [...frame.subarray(at, at + 6)].map((byte) => byte.toString(16).padStart(2, '0')).join(':')
  const word = (at: number) => ((frame[at] ?? 0) << 8) | (frame[at + 1] ?? 0)
  return {
    ethernet: { dst: mac(0), src: mac(6) },
    etherType: word(12),
    ipv4: {
      src: frame.subarray(26, 30).join('.'),
      dst: frame.subarray(30, 34).join('.'),
      proto: frame[23] ?? 0,
      tos: frame[15] ?? 0,
      ttl: frame[22] ?? 0,
      frag: 0,
    },
    udp: { src: word(34), dst: word(36) },
  }
}

for (const { name, run } of conformance({ fresh })) t.test(name, run)
