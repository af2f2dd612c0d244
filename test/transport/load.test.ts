import process from 'node:process'
import t from 'tap'
import { loadAddon } from '../../lib/transport/load.js'
import { nativeTransport } from '../../lib/transport/native.js'
import { run } from './process.js'

function choose(test: { teardown(restore: () => void): void }, file: string): void {
  const before = process.env.DPIF_HW_ACC_ADDON
  process.env.DPIF_HW_ACC_ADDON = file
  test.teardown(() => {
    if (before === undefined) delete process.env.DPIF_HW_ACC_ADDON
    else process.env.DPIF_HW_ACC_ADDON = before
  })
}

t.test('the addon is found from the root of the package', async (t) => {
  t.match(loadAddon(), { NetlinkSocket: Function, NetlinkDump: Function })
  t.equal(loadAddon().NetlinkSocket, loadAddon().NetlinkSocket)
})

t.test('without the file the error says what was looked for and what to type', async (t) => {
  choose(t, '/no/such/place.node')
  t.throws(() => loadAddon(), {
    code: 'ADDON_MISSING',
    message:
      /looked for \/no\/such\/place\.node \(from DPIF_HW_ACC_ADDON\), and there is no such file.*npm rebuild/,
  })
})

t.test('a file that does not load is told from one that is not there', async (t) => {
  choose(t, `${t.testdir({ 'broken.node': 'not an ELF file' })}/broken.node`)
  t.throws(() => loadAddon(), { code: 'ADDON_MISSING', message: /it does not load: /, cause: Error })
})

t.test('another module under the name is not taken for the addon', async (t) => {
  choose(t, `${t.testdir({ 'other.json': '{}' })}/other.json`)
  t.throws(() => loadAddon(), { code: 'ADDON_MISSING', message: /another addon/ })
})

t.test('a transport without the addon rejects when it is used, and closes all the same', async (t) => {
  choose(t, '/no/such/place.node')
  const transport = nativeTransport()
  await t.rejects(transport.exchange('route', new Uint8Array()), { code: 'ADDON_MISSING' })
  await t.rejects(transport.dump('route', new Uint8Array(16)).next(), { code: 'ADDON_MISSING' })
  await transport.close()
})

t.test('importing the library loads no native code', async (t) => {
  const { code, stdout } = await run(
    `
    nativeTransport()
    const { readFileSync } = await import('node:fs')
    console.log(readFileSync('/proc/self/maps', 'utf8').includes('ovs_dpif.node'))
    loadAddon()
    console.log(readFileSync('/proc/self/maps', 'utf8').includes('ovs_dpif.node'))
    `,
  )
  t.same({ code, stdout }, { code: 0, stdout: 'false\ntrue\n' })
})
