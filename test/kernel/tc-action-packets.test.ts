import t from 'tap'
import { TcBackend } from '../../lib/backend/tc/flows.js'
import { kernelOnly, NativeTransport, tcOnly } from '../../lib/index.js'
import { ParsedUfid } from '../../lib/ovs/ufid.js'
import type { Action } from '../../types/action.js'
import type { FlowView } from '../../types/backend.js'
import { bench, datapath, missing, open } from '../fixtures/lab.js'
import { sender } from '../fixtures/packets.js'

// What the actions do to packets: a second datapath at the far ends of the links sends a frame, and counts what comes out where.

t.setTimeout(0)

/** An Ethernet frame of so many bytes, with UDP and a TTL of 64 and of 1. */
const frame = (size: number, ttl = 64) => {
  const bytes = new Uint8Array(size)
  const length = (size - 14).toString(16).padStart(4, '0')
  const check = 0x4500 + (size - 14) + 1 + (ttl << 8) + 17 + 0x0a00 + 1 + 0x0a00 + 2
  const sum = (~((check & 0xffff) + (check >>> 16)) & 0xffff).toString(16).padStart(4, '0')
  const text = `020000000001 020000000002 0800 4500${length}00010000${ttl.toString(16).padStart(2, '0')}11${sum} 0a000001 0a000002 00010002${(size - 34).toString(16).padStart(4, '0')}0000`
  bytes.set(Buffer.from(text.replaceAll(' ', ''), 'hex'))
  return bytes
}

const label = { label: 1000, tc: 0, ttl: 64, bos: 1, etherType: 0x8847 }
const ways = (size: number): Action => ({
  checkPktLen: { size, greater: [{ output: 2 }], lessEqual: [{ pushVlan: { vid: 7 } }, { output: 3 }] },
})
const ip = (more: object = {}) => ({
  key: { ethernet: {}, etherType: 0x0800, ipv4: { ...more } },
  mask: { etherType: 0xffff, ipv4: 'ttl' in more ? { ttl: 0xff } : {} },
})
const tagged = {
  key: { ethernet: {}, etherType: 0x8100, vlan: { vid: 7, cfi: 1 }, encap: { etherType: 0x0800, ipv4: {} } },
  mask: { etherType: 0xffff, vlan: { vid: 0xfff, cfi: 1 }, encap: { etherType: 0xffff } },
}
const marked = {
  key: { ethernet: { src: '02:00:00:00:00:09' }, etherType: 0x0800, ipv4: {} },
  mask: { ethernet: { src: 'ff:ff:ff:ff:ff:ff' }, etherType: 0xffff },
}

/** What is sent, what is done, and what comes out of which port. */
// biome-ignore format: one row per line
const rows: readonly (readonly [name: string, sent: Uint8Array, actions: readonly Action[], out: { port: number; as: { key: object; mask: object } } | undefined])[] = [
  ['an output', frame(60), [{ output: 2 }], { port: 2, as: ip() }],
  ['a drop', frame(60), [], undefined],
  ['a frame of the length checked for', frame(100), [ways(100)], { port: 3, as: tagged }],
  ['a frame of one byte more', frame(101), [ways(100)], { port: 2, as: ip() }],
  ['a long frame, dropped', frame(101), [{ checkPktLen: { size: 100, greater: [], lessEqual: [{ output: 2 }] } }], undefined],
  ['a short frame, dropped', frame(99), [{ checkPktLen: { size: 100, greater: [{ output: 2 }], lessEqual: [] } }], undefined],
  ['a TTL less', frame(60), [{ decTtl: { action: [] } }, { output: 2 }], { port: 2, as: ip({ ttl: 63 }) }],
  ['two less', frame(60), [{ decTtl: { action: [] } }, { decTtl: { action: [] } }, { output: 2 }], { port: 2, as: ip({ ttl: 62 }) }],
  ['a label, and off again', frame(60), [{ pushMpls: label }, { popMpls: 0x0800 }, { output: 2 }], { port: 2, as: ip() }],
  ['the Ethernet header off and on', frame(60), [{ popEth: true }, { pushEth: { src: '02:00:00:00:00:09', dst: '02:00:00:00:00:02' } }, { output: 2 }], { port: 2, as: marked }],
  ['a tag on a tag, and both off', frame(60), [{ pushVlan: { vid: 7 } }, { pushVlan: { vid: 9 } }, { popVlan: true }, { popVlan: true }, { output: 2 }], { port: 2, as: ip() }],
  ['through conntrack', frame(60), [{ ct: { commit: true } }, { ctClear: true }, { output: 2 }], { port: 2, as: ip() }],
  ['a tunnel that no device takes', frame(60), [{ set: { tunnel: { id: 5n, dst: '10.0.0.9', ttl: 64 } } }, { output: 2 }], { port: 2, as: ip() }],
]

const reason = (await missing()) || false
if (reason !== false) t.plan(0, `no kernel to try: ${reason}`)
else {
  t.test('packets come out as the actions say', async (t) => {
    const { dpif, peers } = await bench(t, tcOnly(), 3)
    const far = await datapath(t)
    const farDpif = await open(t, far.name, kernelOnly())
    for (const [index, name] of peers.entries()) await farDpif.addPort(name, { number: index + 1 })
    const transport = new NativeTransport()
    t.teardown(() => transport.close())
    const send = await sender(transport, far.ifindex)
    const backend = new TcBackend(transport)
    backend.portsChanged(await dpif.ports())
    const id = new ParsedUfid('3f2a9c10-0000-4000-8000-000000000001')
    const key = { recircId: 0, inPort: 1, ethernet: {}, etherType: 0x0800, ipv4: { ttl: 64 } }
    const mask = { recircId: 0xffffffff, inPort: 0xffffffff, etherType: 0xffff, ipv4: { ttl: 0xff } }
    const { ufid, w0, w1, w2, w3 } = id
    for (const [name, bytes, actions, out] of rows) {
      const flow: FlowView = {
        ufid,
        w0,
        w1,
        w2,
        w3,
        mode: 'create',
        inPort: 1,
        key,
        mask,
        actions,
        ufidGiven: true,
      }
      const [put] = await backend.operate([{ verb: 'create', flow, choice: { backend: 'tc' } }])
      t.equal(put?.error, undefined, put?.error?.message ?? name)
      // Whatever comes out of a port, and what is expected.
      const counted: Record<string, string> = {}
      for (const port of [2, 3]) {
        const inPort = { key: { inPort: port }, mask: { inPort: 0xffffffff } }
        const as = out?.port === port ? out.as : ip()
        const spec = { key: { ...inPort.key, ...as.key }, mask: { ...inPort.mask, ...as.mask } }
        const { ufid, error } = await farDpif.put({ ...spec, actions: [] })
        t.equal(error, undefined, error?.message ?? name)
        counted[port] = ufid ?? ''
      }
      await send(1, bytes, 1)
      for (const [port, ufid] of Object.entries(counted)) {
        const { flow } = await farDpif.get({ ufid })
        t.equal(flow?.stats?.packets, Number(port) === out?.port ? 1n : 0n, `${name}: port ${port}`)
        await farDpif.del({ ufid })
      }
      const [got] = await backend.operate([{ verb: 'get', id }])
      t.equal(got?.flow?.stats?.packets, 1n, `${name}: the flow has seen it`)
      await backend.operate([{ verb: 'del', id, wantStats: false }])
    }
  })
}
