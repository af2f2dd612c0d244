import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import t from 'tap'
import { loadAddon } from '../../lib/transport/load.js'
import { nativeTransport } from '../../lib/transport/native.js'
import type { Transport } from '../../types/transport.js'
import { held, spareThreads } from './process.js'
import { concat, getFamily, getLink, headers, message, noLink } from './requests.js'

const RTM_NEWLINK = 16
const ENOENT = 2
const ENODEV = 19
const EFAULT = 14
const EINVAL = 22

const times = <T>(count: number, make: (index: number) => T) =>
  Array.from({ length: count }, (_, i) => make(i))
const links = (count: number) => concat(times(count, () => getLink(1)))
const busyBatch = links(20_000)

function open(test: { teardown(release: () => Promise<void>): void }): Transport {
  const transport = nativeTransport()
  test.teardown(() => transport.close())
  return transport
}

async function collect(dump: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const pages = []
  for await (const page of dump) pages.push(page)
  return pages
}

t.test('a message is answered, and the reply names the message', async (t) => {
  const result = await open(t).exchange('route', getLink(1))
  t.equal(result.count, 1)
  t.same(result.failures, [])
  t.same(headers(result.replies), [{ type: RTM_NEWLINK, index: 0 }])
  t.ok(Buffer.from(result.replies).includes('lo\0'), 'it is about lo')
  t.equal(Object.getPrototypeOf(result.replies), Uint8Array.prototype, 'replies are a plain Uint8Array')
})

t.test('a refusal is a failure with an errno and not a rejection', async (t) => {
  const result = await open(t).exchange('route', concat([getLink(noLink), getLink(1)]))
  t.same(result.failures, [{ index: 0, errno: ENODEV }])
  t.same(headers(result.replies), [{ type: RTM_NEWLINK, index: 1 }])
})

t.test("the kernel's own words come along, and the place it objects to", async (t) => {
  // A name longer than GENL_NAMSIZ; its attribute begins behind nlmsghdr (16) and genlmsghdr (4).
  const batch = concat([getFamily('nlctrl'), getFamily('x'.repeat(40))])
  const result = await open(t).exchange('generic', batch)
  t.match(result.failures, [{ index: 1, errno: EINVAL, text: /policy/, offset: 20 }])
})

t.test('generic netlink finds a family by name, and says ENOENT for none', async (t) => {
  const result = await open(t).exchange('generic', concat([getFamily('nlctrl'), getFamily('no_such_one')]))
  t.same(headers(result.replies), [{ type: 16, index: 0 }])
  t.match(result.failures, [{ index: 1, errno: ENOENT }])
})

t.test('what is under way is answered before the transport says that it is closed', async (t) => {
  const transport = open(t)
  const told: string[] = []
  const exchanges = ['first', 'second', 'third'].map(async (name) => {
    await transport.exchange('route', getLink(1))
    told.push(name)
  })
  await transport.close()
  told.push('closed')
  await Promise.all(exchanges)
  t.same(told, ['first', 'second', 'third', 'closed'])
})

t.test('failures within a batch of many sends are told apart, in order', async (t) => {
  const count = 1500
  const fails = (index: number) => index % 7 === 3 || index === count - 1
  const batch = concat(times(count, (index) => getLink(fails(index) ? noLink : 1)))
  const result = await open(t).exchange('route', batch)
  const all = times(count, (index) => index)
  t.equal(result.count, count)
  t.same(
    result.failures.map(({ index }) => index),
    all.filter(fails),
  )
  t.same(
    headers(result.replies).map(({ index }) => index),
    all.filter((index) => !fails(index)),
  )
})

t.test('exchanges settle in the order of the calls', async (t) => {
  const transport = open(t)
  const order: number[] = []
  await Promise.all(
    times(50, async (index) => {
      await transport.exchange('route', links(index % 3 === 0 ? 200 : 1))
      order.push(index)
    }),
  )
  t.same(
    order,
    times(50, (index) => index),
  )
})

t.test('an empty batch succeeds and bytes of another batch do not mix in', async (t) => {
  const result = await open(t).exchange('route', new Uint8Array())
  t.same(result, { count: 0, failures: [], replies: new Uint8Array() })
})

t.test('bytes that are no messages are refused before anything is sent', async (t) => {
  const transport = open(t)
  for (const bytes of [
    new Uint8Array(3),
    getLink(1).subarray(0, 20),
    concat([getLink(1), new Uint8Array(4)]),
  ]) {
    await t.rejects(transport.exchange('route', bytes), { code: 'BAD_MESSAGE' })
    await t.rejects(collect(transport.dump('route', bytes)), { code: 'BAD_MESSAGE' })
  }
  await t.rejects(transport.exchange('route', 'text' as unknown as Uint8Array), TypeError)
})

t.test('a batch that starts within a larger buffer is taken from where it starts', async (t) => {
  const larger = concat([new Uint8Array(7), getLink(1)])
  const result = await open(t).exchange('route', larger.subarray(7))
  t.equal(headers(result.replies).length, 1)
})

