import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { compilePut, compileTake } from '../../lib/netlink/compile.js'
import { type Struct, putLoop, takeLoop } from '../../lib/netlink/struct.js'
import { readLoop, writeLoop } from '../../lib/netlink/table.js'
import { Writer } from '../../lib/netlink/writer.js'
import { flowKey, tunnelKey } from '../../lib/ovs/key.js'

const structs = flowKey.rows.flatMap(({ name, codec }) =>
  'fields' in codec && name !== 'vlan' ? [{ name, codec: codec as Struct<object> }] : [],
)

t.test('compiled structs and their loops write and read the same', async (t) => {
  t.ok(structs.length > 5)
  for (const { name, codec } of structs) {
    for (const sample of [...codec.samples, {}]) {
      const [compiled, looped] = [new Uint8Array(codec.size), new Uint8Array(codec.size)]
      compilePut<object>(codec.fields)?.(compiled, 0, sample)
      putLoop<object>(codec.fields)(looped, 0, sample)
      t.same(compiled, looped, name)
      t.same(compileTake(codec.fields)?.(compiled, 0), takeLoop(codec.fields)(compiled, 0), name)
    }
  }
})

t.test('compiled sets and their loops write and read the same', async (t) => {
  for (const sample of flowKey.samples) {
    const [compiled, looped] = [new Writer(), new Writer()]
    flowKey.write(compiled, sample)
    writeLoop(flowKey.rows)(looped, sample)
    t.same(compiled.take(), looped.take())
  }
  const read = readLoop(new Map(flowKey.rows.map((row) => [row.id, row])))
  const value: Record<string, unknown> = {}
  t.equal(read(value, flowKey.ids.inPort, Uint8Array.of(7, 0, 0, 0), 0, 4), true)
  t.same(value, { inPort: 7 })
  t.equal(read(value, 99, new Uint8Array(), 0, 0), false)
})

t.test('same is never true of values that differ', async (t) => {
  for (const a of flowKey.samples) {
    // Lists, bytes and what nests in itself it does not look into.
    const deep = a.encap ?? a.mpls ?? a.nsh?.md2 ?? a.tunnel?.geneve ?? a.tunnel?.erspan
    t.equal(flowKey.same(a, structuredClone(a)), deep === undefined, `${Object.keys(a)}`)
    for (const b of flowKey.samples) {
      if (!isDeepStrictEqual(a, b)) t.equal(flowKey.same(a, b), false)
    }
    t.equal(flowKey.same(a, {}), false)
  }
  const unknown = { unknown: [{ id: 99, data: Uint8Array.of(1) }] }
  t.equal(flowKey.same(unknown, structuredClone(unknown)), false, 'it does not look')
  t.equal(flowKey.same(unknown, {}), false)
})

t.test('alike are keys whose values have fixed places', async (t) => {
  t.equal(flowKey.alike({ inPort: 1, ctTuple4: {} }, { inPort: 2, ctTuple4: { proto: 6 } }), true)
  t.equal(flowKey.alike({ inPort: 1 }, { inPort: 1, sctp: {} }), false)
  for (const key of [{ tunnel: { ttl: 1 } }, { mpls: [{ label: 1 }] }, { nsh: { base: {} } }]) {
    t.equal(flowKey.alike(key, key), false, `${Object.keys(key)}`)
  }
})

t.test('a flag that carries bytes is not that flag, and survives', async (t) => {
  const key = { tunnel: { unknown: [{ id: 16, data: Uint8Array.of(0x30, 0xff) }] } }
  const bytes = flowKey.encode(new Writer(), key)
  t.same(flowKey.read(bytes, 0, bytes.length), key)
  const rows = new Map(tunnelKey.rows.map((row) => [row.id, row]))
  t.equal(readLoop(rows)({}, 16, Uint8Array.of(1, 2), 0, 2), false, 'also where the loop serves')
  t.equal(readLoop(rows)({}, 16, Uint8Array.of(), 0, 0), true)
})

t.test('where code may not be made from text, the loops serve', async (t) => {
  const table = fileURLToPath(new URL('../../lib/ovs/text.js', import.meta.url))
  const script = `const { parseKey, formatKey } = await import(${JSON.stringify(table)})
    const { key, mask } = parseKey('in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.0.0/8)')
    const { flowKey } = await import(${JSON.stringify(table.replace('text.js', 'key.js'))})
    const { Writer } = await import(${JSON.stringify(table.replace('ovs/text.js', 'netlink/writer.js'))})
    const bytes = flowKey.encode(new Writer(), key)
    console.log(formatKey(flowKey.read(bytes, 0, bytes.length), mask))`
  const args = ['--disallow-code-generation-from-strings', '--input-type=module', '-e', script]
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  t.equal(stderr, '')
  t.equal(stdout, 'in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.0.0/255.0.0.0)\n')
})
