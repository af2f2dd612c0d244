import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { deleteDatapath, kernelOnly, NativeTransport, type Upcall, type Upcalls } from '../../lib/index.js'
import { bench, datapath, eventually, ip, missing, open, type Owner } from '../fixtures/lab.js'
import { type Sender, sender, udpFrame } from '../fixtures/packets.js'

// What only a real kernel shows of upcalls: that a flood costs no memory here, that what is lost is what the kernel says, and what it tells
// of tunnels. The rest is in the conformance suite.

t.setTimeout(0)

/** A datapath with a port whose far end is fed by another datapath. */
async function fed(t: Owner) {
  const { dpif, peers } = await bench(t, kernelOnly(), 2)
  const far = await open(t, (await datapath(t)).name, kernelOnly())
  await far.addPort(peers[0], { number: 1 })
  const transport = new NativeTransport()
  t.teardown(() => transport.close())
  return { dpif, send: await sender(transport, far.datapath.ifindex) }
}

/** A connection nobody has seen. */
const connection = (number: number) =>
  udpFrame({
    src: '02:00:00:00:00:0a',
    dst: '02:00:00:00:00:0b',
    from: ['10.0.0.1', 1024 + (number & 0x7fff)],
    to: [`10.1.0.${1 + (number >> 15)}`, 7],
  })

async function floodOf(send: Sender, count: number): Promise<void> {
  for (let number = 0; number < count; number++) await send(1, connection(number), 1)
}

/** The upcall of one frame, past all others. */
async function upcallOf(upcalls: Upcalls, frame: Uint8Array): Promise<Upcall> {
  for (;;) {
    const { value, done } = await upcalls.next()
    if (done) throw new Error('the loop has ended')
    const found = value.upcalls.find(({ packet }) => Buffer.compare(packet, frame) === 0)
    if (found !== undefined) return found
  }
}

const reason = await missing()
if (reason !== false) t.plan(0, `no kernel to try: ${reason}`)
else {
  t.test('a flood that nobody reads costs no memory, and all that is lost is counted', async (t) => {
    const { dpif, send } = await fed(t)
    const upcalls = dpif.upcalls({ buffer: 64 * 1024 })
    await upcalls.start()
    const { lost: before } = await dpif.stats()
    const lostNow = async () => (await dpif.stats()).lost - before
    await send(1, connection(0), 100)
    const memory = process.memoryUsage().rss
    for (let round = 0; round < 40; round++) await send(1, connection(round), 500)
    const lost = await lostNow()
    t.ok(lost > 15_000n, `${lost} of 20,100 were lost`)
    const grown = process.memoryUsage().rss - memory
    t.ok(grown < 64 << 20, `grown by ${grown} bytes`)

    let told = 0n
    let heard = 0n
    while (told < (await lostNow())) {
      const { value } = await upcalls.next()
      told += value.lost
      heard += BigInt(value.upcalls.length)
    }
    t.equal(told, await lostNow(), 'as the kernel counts')
    t.ok(heard > 0n && heard + told >= 20_100n, `${heard} were heard`)
    const frame = connection(40_000)
    await send(1, frame, 1)
    t.equal((await upcallOf(upcalls, frame)).kind, 'miss', 'and it goes on')
    await upcalls.return()
  })

  t.test(
    'a flood that is answered leaves the event loop free, and every packet is heard or lost',
    async (t) => {
      const { dpif, send } = await fed(t)
      const upcalls = dpif.upcalls({ buffer: 256 * 1024 })
      await upcalls.start()
      const before = await dpif.stats()
      const delay = monitorEventLoopDelay({ resolution: 10 })
      delay.enable()
      const memory = process.memoryUsage().rss
      let heard = 0n
      let told = 0n
      const answering = (async () => {
        for await (const { upcalls: batch, lost } of upcalls) {
          heard += BigInt(batch.length)
          told += lost
          await dpif.operate(
            batch.flatMap(({ key, rawKey, packet, hash }) => [
              { op: 'put', key, actions: '2' },
              { op: 'execute', packet, key: rawKey, hash, actions: '2' },
            ]),
          )
        }
      })()
      await floodOf(send, 5000)
      // A packet that met a flow is counted as a hit: it came twice, or its flow was there before it.
      const missed = async () => (await dpif.stats()).missed - before.missed
      await eventually(missed, (count) => heard + told >= count)
      await turn()
      delay.disable()
      t.ok((await missed()) >= 5000n)
      t.equal(told, (await dpif.stats()).lost - before.lost)
      t.ok((await dpif.stats()).flows >= heard - 100n, 'there is a flow for each')
      t.ok(process.memoryUsage().rss - memory < 200 << 20)
      // Far from what a busy machine does to it; a main thread that waited for the kernel would wait for ever.
      t.ok(delay.max < 10e9, `the event loop was held for ${delay.max / 1e6} ms at most`)
      await upcalls.return()
      await answering
    },
  )

  t.test('an action tells the tunnel its packet would leave by', async (t) => {
    const { dpif, send } = await fed(t)
    const { number, name } = await dpif.addPort('vxlan_up', { type: 'vxlan' })
    t.teardown(() => dpif.delPort(name))
    ip('link add under type dummy')
    t.teardown(() => ip('link del under'))
    ip('address add 192.0.2.1/24 dev under')
    ip('link set under up')
    const upcalls = dpif.upcalls()
    const { pid } = await upcalls.start()
    const put = await dpif.put({
      key: 'recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)',
      actions: [
        { set: { tunnel: { id: 7n, dst: '192.0.2.2', ttl: 64, tpDst: 4789 } } },
        { userspace: { pid, userdata: Uint8Array.of(9), egressTunPort: number } },
      ],
    })
    t.equal(put.error, undefined)
    const frame = connection(1)
    await send(1, frame, 1)
    const { kind, egressTunnel, userdata } = await upcallOf(upcalls, frame)
    t.equal(kind, 'action')
    t.same(userdata, Uint8Array.of(9))
    t.match(egressTunnel, { src: '192.0.2.1', dst: '192.0.2.2', tpDst: 4789 })
    await upcalls.return()
  })

  t.test('a loop ends when its datapath is deleted under it, as soon as it is returned from', async (t) => {
    for (const dispatch of ['per-cpu', 'per-vport'] as const) {
      const { name } = await datapath(t)
      const other = await open(t, name, kernelOnly())
      const upcalls = other.upcalls({ dispatch })
      const waiting = upcalls.start().then(() => upcalls.next())
      await upcalls.start()
      await deleteDatapath(name)
      await upcalls.return()
      t.same(await waiting, { done: true, value: undefined })
    }
  })
}
