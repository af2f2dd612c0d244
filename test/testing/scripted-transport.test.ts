import t from 'tap'
import { DpifError } from '../../lib/errors.js'
import { ScriptedTransport } from '../../lib/testing/scripted-transport.js'

const message = new Uint8Array(16)
message[0] = 16

t.test('answers as the script says and remembers what it was sent', async (t) => {
  const failures = [{ index: 0, errno: 22, text: 'no' }]
  const error = new DpifError('DUMP_INTERRUPTED', 'changed')
  const transport = new ScriptedTransport([
    { protocol: 'generic', expect: message, failures },
    { protocol: 'route', pages: [message], error },
  ])
  t.same(await transport.exchange('generic', message), { count: 1, failures, replies: new Uint8Array(0) })
  const pages: Uint8Array[] = []
  await t.rejects(
    async () => {
      for await (const page of transport.dump('route', message)) pages.push(page)
    },
    { code: 'DUMP_INTERRUPTED' },
  )
  t.same(pages, [message])
  t.equal(transport.remaining, 0)
  t.same(
    transport.sent.map(({ call, protocol }) => `${call} ${protocol}`),
    ['exchange generic', 'dump route'],
  )
})

t.test('a call that is not in the script throws', async (t) => {
  const transport = new ScriptedTransport([{ protocol: 'route', expect: message }])
  await t.rejects(transport.exchange('route', new Uint8Array(0)), /call 1 sent .* the script has 1000/)
  await t.rejects(transport.exchange('route', message), /the script has nothing more/)
  await transport.close()
  await t.rejects(transport.exchange('route', message), { code: 'CLOSED' })
})
