import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { held, preamble, run, spareThreads } from './process.js'

// Native code while it is closed, collected, terminated, and exited from. The programs are text because each needs
// a process or a worker of its own to end.

/** A worker that runs `source`; `say` tells the test. */
function work(source: string): Worker {
  const program = `
    const { parentPort } = require('node:worker_threads')
    const say = (word) => parentPort.postMessage(word)
    ;(async () => { ${preamble} ${source} })()
  `
  return new Worker(program, { eval: true })
}

const states: Record<string, string> = {
  'nothing was opened': 'const transport = nativeTransport()',
  'a socket is idle': `
    const transport = nativeTransport()
    await transport.exchange('route', links(1))`,
  'an exchange is under way': `
    const transport = nativeTransport()
    transport.exchange('route', links(20_000))`,
  'exchanges wait': `
    const transport = nativeTransport()
    for (let i = 0; i < 500; i++) transport.exchange(i % 2 ? 'route' : 'generic', links(100)).catch(() => {})`,
  'a dump is open': `
    const transport = nativeTransport()
    const dump = transport.dump('route', getLink(0))
    await dump.next()`,
  'a page is being read': `
    const dump = nativeTransport().dump('route', getLink(0))
    dump.next()`,
  'a listener is open': `
    const transport = nativeTransport()
    const listener = await transport.listen('generic', { sockets: 3 })`,
  'a listener is closing': `
    const listener = await nativeTransport().listen('generic', { sockets: 3 })
    listener.next()
    listener.close()`,
  'it is closing': `
    const transport = nativeTransport()
    transport.exchange('route', links(20_000))
    transport.close()`,
  'it is closed': `
    const transport = nativeTransport()
    await transport.exchange('route', links(1))
    await transport.close()`,
}

for (const [state, source] of Object.entries(states)) {
  t.test(`a process can exit when ${state}`, async (t) => {
    const { code, signal, stderr } = await run(`${source}\nprocess.exit(7)`)
    t.same({ code, signal, stderr }, { code: 7, signal: null, stderr: '' })
  })

  t.test(`a process ends by itself when ${state}`, async (t) => {
    const { code, signal, stderr } = await run(source)
    t.same({ code, signal, stderr }, { code: 0, signal: null, stderr: '' })
  })

  t.test(`a worker can be terminated when ${state}`, async (t) => {
    const before = held()
    const worker = work(`${source}\nsay('ready'); setInterval(() => {}, 1000)`)
    await once(worker, 'message')
    await worker.terminate()
    t.same(held(), before)
  })

  t.test(`a worker ends by itself when ${state}`, async (t) => {
    const before = held()
    const [code] = await once(work(source), 'exit')
    t.equal(code, 0)
    t.same(held(), before)
  })
}

t.test('a listener that is waited for keeps the process alive, and lets it exit all the same', async (t) => {
  const { code, signal, stdout, stderr } = await run(`
    const listener = await nativeTransport().listen('generic', { sockets: 3 })
    listener.next()
    setTimeout(() => { console.log('still there'); process.exit(7) }, 100).unref()
  `)
  t.same({ code, signal, stdout, stderr }, { code: 7, signal: null, stdout: 'still there\n', stderr: '' })
})

t.test('a worker can be terminated while a listener is waited for', async (t) => {
  const before = held()
  const worker = work(`
    const listener = await nativeTransport().listen('generic', { sockets: 3 })
    listener.next()
    say('ready')
  `)
  await once(worker, 'message')
  await worker.terminate()
  t.same(held(), before)
})

t.test('an exchange keeps the process alive until it is answered, an idle socket does not', async (t) => {
  const { code, stdout } = await run(`
    nativeTransport().exchange('route', links(2000)).then(({ count }) => console.log(count))
  `)
  t.same({ code, stdout }, { code: 0, stdout: '2000\n' })
})

t.test('an exception in a continuation is an ordinary unhandled rejection', async (t) => {
  const { code, stderr } = await run(`
    nativeTransport().exchange('route', links(1)).then(() => { throw new Error('mine') })
  `)
  t.equal(code, 1)
  t.match(stderr, /Error: mine/)
})

t.test('several environments use the addon at the same time', async (t) => {
  const before = held()
  const workers = Array.from({ length: 4 }, () =>
    work(`
      const transport = nativeTransport()
      for (let i = 0; i < 20; i++) {
        const { failures } = await transport.exchange('route', links(300))
        if (failures.length > 0) throw new Error('failed')
      }
      await transport.close()
      say(held().threads)
    `),
  )
  const ends = await Promise.all(workers.map((worker) => once(worker, 'exit')))
  t.same(ends, [[0], [0], [0], [0]])
  t.same(held(), before)
})

t.test('what nobody holds is collected, with its socket and its thread', async (t) => {
  const { code, stdout, stderr } = await run(
    `
    const transport = nativeTransport()
    const before = held()
    for (let i = 0; i < 40; i++) {
      await nativeTransport().exchange('route', links(1))
      await transport.dump('generic', Uint8Array.from([20,0,0,0, 16,0, 1,0, 0,0,0,0, 0,0,0,0, 3,1,0,0])).next()
      await nativeTransport().listen('generic', { sockets: 2 })
      new (loadAddon().NetlinkSocket)(0)
    }
    const most = held()
    for (let round = 0; round < 100 && held().sockets > before.sockets; round++) {
      gc()
      await new Promise(setImmediate)
    }
    console.log(JSON.stringify({ before, most, after: held() }))
    `,
    { args: ['--expose-gc'] },
  )
  t.same({ code, stderr }, { code: 0, stderr: '' })
  const { before, most, after } = JSON.parse(stdout)
  t.ok(most.sockets > before.sockets && most.threads > spareThreads)
  t.equal(after.sockets, before.sockets)
  t.ok(after.threads <= spareThreads)
})

t.test('a collection during an exchange takes nothing away', async (t) => {
  const { code, stdout } = await run(
    `
    const pending = Array.from({ length: 20 }, () => nativeTransport().exchange('route', links(500)))
    for (let round = 0; round < 10; round++) { gc(); await new Promise(setImmediate) }
    console.log((await Promise.all(pending)).every(({ count, failures }) => count === 500 && failures.length === 0))
    `,
    { args: ['--expose-gc'] },
  )
  t.same({ code, stdout }, { code: 0, stdout: 'true\n' })
})
