import type { NshBaseKey, NshContextKey, NshKey } from '../../types/flow.js'
import { be24, be32, u8 } from '../netlink/integers.js'
import { type Struct, struct } from '../netlink/struct.js'
import { AttributeSet, bytes } from '../netlink/table.js'

/** struct ovs_nsh_key_base; the service path header is one word, of which the upper 24 bits are the path. */
export const nshBase: Struct<NshBaseKey> = struct<NshBaseKey>({
  flags: u8,
  ttl: u8,
  mdtype: u8,
  np: u8,
  spi: be24,
  si: u8,
})

/** struct ovs_nsh_key_md1. */
export const nshContext: Struct<NshContextKey> = struct<NshContextKey>({
  c1: be32,
  c2: be32,
  c3: be32,
  c4: be32,
})

/** A network service header (RFC 8300): in keys, and as what an action pushes. */
// biome-ignore format: one row per line
export const nshKey: AttributeSet<NshKey> = new AttributeSet<NshKey>('nsh', {
  base: { uapi: 'OVS_NSH_KEY_ATTR_BASE', id: 1, codec: nshBase, since: '4.15', doc: 'The fixed part.' },
  md1: { uapi: 'OVS_NSH_KEY_ATTR_MD1', id: 2, codec: nshContext, since: '4.15', doc: 'Context of type 1: four words.' },
  md2: { uapi: 'OVS_NSH_KEY_ATTR_MD2', id: 3, codec: bytes, since: '4.15', doc: 'Context of type 2: TLVs; only to be pushed.' },
})
