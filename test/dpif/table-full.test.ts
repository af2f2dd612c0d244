import t from 'tap'
import { createDatapath, openDpif, type Policy, preferTc, tcOnly } from '../../lib/index.js'
import { SimulatedKernel } from '../../lib/testing/index.js'

/** A datapath whose first port is a device with room for so many flows. */
async function device(capacity: number, policy: Policy) {
  const transport = new SimulatedKernel()
  transport.addDevice('nic0', { offload: { capacity } })
  transport.addDevice('nic1', { offload: { capacity } })
  await createDatapath('dp0', { transport })
  const dpif = await openDpif({ datapath: 'dp0', policy, transport })
  for (const name of ['nic0', 'nic1']) await dpif.addPort(name)
  return dpif
}

const flow = (n: number) => ({ key: `in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.0.${n})`, actions: '2' })

t.test('when the device is full, the next backend takes the flow, and the refusal says why', async (t) => {
  const dpif = await device(2, preferTc({ skip: 'sw' }))
  const results = await dpif.operate([1, 2, 3].map((n) => ({ op: 'put', ...flow(n) })))
  t.same(
    results.map(({ backend }) => backend),
    ['tc', 'tc', 'ovs'],
  )
  const [refusal] = results[2]?.declined ?? []
  t.match(refusal, {
    backend: 'tc',
    code: 'NO_SPACE',
    errno: 28,
    kernel: /full/,
    message: /^cannot put flow .* in tc: /,
  })
  const places = []
  for await (const { backend, offloaded } of dpif.dump()) places.push({ backend, offloaded })
  t.same(places, [
    { backend: 'tc', offloaded: true },
    { backend: 'tc', offloaded: true },
    { backend: 'ovs', offloaded: false },
  ])
  await dpif.close()
})

t.test('room that is made is used again, and without another backend a full table is an error', async (t) => {
  const dpif = await device(1, tcOnly({ skip: 'sw' }))
  t.equal((await dpif.put(flow(1))).backend, 'tc')
  t.match(await dpif.put(flow(2)), { error: { code: 'NO_SPACE', backend: 'tc' } })
  t.match(await dpif.get(flow(2)), { error: { code: 'NOT_FOUND' } }, 'nothing is left of it')
  await dpif.del(flow(1))
  t.equal((await dpif.put(flow(2))).backend, 'tc')
  await dpif.close()
})
