import type { FlowKey } from '../../types/flow.js'
import { u16 } from '../netlink/integers.js'
import { eachAttribute } from '../netlink/reader.js'
import type { Writer } from '../netlink/writer.js'
import type { TcAction } from './action/index.js'
import { verdicts } from './action/kind.js'
import { tunnelKeyActions } from './action/tunnel-key.js'
import type { Feature } from './features.js'
import { type FlowerBody, filterFlags, flower } from './flower.js'
import { etherTypes, oddRows, writeMatch } from './match.js'
import { ctState } from './match-ct.js'
import { mplsOpts } from './match-mpls.js'
import { put } from './match-row.js'
import { encFlags } from './match-tunnel.js'
import { encOpts } from './match-tunnel-options.js'

/**
 * A filter that only a kernel with the feature reports back as it was asked for: others pass over what they do not know. Where it
 * says `isRefused`, a kernel with the feature looks closer and refuses it. A feature that has several probes has to pass them all.
 */
export interface Probe {
  /** Ethernet type of the filter. */
  readonly protocol: number
  /** Writes the filter's TCA_OPTIONS. */
  readonly write: (writer: Writer) => void
  readonly isRefused?: true
  /** Looks at what the kernel reports back. */
  readonly isProven: (filter: FlowerBody) => boolean
}

const tunnel = { id: 1n, src: '192.0.2.1', dst: '192.0.2.2', tpDst: 6081, ttl: 64 }
const tunnelMask = { id: 0xffffffffffffffffn, src: '255.255.255.255', dst: '255.255.255.255' }
/** One option of class 0x0102, type 3, with four bytes of data. */
const geneve = Uint8Array.of(1, 2, 3, 1, 4, 5, 6, 7)
const geneveMask = Uint8Array.of(0xff, 0xff, 0xff, 0x1f, 0xff, 0xff, 0xff, 0xff)
/** Version 1, index 1. */
const erspan = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0)
const erspanMask = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0)
const label = { label: 16, tc: 0, ttl: 0, bos: 0 }
const labelMask = { label: 0xfffff, tc: 0, ttl: 0, bos: 0 }

const inSoftware = { flags: filterFlags.SKIP_HW }

const AF_INET = 2
const MPLS = 0x8847
/** OVS_CS_F_*. */
const NEW_TRACKED = 0x21
const REPLY_TRACKED = 0x28
/** TCA_FLOWER_KEY_CT_FLAGS_*: tracked, and a bit that no kernel has. */
const TRACKED = 0x0008
const NO_SUCH_STATE = 0x8000

/** A filter that every kernel takes, unless none can be put at all. */
export const plain: Probe = {
  protocol: etherTypes.IPV4,
  write: (writer) => {
    writeMatch(writer, { etherType: etherTypes.IPV4 }, { etherType: 0xffff })
    flower.write(writer, inSoftware)
  },
  isProven: () => true,
}

/** A probe of something. */
export type FeatureProbe = Probe & { readonly feature: Feature }

