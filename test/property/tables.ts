import type { Codec, Scalar } from '../../lib/netlink/codec.js'
import type { Struct } from '../../lib/netlink/struct.js'
import type { AttributeSet } from '../../lib/netlink/table.js'
import { Writer } from '../../lib/netlink/writer.js'
import {
  connectionMessage,
  sctpInfo,
  tcpInfo,
  tuple,
  tupleIp,
  tupleProto,
} from '../../lib/netfilter/connection.js'
import { tcpTimeouts, timeoutMessage } from '../../lib/netfilter/timeout.js'
import { controller } from '../../lib/netlink/genl.js'
import { devlink, devlinkVersion } from '../../lib/device/devlink.js'
import { ethtool, ethtoolBit, ethtoolBitset, ethtoolHeader } from '../../lib/device/ethtool.js'
import { linkMessage } from '../../lib/device/link.js'
import { actionList, nestedSets } from '../../lib/ovs/action.js'
import { ctLimit } from '../../lib/ovs/ct-limit.js'
import { datapath } from '../../lib/ovs/datapath.js'
import { flow } from '../../lib/ovs/flow.js'
import { flowKey, nshKey, tunnelKey, vxlanKey } from '../../lib/ovs/key.js'
import { packet } from '../../lib/ovs/packet.js'
import { vport } from '../../lib/ovs/vport.js'
import { actionEnvelope, actionKinds, tcActions } from '../../lib/tc/action/index.js'
import { geneveOption, erspanOption, vxlanOption } from '../../lib/tc/action/tunnel-key.js'
import { flower } from '../../lib/tc/flower.js'
import { tcMessage } from '../../lib/tc/message.js'
import type { Random } from '../fixtures/random-actions.js'

/** Every table of attributes there is. */
export const tables = [
  controller.body,
  linkMessage.body,
  ctLimit.body,
  connectionMessage.body,
  tuple,
  tupleIp,
  tupleProto,
  tcpInfo,
  sctpInfo,
  timeoutMessage.body,
  tcpTimeouts,
  devlink.body,
  devlinkVersion,
  ethtool.body,
  ethtoolHeader,
  ethtoolBitset,
  ethtoolBit,
  datapath.body,
  vport.body,
  flow.body,
  packet.body,
  flowKey,
  tunnelKey,
  vxlanKey,
  nshKey,
  actionList.set,
  ...nestedSets,
  flower,
  actionEnvelope,
  tcMessage.body,
  geneveOption,
  vxlanOption,
  erspanOption,
  ...actionKinds.map(({ options }) => options),
] as readonly AttributeSet<object>[]

/** What reads bytes that come from a kernel. */
export const decoders: readonly { readonly name: string; readonly codec: Codec<unknown> }[] = [
  ...tables.map((codec) => ({ name: codec.name, codec: codec as Codec<unknown> })),
  { name: 'actions of openvswitch', codec: actionList as Codec<unknown> },
  { name: 'actions of TC', codec: tcActions as Codec<unknown> },
]

const isScalar = (codec: Codec<unknown>): codec is Scalar<unknown> =>
  codec.size !== undefined && 'take' in codec && 'parse' in codec

const isStruct = (codec: Codec<unknown>): codec is Struct<object> => 'fields' in codec && 'take' in codec

/** Every field of openvswitch's tables that is a single value, by itself or in a struct. */
export const scalars: readonly { readonly name: string; readonly codec: Scalar<unknown> }[] = tables.flatMap(
  ({ name, rows }) =>
    rows.flatMap((row) => {
      const { fields = [] } = row.codec as Partial<Struct<object>>
      const parts = fields.map((field) => ({
        name: `${name}.${row.name}.${field.name}`,
        codec: field.scalar,
      }))
      return isScalar(row.codec) ? [{ name: `${name}.${row.name}`, codec: row.codec }] : parts
    }),
)

/** Those whose words are their own: no number with a sign is ever printed, and what a fragment is called is read in text-key.ts. */
export const spoken = scalars.filter(({ name, codec }) => {
  const largest = String(codec.take(new Uint8Array(codec.size).fill(0xff), 0))
  return !largest.startsWith('-') && !name.endsWith('.frag')
})

/** A value of a scalar out of chance, with the ends more often than chance has them. */
export function randomScalar(random: Random, codec: Scalar<unknown>): unknown {
  const { zero, ones } = codec
  const dice = random.upTo(9)
  if (dice === 0) return zero
  if (dice === 1) return ones
  return anyValue(random, codec)
}

/** Out of as many bytes of chance as it has. */
export const anyValue = (
  random: Random,
  { size, take }: Pick<Struct<object> | Scalar<unknown>, 'size' | 'take'>,
): unknown =>
  take(
    Uint8Array.from({ length: size }, () => random.upTo(255)),
    0,
  )

/** An object with some rows of a table. */
export function randomObject(random: Random, { rows }: AttributeSet<object>): object {
  const object: Record<string, unknown> = {}
  for (const { name, codec } of rows) {
    if (random.upTo(2) > 0) continue
    if (isScalar(codec)) object[name] = randomScalar(random, codec)
    else if (isStruct(codec)) object[name] = anyValue(random, codec)
    else if (codec.samples.length > 0) object[name] = random.pick(codec.samples)
  }
  return object
}

export function encode(codec: { write(writer: Writer, value: never): void }, value: unknown): Uint8Array {
  const writer = new Writer(64)
  codec.write(writer, value as never)
  return writer.take()
}