t.test('memory that is taken away during the exchange does not matter', async (t) => {
  const batch = links(5000)
  const pending = open(t).exchange('route', batch)
  structuredClone(batch, { transfer: [batch.buffer as ArrayBuffer] })
  const result = await pending
  t.equal(result.count, 5000)
  t.same(result.failures, [])
})

const give = (page: Uint8Array) => structuredClone(page, { transfer: [page.buffer as ArrayBuffer] })
const send = (page: Uint8Array) => {
  const { port1 } = new MessageChannel()
  port1.postMessage(page, [page.buffer as ArrayBuffer])
  port1.close()
}

for (const [how, away] of [
  ['structuredClone', give],
  ['postMessage', send],
] as const) {
  t.test(`a page that is given away by ${how} fails the dump that reads into it`, async (t) => {
    const dump = new (loadAddon().NetlinkDump)(0, getLink(0))
    const lost = { stage: 'page', errno: EFAULT }
    const page = new Uint8Array(1 << 16)
    const read = await new Promise((resolve) => {
      dump.next(page, (error, value) => resolve(error ?? value))
      away(page)
    })
    t.equal(page.length, 0)
    t.same(read, { size: 0, last: true, interrupted: false, error: lost }, 'while it was read')
    const another = new Uint8Array(1 << 16)
    away(another)
    t.same(
      dump.next(another, () => t.fail('refused calls are not answered')),
      lost,
      'between two pages',
    )
    await new Promise<void>((resolve) => dump.close(resolve))
  })

  t.test(`a transport outlives a page that was given away by ${how}`, async (t) => {
    const transport = open(t)
    const before = held().sockets
    const firstPage = async () => {
      const [page] = await collect(transport.dump('route', getLink(0)))
      return page as Uint8Array
    }
    // Its memory is the next dump's.
    const page = await firstPage()
    const next = firstPage()
    away(page)
    await t.rejects(next, { code: 'SOCKET', errno: EFAULT, message: /the memory of its page was given away/ })
    away(await firstPage())
    t.ok((await firstPage()).length > 0, 'the next dump has memory of its own')
    t.equal(held().sockets, before)
  })
}

t.test('a dump gives whole messages, page by page', async (t) => {
  const pages = await collect(open(t).dump('route', getLink(0)))
  t.ok(pages.length > 0)
  for (const page of pages) {
    t.ok(page.length <= 65536)
    for (const { type } of headers(page)) t.equal(type, RTM_NEWLINK)
  }
})

t.test('a dump of generic netlink lists its controller', async (t) => {
  const pages = await collect(open(t).dump('generic', message(16, Uint8Array.of(3, 1, 0, 0))))
  t.ok(Buffer.concat(pages).includes('nlctrl\0'))
})

t.test('a dump that the kernel refuses throws its error', async (t) => {
  // RTM_GETADDRLABEL with another family has nobody to answer it; type 4095 does not exist at all.
  await t.rejects(collect(open(t).dump('route', message(4095, new Uint8Array(16)))), {
    code: 'UNSUPPORTED',
    errno: 95,
  })
})

t.test('a dump that is broken off, or never begun, holds nothing', async (t) => {
  const transport = open(t)
  const before = held().sockets
  transport.dump('route', getLink(0))
  t.equal(held().sockets, before, 'nothing is opened before the first read')
  for await (const page of transport.dump('route', getLink(0))) {
    t.ok(page.length > 0)
    break
  }
  t.equal(held().sockets, before)
  await collect(transport.dump('route', getLink(0)))
  t.equal(held().sockets, before)
})

t.test('close waits for what is under way, frees everything, and can be called again', async (t) => {
  const before = held().sockets
  const transport = nativeTransport()
  let settled = 0
  const count = () => {
    settled++
  }
  const pending = [busyBatch, getLink(1)].map((batch) => transport.exchange('route', batch).then(count))
  pending.push(transport.exchange('generic', getFamily('nlctrl')).then(count))
  const dump = transport.dump('route', getLink(0))
  await dump.next()
  const closing = transport.close()
  t.equal(transport.close(), closing)
  await t.rejects(transport.exchange('route', getLink(1)), { code: 'CLOSED' })
  await closing
  t.equal(held().sockets, before)
  await Promise.all(pending)
  t.equal(settled, 3)
  await t.rejects(transport.exchange('generic', getFamily('nlctrl')), { code: 'CLOSED' })
  await t.rejects(collect(transport.dump('route', getLink(0))), { code: 'CLOSED' })
})

t.test('a dump whose transport is closed between two pages throws CLOSED or has ended', async (t) => {
  const addon = loadAddon()
  const transport = nativeTransport()
  const dump = transport.dump('generic', message(16, Uint8Array.of(3, 1, 0, 0)))
  const first = await dump.next()
  t.notOk(first.done)
  await transport.close()
  const rest = await dump.next().catch((error) => error)
  t.ok(rest.done || rest.code === 'CLOSED')
  t.ok(addon)
})

t.test('a transport that is closed before it was used has nothing to close', async (t) => {
  const before = held().sockets
  await nativeTransport().close()
  t.equal(held().sockets, before)
})

