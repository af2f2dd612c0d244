import fc from 'fast-check'
import { isIPv6, SocketAddress } from 'node:net'
import t from 'tap'
import { ipv6 } from '../../lib/netlink/addresses.js'

const bytes = new Uint8Array(20).fill(0xa5)

/** The address as it was read, as text; nothing when it was refused. */
function read(text: string): string | undefined {
  bytes.fill(0xa5)
  try {
    ipv6.put(bytes, 2, text)
  } catch (error) {
    if (error instanceof TypeError) return undefined
    throw error
  }
  return ipv6.take(bytes, 2)
}

t.test('an IPv6 address is read as inet_pton() does', async (t) => {
  // biome-ignore format: one line
  const texts = ['::', '::1', '1::', '1::2', ':::', ':1', '1:', '::1:', ':1::', '1::2::3', '1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7::', '::2:3:4:5:6:7:8',
    '1:2:3:4:5:6:7:8:9', '1:2:3:4:5:6:7:8::', '::1:2:3:4:5:6:7:8', '1:2:3:4::5:6:7:8', '12345::', 'g::', '', ':', '::ffff:10.0.0.1', '::10.0.0.1', 'FE80::A', 'fe80::1%lo', ' ::1']
  for (const text of texts) {
    const there = isIPv6(text) && !text.includes('%')
    t.equal(
      read(text),
      there ? new SocketAddress({ address: text, family: 'ipv6' }).address : undefined,
      `'${text}'`,
    )
    if (there) t.same([bytes[1], bytes[18]], [0xa5, 0xa5], 'and nothing beside it is touched')
  }
})

t.test('so is whatever looks like one', async () => {
  const part = fc.constantFrom(':', '::', '0', '1', 'ab', 'ffff', '10.0.0.1', '12345', 'x')
  const almost = fc
    .array(fc.constantFrom('0', '1', 'fe80', 'abcd'), { minLength: 6, maxLength: 9 })
    .chain((groups) =>
      fc
        .nat(groups.length)
        .map((at) => [groups.slice(0, at).join(':'), groups.slice(at).join(':')].join('::')),
    )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(part, { maxLength: 17 }).map((parts) => parts.join('')),
        almost,
        fc.ipV6(),
      ),
      (text) => {
        const there = isIPv6(text) && !text.includes('%')
        return (
          read(text) === (there ? new SocketAddress({ address: text, family: 'ipv6' }).address : undefined)
        )
      },
    ),
    { numRuns: 2000 },
  )
})