/** What the kernels learned one after the other, and how to tell. */
export const probes: readonly FeatureProbe[] = [
  match(
    'geneveOpts',
    { tunnel: { ...tunnel, geneve } },
    { tunnel: { ...tunnelMask, geneve: geneveMask } },
    (found) => hasOption(found, encOpts.geneve.id),
  ),
  match('ctState', { ctState: NEW_TRACKED }, { ctState: NEW_TRACKED }, (found) => stateOf(found) === 0x9),
  match(
    'vxlanGbp',
    { tunnel: { ...tunnel, vxlan: { gbp: 1 } } },
    { tunnel: { ...tunnelMask, vxlan: { gbp: 0xffff } } },
    (found) => hasOption(found, encOpts.vxlan.id),
  ),
  match(
    'erspanOpts',
    { tunnel: { ...tunnel, erspan } },
    { tunnel: { ...tunnelMask, erspan: erspanMask } },
    (found) => hasOption(found, encOpts.erspan.id),
  ),
  match('mplsOpts', { etherType: MPLS, mpls: [label, label] }, { mpls: [labelMask, labelMask] }, (found) =>
    found.has(mplsOpts.opts.id),
  ),
  match(
    'ctReply',
    { ctState: REPLY_TRACKED },
    { ctState: REPLY_TRACKED },
    (found) => stateOf(found) === 0x28,
  ),
  {
    // Kernels that take states they do not know take this one too (fl_policy, net/sched/cls_flower.c, Linux 5.12).
    feature: 'ctReply',
    protocol: etherTypes.IPV4,
    isRefused: true,
    write: (writer) => {
      writeMatch(writer, { etherType: etherTypes.IPV4 }, { etherType: 0xffff })
      put(writer, ctState.maskId, u16, TRACKED | NO_SUCH_STATE)
      put(writer, ctState.id, u16, TRACKED)
      flower.write(writer, inSoftware)
    },
    isProven: () => false,
  },
  match(
    'numOfVlans',
    { etherType: etherTypes.VLAN, vlan: { vid: 1, pcp: 0, cfi: 1 }, encap: {} },
    { vlan: { vid: 0xfff, pcp: 0, cfi: 1 }, encap: {} },
    (found) => found.has(oddRows.numOfVlans.id),
  ),
  match('encFlags', { tunnel: { ...tunnel, df: true } }, { tunnel: { ...tunnelMask, df: true } }, (found) =>
    found.has(encFlags.mask.id),
  ),
  // Without a name nothing is looked up, and no helper's module loaded (tcf_ct_fill_params(), net/sched/act_ct.c).
  action(
    'ctHelper',
    { kind: 'ct', options: { parms: { action: verdicts.PIPE }, flags: 0, helperFamily: AF_INET } },
    (found) => found.kind === 'ct',
  ),
  action(
    'tunnelNoFrag',
    {
      kind: 'tunnel_key',
      options: {
        parms: { action: verdicts.PIPE, tunnelAction: tunnelKeyActions.SET },
        ipv4Src: tunnel.src,
        ipv4Dst: tunnel.dst,
        noCsum: 1,
        noFrag: true,
      },
    },
    (found) => found.kind === 'tunnel_key' && found.options.noFrag === true,
  ),
]

/** A probe that matches something. */
function match(
  feature: Feature,
  key: FlowKey,
  mask: FlowKey,
  isProven: (found: ReadonlyMap<number, Uint8Array>) => boolean,
): FeatureProbe {
  const { etherType: protocol = etherTypes.IPV4 } = key
  return {
    feature,
    protocol,
    write: (writer) => {
      writeMatch(writer, { etherType: protocol, ...key }, { etherType: 0xffff, ...mask })
      flower.write(writer, inSoftware)
    },
    isProven: ({ unknown = [] }) => isProven(new Map(unknown.map(({ id, data }) => [id, data]))),
  }
}

/** A probe that does something. */
function action(feature: Feature, asked: TcAction, isProven: (found: TcAction) => boolean): FeatureProbe {
  return {
    feature,
    protocol: etherTypes.IPV4,
    write: (writer) => {
      flower.write(writer, { actions: [asked] })
      writeMatch(writer, { etherType: etherTypes.IPV4 }, { etherType: 0xffff })
      flower.write(writer, inSoftware)
    },
    isProven: ({ actions: [found] = [] }) => found !== undefined && isProven(found),
  }
}

function hasOption(found: ReadonlyMap<number, Uint8Array>, wanted: number): boolean {
  const options = found.get(encOpts.mask.id)
  if (options === undefined) return false
  let has = false
  eachAttribute(options, 0, options.length, (id) => {
    has ||= id === wanted
  })
  return has
}

function stateOf(found: ReadonlyMap<number, Uint8Array>): number | undefined {
  const mask = found.get(ctState.maskId)
  return mask && u16.read(mask, 0, mask.length)
}
