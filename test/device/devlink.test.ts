import t from 'tap'
import { type DevlinkBody, devlink, devlinkVersion, RUNNING } from '../../lib/device/devlink.js'
import { readMessage, writeMessage } from '../../lib/netlink/message.js'
import { messagesOf } from '../../lib/netlink/reader.js'
import { Writer } from '../../lib/netlink/writer.js'

// Bytes of Linux 6.1 with the lab's e-switch, family 0x15:
//   node dist/test/lab/cli.js qemu --eswitch -- sh -c 'insmod $LAB_ESWITCH vfs=2; …'
// in the order of `devlink port`, `devlink dev eswitch show` and `devlink dev info`.

const bytes = (...lines: string[]) => new Uint8Array(Buffer.from(lines.join('').replaceAll(' ', ''), 'hex'))
const bodies = (data: Uint8Array): DevlinkBody[] =>
  [...messagesOf(data)].map((message) => readMessage(devlink, message).body)

const DEVICE = ['0d000100 706c6174666f726d00000000', '0e000200 657377697463682e30000000'] as const
const named = { busName: 'platform', devName: 'eswitch.0' }

t.test('ports are read: an uplink, and the representor of a VF', async (t) => {
  const data = bytes(
    ...['70000000 1500 0200 01000000 02bdf5eb 03010000', ...DEVICE],
    '08000300 00000000 06000400 02000000 08000600 05000000', // index, type, ifindex
    '0b000700 6573305f703000 00', // es0_p0
    '05009400 00000000 06004d00 00000000 08004e00 00000000', // splittable, flavour physical, number
    ...['8c000000 1500 0200 01000000 02bdf5eb 03010000', ...DEVICE],
    '08000300 02000000 06000400 02000000 08000600 07000000',
    '0f000700 6573305f706630766631 00 00', // es0_pf0vf1
    '05009400 00000000 06004d00 04000000', // flavour pcivf
    '08009600 00000000 06007f00 00000000 06008000 01000000', // controller, PF, VF
    '05009500 00000000', // external
  )
  const [uplink, vf] = bodies(data)
  t.match(uplink, { ...named, portIndex: 0, portIfindex: 5, portFlavour: 0, portNumber: 0 })
  t.match(vf, { ...named, portIndex: 2, portIfindex: 7, portFlavour: 4 })
  t.match(vf, { controller: 0, pf: 0, vf: 1, external: 0 })
  t.same(
    uplink?.unknown?.map(({ id }) => id),
    [4, 7, 148],
    'what says nothing new is kept',
  )
})

t.test('the mode is read, and set with the bytes that were taken', async (t) => {
  const answer = bytes('3c000000 1500 0000 00000000 89000000 1d010000', ...DEVICE, '06001900 01000000')
  t.same(bodies(answer), [{ ...named, eswitchMode: 1 }])
  const writer = new Writer(64)
  const header = { cmd: devlink.commands.ESWITCH_SET as number, version: devlink.version }
  writeMessage(writer, devlink, { type: 0x15, flags: 0, header, body: { ...named, eswitchMode: 1 } })
  const taken = bytes('3c000000 1500 0100 00000000 00000000 1e010000', ...DEVICE, '06001900 01000000')
  t.same(writer.take(), taken)
})

t.test('versions come several times, and in nests', async (t) => {
  const data = bytes(
    ...['74000000 1500 0000 00000000 89000000 33010000', ...DEVICE],
    '0c006200 6573776974636800', // eswitch
    '1c006400 0d006700 626f6172642e696400 000000 08006800 6c616200', // fixed: board.id lab
    '18006500 07006700 667700 00 0a006800 312e302e3000 0000', // running: fw 1.0.0
  )
  const [info] = bodies(data)
  t.equal(info?.driver, 'eswitch')
  const running = info?.unknown?.filter(({ id }) => id === RUNNING.id) ?? []
  t.same(
    running.map(({ data }) => devlinkVersion.read(data, 0, data.length)),
    [{ name: 'fw', value: '1.0.0' }],
  )
})
