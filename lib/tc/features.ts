/**
 * What kernels learned one after the other about flower. An older one skips an attribute it does not know, and then the filter
 * matches more than was asked: what is not in the set of a kernel is not sent to it.
 */
export interface FeatureRow {
  /** The kernel that brought it. */
  readonly since: string
  /** The attribute, or the flag of one, that a kernel with the feature reports back and one without does not. Absent where nothing can. */
  readonly proof?: string
  readonly doc: string
}

// biome-ignore format: one row per line
export const features = {
  geneveOpts:   { since: '4.19', proof: 'TCA_FLOWER_KEY_ENC_OPTS_GENEVE', doc: 'GENEVE options.' },
  ctState:      { since: '5.3', proof: 'TCA_FLOWER_KEY_CT_STATE', doc: 'Conntrack state, zone, mark and labels.' },
  vxlanGbp:     { since: '5.5', proof: 'TCA_FLOWER_KEY_ENC_OPTS_VXLAN', doc: 'VXLAN group policy.' },
  erspanOpts:   { since: '5.5', proof: 'TCA_FLOWER_KEY_ENC_OPTS_ERSPAN', doc: 'ERSPAN version 1.' },
  mplsOpts:     { since: '5.8', proof: 'TCA_FLOWER_KEY_MPLS_OPTS', doc: 'More than one MPLS label.' },
  ctReply:      { since: '5.12', proof: 'TCA_FLOWER_KEY_CT_FLAGS_REPLY', doc: 'The conntrack states inv and rpl.' },
  numOfVlans:   { since: '5.19', proof: 'TCA_FLOWER_KEY_NUM_OF_VLANS', doc: 'How many VLAN tags there are.' },
  encFlags:     { since: '6.11', proof: 'TCA_FLOWER_KEY_ENC_FLAGS', doc: 'The tunnel flags df, csum and oam.' },
  ctHelper:     { since: '6.2', proof: 'TCA_CT_HELPER_FAMILY', doc: 'Conntrack helpers in an action.' },
  tunnelNoFrag: { since: '6.4', proof: 'TCA_TUNNEL_KEY_NO_FRAG', doc: 'The tunnel flag df in an action.' },
  // Kernels before set all bits but these in key and mask alike, and match nothing (also fixed in 6.1.120, 6.6.66 and 6.12.5).
  erspanV2:     { since: '6.13', doc: 'ERSPAN version 2: direction and hardware id.' },
  // flower compares only those bits of the options' length that are set in it (fl_set_enc_opt()); 8 bytes match 12 and 24 too, seen on 6.1.
  geneveLength: { since: 'none yet', doc: 'GENEVE options of exactly the length that is matched, no longer ones.' },
} as const satisfies Readonly<Record<string, FeatureRow>>

export type Feature = keyof typeof features
/** What a kernel is known to have. */
export type Supports = Pick<ReadonlySet<Feature>, 'has'>

/** What Linux 6.1 has: what is said of a kernel that was not asked. */
export const linux61: ReadonlySet<Feature> = new Set<Feature>([
  'geneveOpts',
  'ctState',
  'vxlanGbp',
  'erspanOpts',
  'mplsOpts',
  'ctReply',
  'numOfVlans',
])