t.test('more calls than can wait are refused as busy, and the others are carried out', async (t) => {
  const transport = open(t)
  const results = await Promise.allSettled([
    transport.exchange('route', busyBatch),
    ...times(1100, () => transport.exchange('route', getLink(1))),
  ])
  const refused = results.filter((result) => result.status === 'rejected')
  t.ok(refused.length >= 1100 - 1024, `${refused.length} refused`)
  t.ok(refused.every(({ reason }) => reason.code === 'BUSY'))
  t.same((await transport.exchange('route', getLink(1))).failures, [])
})

t.test('a lane is a socket of its own, which waits for no other, and close frees them all', async (t) => {
  const before = held().sockets
  const transport = nativeTransport()
  await transport.exchange('route', getLink(1), 3)
  await transport.exchange('route', getLink(1), 3)
  t.equal(held().sockets, before + 1, 'made at first use')
  const results = await Promise.allSettled([
    transport.exchange('route', busyBatch),
    ...times(1100, () => transport.exchange('route', getLink(1))),
    ...times(4, (lane) => transport.exchange('route', getLink(1), lane + 1)),
    transport.exchange('generic', getFamily('nlctrl'), 1),
  ])
  t.equal(held().sockets, before + 6)
  t.ok(
    results.slice(0, 1101).some(({ status }) => status === 'rejected'),
    'lane 0 had too many',
  )
  for (const { status } of results.slice(1101)) t.equal(status, 'fulfilled')
  for (const lane of [-1, 0.5]) await t.rejects(transport.exchange('route', getLink(1), lane), RangeError)
  await transport.close()
  t.equal(held().sockets, before)
})

t.test('opening and closing many times leaks neither descriptors nor threads', async (t) => {
  const before = held().sockets
  for (let round = 0; round < 30; round++) {
    const transport = nativeTransport()
    await Promise.all([
      transport.exchange('route', getLink(1)),
      transport.exchange('generic', getFamily('nlctrl')),
      collect(transport.dump('route', getLink(0))),
    ])
    await transport.close()
  }
  t.equal(held().sockets, before)
  t.ok(held().threads <= spareThreads)
})

t.test('each exchange is published while somebody listens', async (t) => {
  const transport = open(t)
  const events: unknown[] = []
  const listen = (event: unknown) => events.push(event)
  subscribe('dpif-hw-acc:exchange', listen)
  t.teardown(() => unsubscribe('dpif-hw-acc:exchange', listen))
  const batch = getLink(1)
  const result = await transport.exchange('route', batch)
  t.same(events, [{ protocol: 'route', lane: 0, batch, result }])
  unsubscribe('dpif-hw-acc:exchange', listen)
  await transport.exchange('route', batch)
  t.equal(events.length, 1)
})

t.test(
  'a socket that cannot be opened is an error in plain data, and the next call tries again',
  async (t) => {
    const noSuchProtocol = new (loadAddon().NetlinkSocket)(250)
    for (let attempt = 0; attempt < 2; attempt++) {
      const error = await new Promise((resolve) => noSuchProtocol.exchange(getLink(1), resolve))
      t.same(error, { stage: 'socket', errno: 93 })
    }
    await new Promise<void>((resolve) => noSuchProtocol.close(resolve))
    t.same(
      noSuchProtocol.exchange(getLink(1), () => t.fail('refused calls are not answered')),
      { stage: 'closed', errno: 108 },
    )
  },
)

t.test('one dump reads one page at a time', async (t) => {
  const dump = new (loadAddon().NetlinkDump)(0, getLink(0))
  let refused: unknown
  await new Promise((resolve) => {
    dump.next(new Uint8Array(1 << 16), resolve)
    refused = dump.next(new Uint8Array(1 << 16), () => t.fail('refused calls are not answered'))
  })
  t.match(refused, { stage: 'busy' })
  await new Promise<void>((resolve) => dump.close(resolve))
})

t.test('wrong arguments to the addon throw at once', async (t) => {
  const { NetlinkSocket, NetlinkDump } = loadAddon()
  const socket = new NetlinkSocket(0) as unknown as {
    exchange(...args: unknown[]): void
    close(...args: unknown[]): void
  }
  t.throws(() => socket.exchange(), TypeError)
  t.throws(() => socket.exchange(new Uint16Array(8), () => {}), TypeError)
  t.throws(() => socket.exchange(getLink(1)), TypeError)
  t.throws(() => socket.close(), TypeError)
  t.throws(() => new NetlinkSocket('route' as unknown as number), TypeError)
  t.throws(() => new NetlinkDump(0, undefined as unknown as Uint8Array), TypeError)
  const page = new Uint8Array(1 << 16)
  t.throws(() => NetlinkDump.prototype.next.call(socket as never, page, () => {}), TypeError)
  const dump = new NetlinkDump(0, getLink(0)) as unknown as { next(...args: unknown[]): void }
  t.throws(() => dump.next(() => {}), TypeError)
  t.throws(() => dump.next(page), TypeError)
  t.throws(() => dump.next(page.subarray(1), () => {}), RangeError)
})
