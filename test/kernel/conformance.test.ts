import t from 'tap'
import {
  createDatapath,
  deleteDatapath,
  kernelOnly,
  NativeTransport,
  openDpif,
  type Port,
} from '../../lib/index.js'
import { writeMessage } from '../../lib/netlink/message.js'
import { Writer } from '../../lib/netlink/writer.js'
import { conformance } from '../../lib/testing/conformance.js'
import { hooks, tcMessage, types } from '../../lib/tc/message.js'
import { missing, unique, veth } from '../fixtures/lab.js'
import { sender } from '../fixtures/packets.js'

// The suite every kernel has to pass, on the one that decides. Links are made once for all cases; each case has a datapath of its
// own. Packets are made by a second datapath that holds the far ends of the links: executing "output" there sends a frame over one,
// so that it arrives on the port as any other would.

// The lab has a limit of its own; an emulated kernel takes minutes for what a native one does in seconds.
t.setTimeout(0)

const reason = await missing()
if (reason !== false) {
  t.plan(0, `no kernel to try: ${reason}`)
} else {
  const transport = new NativeTransport()
  t.teardown(() => transport.close())
  const kernel = { transport }

  const pairs = [veth(t), veth(t), veth(t)]
  const farName = unique('far')
  await createDatapath(farName, kernel)
  t.teardown(() => deleteDatapath(farName, kernel))
  const far = await openDpif({ transport, datapath: farName, policy: kernelOnly() })
  for (const [index, [, name]] of pairs.entries()) await far.addPort(name, { number: index + 1 })
  const execute = await sender(transport, far.datapath.ifindex)

  const fresh = async () => {
    const { name: datapath } = await createDatapath(unique('dp'), kernel)
    const dpif = await openDpif({ transport, datapath, policy: kernelOnly() })
    const ports: Port[] = []
    for (const [name] of pairs) ports.push(await dpif.addPort(name))
    await dpif.close()
    return {
      transport,
      datapath,
      ports,
      send: (port: number, frame: Uint8Array, count: number) =>
        execute(1 + ports.findIndex(({ number }) => number === port), frame, count),
      dispose: async () => {
        await deleteDatapath(datapath, kernel)
        // With the qdisc go all filters.
        const writer = new Writer()
        for (const { ifindex } of ports) {
          const header = { ifindex, handle: hooks.QDISC_HANDLE, parent: hooks.QDISC }
          writeMessage(writer, tcMessage, { type: types.DELQDISC, flags: 0, header, body: {} })
        }
        await transport.exchange('route', writer.take())
      },
    }
  }

  for (const { name, run } of conformance({ fresh })) t.test(name, run)
}
