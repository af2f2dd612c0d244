import t from 'tap'
import { ethtool, HW_TC_OFFLOAD } from '../../lib/device/ethtool.js'
import { readMessage, writeMessage } from '../../lib/netlink/message.js'
import { messagesOf } from '../../lib/netlink/reader.js'
import { Writer } from '../../lib/netlink/writer.js'

// Bytes of Linux 6.1 with the lab's e-switch, family 0x14; lists of features are cut to three of them.
//   ethtool -k es0_pf0vf1; ethtool -K es0_pf0vf1 hw-tc-offload off

const bytes = (...lines: string[]) => new Uint8Array(Buffer.from(lines.join('').replaceAll(' ', ''), 'hex'))
const bodies = (data: Uint8Array) => [...messagesOf(data)].map((message) => readMessage(ethtool, message))
const NAME = '6573305f706630766631 00 00' // es0_pf0vf1
const FEATURE = '12000200 68772d74632d6f66666c6f616400 0000' // hw-tc-offload
const header = { name: 'es0_pf0vf1', ifindex: 7 }
const bit = { index: 49, name: HW_TC_OFFLOAD }

t.test('features that can be switched have a value, those that are on are a list', async (t) => {
  const data = bytes(
    '98000000 1400 0000 00000000 89000000 0b010000',
    `1c000180 08000100 07000000 0f000200 ${NAME}`,
    '34000280 08000200 40000000 28000380', // hw: 64 bits
    `24000180 08000100 31000000 ${FEATURE} 04000300`,
    '34000480 04000100 08000200 40000000 24000380', // active, without a mask
    `20000180 08000100 31000000 ${FEATURE}`,
  )
  const [message] = bodies(data)
  t.equal(message?.header.cmd, ethtool.commands.FEATURES_GET)
  t.same(message?.body, {
    header,
    hw: { size: 64, bits: [{ ...bit, value: true }] },
    active: { noMask: true, size: 64, bits: [bit] },
  })
})

t.test('a change is asked for with the bytes that were taken', async (t) => {
  const rows = [
    { on: false, size: '48', wanted: '20000380 1c000380 18000180', value: '' },
    { on: true, size: '4c', wanted: '24000380 20000380 1c000180', value: '04000300' },
  ]
  for (const { on, size, wanted, value } of rows) {
    const writer = new Writer(128)
    const asked = { bits: [{ name: HW_TC_OFFLOAD, ...(on ? { value: true as const } : {}) }] }
    writeMessage(writer, ethtool, {
      type: 0x14,
      flags: 0,
      header: { cmd: ethtool.commands.FEATURES_SET as number, version: ethtool.version },
      body: { header: { name: header.name }, wanted: asked },
    })
    const taken = bytes(
      `${size}000000 1400 0100 00000000 00000000 0c010000`,
      `14000180 0f000200 ${NAME}`,
      `${wanted} ${FEATURE} ${value}`,
    )
    t.same(writer.take(), taken)
  }
})

t.test('the answer to a change lists what did not come about', async (t) => {
  const data = bytes(
    '70000000 1400 0000 00000000 89000000 0c010000',
    `1c000180 08000100 07000000 0f000200 ${NAME}`,
    '30000380 08000200 40000000 24000380', // wanted: off, which it is not
    `20000180 08000100 31000000 ${FEATURE}`,
    '10000480 08000200 40000000 04000380', // active: nothing has changed
  )
  t.same(bodies(data)[0]?.body, {
    header,
    wanted: { size: 64, bits: [bit] },
    active: { size: 64, bits: [] },
  })
})
