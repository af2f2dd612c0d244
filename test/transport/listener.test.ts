import t from 'tap'
import { loadAddon } from '../../lib/transport/load.js'
import { nativeTransport } from '../../lib/transport/native.js'
import { held } from './process.js'

// Nothing sends to these sockets by itself: what arrives is the kernel tests' business, in test/kernel/upcalls.test.ts. Here they are
// opened, waited for and closed.

t.test('each socket of a listener has a port id of its own, and the sockets go with it', async (t) => {
  const before = held()
  const transport = nativeTransport()
  const listener = await transport.listen('generic', { sockets: 4, buffer: 65_536 })
  t.equal(new Set(listener.pids).size, 4)
  t.notOk(listener.pids.includes(0))
  t.equal(held().sockets, before.sockets + 4)
  await listener.close()
  await listener.close()
  t.equal(held().sockets, before.sockets)
  t.same(await listener.next(), { done: true, value: undefined })
  await transport.close()
})

const ends: Readonly<
  Record<
    string,
    (
      listener: { close(): Promise<void>; return(): Promise<unknown> },
      close: () => Promise<void>,
    ) => Promise<unknown>
  >
> = {
  'it is closed': (listener) => listener.close(),
  'it is returned from': (listener) => listener.return(),
  'its transport is closed': (_, close) => close(),
}

for (const [what, end] of Object.entries(ends)) {
  t.test(`a read that waits is done when ${what}`, async (t) => {
    const before = held().sockets
    const transport = nativeTransport()
    const listener = await transport.listen('route')
    const waiting = listener.next()
    await end(listener, () => transport.close())
    t.same(await waiting, { done: true, value: undefined })
    await transport.close()
    t.equal(held().sockets, before)
    t.same(await listener.next(), { done: true, value: undefined })
  })
}

t.test('one read waits at a time', async (t) => {
  const transport = nativeTransport()
  t.teardown(() => transport.close())
  const listener = await transport.listen('route')
  const waiting = listener.next()
  await t.rejects(listener.next(), { code: 'BUSY' })
  await listener.close()
  await waiting
})

t.test('a transport that was closed does not listen, nor does one that is asked for nonsense', async (t) => {
  const transport = nativeTransport()
  for (const options of [
    { sockets: 0 },
    { sockets: 65 },
    { sockets: 1.5 },
    { buffer: 4095 },
    { buffer: 2 ** 31 },
    { groups: [0] },
    { groups: [1.5] },
    { groups: [2 ** 32] },
  ])
    await t.rejects(transport.listen('generic', options), RangeError)
  await transport.close()
  await t.rejects(transport.listen('generic'), { code: 'CLOSED' })
})

t.test('sockets that cannot be opened are an error in plain data, and none stays open', async (t) => {
  const before = held().sockets
  const listener = new (loadAddon().NetlinkListener)(250, 2, 65_536)
  t.same(await new Promise((resolve) => listener.open(resolve)), { stage: 'socket', errno: 93 })
  t.equal(held().sockets, before)
  await new Promise<void>((resolve) => listener.close(resolve))
})

t.test('a group there is can be joined, and one there is not is an error', async (t) => {
  const before = held().sockets
  const transport = nativeTransport()
  // RTNLGRP_LINK.
  const listener = await transport.listen('route', { groups: [1] })
  await listener.close()
  await t.rejects(transport.listen('route', { groups: [5000] }), { code: 'SOCKET', message: /join failed/ })
  t.equal(held().sockets, before)
  await transport.close()
})

t.test('wrong arguments to the addon throw at once', async (t) => {
  const { NetlinkListener } = loadAddon()
  const make = NetlinkListener as unknown as new (...args: unknown[]) => unknown
  t.throws(() => new make(), TypeError)
  t.throws(() => new make(16, 1), TypeError)
  t.throws(() => new make(16, 0, 4096), RangeError)
  t.throws(() => new make(16, 65, 4096), RangeError)
  t.throws(() => new make(16, 1, 4096, 7), TypeError)
  t.throws(() => new make(16, 1, 4096, ['7']), TypeError)
  const listener = new NetlinkListener(16, 1, 4096) as unknown as Record<string, (...args: unknown[]) => void>
  for (const name of ['open', 'next', 'close']) t.throws(() => listener[name]?.(), TypeError)
})
