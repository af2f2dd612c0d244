import t from 'tap'
import { devlinkFacts } from '../../bench/devlink.js'
import { environment } from '../../bench/environment.js'
import type { Exchange, MessageFailure, Transport } from '../../lib/index.js'
import { beginMessage, endMessage, messagesOf, string, u16, u32, Writer } from '../../lib/netlink/index.js'

// The layout is that of net/devlink (linux/devlink.h); no device of the lab has one.

const family = 40
const text = (writer: Writer, id: number, value: string) => {
  const at = writer.begin(id)
  string.write(writer, value)
  writer.end(at)
}
const nest = (writer: Writer, id: number, write: () => void) => {
  const at = writer.begin(id)
  write()
  writer.end(at)
}

/** Answers the controller and the commands in `answers`; refuses the rest with EOPNOTSUPP. */
function device(answers: Readonly<Record<number, (writer: Writer) => void>>): Transport {
  return {
    name: 'scripted',
    exchange: async (_, batch): Promise<Exchange> => {
      const failures: MessageFailure[] = []
      const writer = new Writer(256)
      const messages = [...messagesOf(batch)]
      for (const [index, { type, start }] of messages.entries()) {
        const cmd = batch[start + 16] ?? 0
        const answer =
          type === 16
            ? (writer: Writer) => {
                const at = writer.begin(1)
                u16.write(writer, family)
                writer.end(at)
              }
            : answers[cmd]
        if (answer === undefined) {
          failures.push({ index, errno: 95 })
          continue
        }
        const at = beginMessage(writer, type, 0)
        u32.put(writer.bytes, at + 8, index)
        writer.append(Uint8Array.of(cmd, 1, 0, 0))
        answer(writer)
        endMessage(writer, at)
      }
      return { count: messages.length, failures, replies: writer.take() }
    },
    dump: () => {
      throw new Error('nothing is dumped')
    },
    listen: () => {
      throw new Error('nothing is dumped')
    },
    close: async () => {},
  }
}

t.test('driver, firmware, e-switch and steering mode come from devlink', async (t) => {
  const version = (writer: Writer, name: string, value: string) =>
    nest(writer, 101, () => {
      text(writer, 103, name)
      text(writer, 104, value)
    })
  const transport = device({
    51: (writer) => {
      text(writer, 98, 'mlx5_core')
      version(writer, 'fw.psid', 'MT_0000000359')
      version(writer, 'fw.version', '22.39.1002')
    },
    29: (writer) => {
      const at = writer.begin(25)
      u16.write(writer, 1)
      writer.end(at)
    },
    38: (writer) =>
      nest(writer, 80, () => {
        text(writer, 81, 'flow_steering_mode')
        nest(writer, 84, () => nest(writer, 85, () => text(writer, 86, 'smfs')))
      }),
  })
  t.same(await devlinkFacts(transport, 'pci', '0000:08:00.0'), {
    driver: 'mlx5_core',
    firmware: '22.39.1002',
    eswitchMode: 'switchdev',
    steeringMode: 'smfs',
  })
})

t.test('a device that tells nothing is no error', async (t) => {
  t.same(await devlinkFacts(device({}), 'pci', '0000:08:00.0'), {})
})

t.test('a device without a bus is told by its name alone', async (t) => {
  const { nic, cpus } = await environment('lo', device({}))
  t.match(nic, { device: 'lo' })
  t.notOk(nic?.driver)
  t.ok(cpus > 0)
})
