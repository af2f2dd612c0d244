import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { createDatapath, deleteDatapath, kernelOnly, NativeTransport, openDpif } from '../lib/index.js'
import { Writer, writeMessage } from '../lib/netlink/index.js'
import { packet, packetCommands } from '../lib/ovs/packet.js'
import { Families } from '../lib/transport/family.js'

// A packet generator, a process of its own: `node generator.js DEVICE SECONDS [PACKETS A SECOND]`. It says "ready", and once it is told to by
// a line on stdin it sends frames of connections nobody has seen out of DEVICE, one end of a veth. Its last line says how many. Node has
// no packet sockets, so a datapath of its own executes "output" for it.

const [device = '', seconds = '1', rate = 'Infinity'] = process.argv.slice(2)
const name = `gen${process.pid}`
const BATCH = 64

/** UDP in IPv4, padded to 60 bytes. Connection `n` has a source MAC, a source address and a source port of its own. */
function frameOf(n: number): Uint8Array {
  const [a, b, c, d] = [n >>> 24, (n >>> 16) & 0xff, (n >>> 8) & 0xff, n & 0xff]
  const frame = new Uint8Array(60)
  frame.set([2, 0xbb, 0, 0, 0, 0xbb, 2, 0xaa, a, b, c, d, 8, 0])
  frame.set([0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, b, c, d, 10, 255, 0, 1], 14)
  frame.set([4 + a, 0, 0, 7, 0, 26, 0, 0], 34)
  return frame
}

const transport = new NativeTransport()
const { ifindex: dpIfindex } = await createDatapath(name, { transport })
try {
  const dpif = await openDpif({ datapath: name, policy: kernelOnly(), transport })
  const { number } = await dpif.addPort(device, { up: true })
  console.log('ready')
  const input = createInterface(process.stdin)
  for await (const _ of input) break
  input.close()
  console.log(JSON.stringify({ sent: await flood(number) }))
} finally {
  await deleteDatapath(name, { transport })
  await transport.close()
}
process.stdin.destroy()

async function flood(port: number): Promise<number> {
  const type = await new Families(transport).id(packet)
  const header = { cmd: packetCommands.EXECUTE, version: packet.version, dpIfindex }
  const writer = new Writer(BATCH * 128)
  const from = performance.now()
  let sent = 0
  for (;;) {
    const elapsed = performance.now() - from
    if (elapsed > Number(seconds) * 1000) return sent
    const early = (sent * 1000) / Number(rate) - elapsed
    if (early > 1) await delay(early)
    for (let turn = 0; turn < BATCH; turn++) {
      const body = { packet: frameOf(sent++), key: {}, actions: [{ output: port }] }
      writeMessage(writer, packet, { type, flags: 0, header, body })
    }
    const { failures } = await transport.exchange('generic', writer.view())
    writer.reset()
    if (failures[0] !== undefined) throw new Error(`cannot send: errno ${failures[0].errno}`)
  }
}
