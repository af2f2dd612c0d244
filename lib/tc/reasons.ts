import type { ReasonCode } from '../../types/errors.js'

/** What a reason means, and what the person who reads it can do. The reference is made from these texts. */
export interface ReasonRow {
  readonly meaning: string
  readonly advice: string
}

/** One row per reason why TC cannot carry a flow, or not in hardware: the only list there is, for matches and for actions. */
export const reasons: Readonly<Record<ReasonCode, ReasonRow>> = {
  FRAGMENT_L4: {
    meaning: 'flower sees no transport header in fragments, openvswitch sees that of the first one.',
    advice: 'Match frag=no.',
  },
  KERNEL_RULE: {
    meaning: 'The kernel refuses this combination of values in TC.',
    advice: 'Say it with the values the sentence names, or leave the flow to openvswitch.',
  },
  LOST_VALUE: {
    meaning: 'TC would do it, but has no place to keep what is said, so it could not be read back.',
    advice: 'Leave it out where it does not matter, or leave the flow to openvswitch.',
  },
  NEEDS_EXACT: {
    meaning: 'flower looks at the field only when another one is matched exactly.',
    advice: 'Match the other field too.',
  },
  NEEDS_KERNEL: {
    meaning: 'Newer kernels can do it; this one, as far as is known, cannot.',
    advice: 'Use a kernel of the version the sentence names.',
  },
  NOT_HERE_YET: {
    meaning: 'TC could carry it, but this library does not do it yet.',
    advice: 'Leave the flow to openvswitch.',
  },
  NO_FLOWER_KEY: {
    meaning: 'flower has no key for the field, or not for this part of it.',
    advice: 'Clear the mask, or leave the flow to openvswitch.',
  },
  NO_IN_PORT: { meaning: 'A TC filter lives on one port.', advice: 'Match in_port exactly.' },
  NO_METER: {
    meaning: 'TC has no police that carries out the meter: it was not set here, or a police cannot do it.',
    advice: 'Set the meter with `dpif.setMeter`, with a burst of at most 274 times a rate in kbps.',
  },
  NO_PORT: { meaning: 'There is no such port on the datapath.', advice: 'List the ports with `hwacc show`.' },
  NO_TC_ACTION: {
    meaning: 'No action of TC does the same.',
    advice: 'Leave the flow to openvswitch.',
  },
  NOT_REACHED: {
    meaning: 'No flow that TC carries sends packets of this port to the recirculation id.',
    advice: 'Put the flow that recirculates first; where it is in openvswitch, so has to be this one.',
  },
  NOT_SHARED: {
    meaning: 'The datapath does not share recirculation with TC (OVS_DP_F_TC_RECIRC_SHARING is off).',
    advice: 'Make the datapath with `createDatapath()`, or let ovs-vswitchd run it with hw-offload.',
  },
  ORDER: {
    meaning: 'TC can do it only at another place in the list of actions.',
    advice: 'Put the actions in the order the sentence names, or leave the flow to openvswitch.',
  },
  OTHER_SWITCH: {
    meaning:
      'The port of an output is on another e-switch than the flow, and a device forwards between its own ports only.',
    advice:
      'Use ports of one e-switch, or let the policy leave out skip_sw: TC carries the flow in software.',
  },
  PARTIAL_MASK: {
    meaning: 'TC takes all bits of the field or none, and the mask has some.',
    advice: 'Fill the mask, or clear it.',
  },
  PORT_NOT_IN_TC: {
    meaning: 'The port is of a kind that TC cannot filter on or output to.',
    advice: 'Leave the flow to openvswitch.',
  },
  TOO_DEEP: {
    meaning: 'More tags, labels or nested lists than TC looks through.',
    advice: 'Leave the flow to openvswitch.',
  },
  TOO_MANY: { meaning: 'More actions than a filter holds.', advice: 'Leave the flow to openvswitch.' },
  TOO_WIDE: {
    meaning: 'A filter would match packets the flow does not: TC cannot tell them apart.',
    advice: 'Match more, as the sentence says, or leave the flow to openvswitch.',
  },
  UNKNOWN_CHECKSUM: {
    meaning: 'A rewrite breaks a checksum, and TC is not told enough to mend it.',
    advice: 'Match the IP protocol exactly, and frag=no.',
  },
  UNPROVEN: {
    meaning: 'TC does the same only for some of the packets that match.',
    advice: 'Match what the sentence names.',
  },
  VALUE_TOO_LARGE: {
    meaning: "The value does not fit TC's field.",
    advice: 'Leave the flow to openvswitch.',
  },
}

/** How a check says what stands against a flow: where, why, and in a sentence. */
export type Report = (path: string, reason: ReasonCode, problem: string) => void
