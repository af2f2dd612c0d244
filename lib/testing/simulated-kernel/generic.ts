import { devlink } from '../../device/devlink.js'
import { ethtool } from '../../device/ethtool.js'
import { controller, GENL_ID_CTRL, genlHeader } from '../../netlink/genl.js'
import { flags, HEADER_SIZE } from '../../netlink/message.js'
import type { Message } from '../../netlink/reader.js'
import { ovsHeader } from '../../ovs/family.js'
import { parse, type Policy, type Span } from './attributes.js'
import { ctLimitCommandsHere, ctLimitPolicy } from './conntrack.js'
import { datapathCommands, datapathPolicy, dumpDatapaths, textOf } from './datapath.js'
import { devlinkCommands, devlinkPolicy, dumpDevlinkPorts, dumpDevlinks } from './devlink.js'
import { refuse } from './errors.js'
import { dumpFeatures, ethtoolCommands } from './ethtool.js'
import { dumpFlows, flowCommands, flowPolicy } from './flows.js'
import { frame, put, type Request } from './request.js'
import { packetCommandsHere, packetPolicy } from './packet.js'
import { PACKET_FAMILY, type State } from './state.js'
import { dumpVports, vportCommands, vportPolicy } from './vport.js'

/** What a command of a family gets to see. */
export interface CommandInput {
  readonly state: State
  /** 0 in families other than those of openvswitch. */
  readonly dpIfindex: number
  readonly attributes: Map<number, Span>
  /** CREATE or EXCL: what is there already is an error. */
  readonly exclusive: boolean
  /** Answers; `write` is told the number of the family. */
  reply(write: (type: number) => Uint8Array): void
  /** Tells those who have joined the family's group, and who asked with NLM_F_ECHO (ovs_notify()). */
  echo(write: (type: number) => Uint8Array): void
}

/** Carries out one command, or throws a Refusal. */
export type Command = (input: CommandInput) => void

interface FamilyTable {
  readonly name: string
  readonly id: number
  readonly version: number
  readonly maxAttribute: number
  readonly policy: Policy
  readonly commands: Readonly<Record<number, Command>>
  /** By command. */
  readonly dumps: Readonly<Record<number, DumpOf>>
  /** Commands anybody may send. */
  readonly open: readonly number[]
  /** Behind genlmsghdr comes struct ovs_header. */
  readonly isOvs?: true
}

type DumpOf = (
  state: State,
  type: number,
  dpIfindex: number,
  attributes: ReadonlyMap<number, Span>,
) => Generator<Uint8Array>

const GET = 3
const ovs = { isOvs: true, open: [GET] } as const
const { GET: DEVLINK_GET = 0, PORT_GET = 0, INFO_GET = 0 } = devlink.commands
const { FEATURES_GET = 0 } = ethtool.commands

// The numbers are what a kernel might have given: dynamic, and not in a row.
// biome-ignore format: one row per line
const families: readonly FamilyTable[] = [
  { name: 'ovs_datapath', id: 0x1b, version: 2, maxAttribute: 8, policy: datapathPolicy, commands: datapathCommands, dumps: { [GET]: dumpDatapaths }, ...ovs },
  { name: 'ovs_vport', id: 0x1c, version: 1, maxAttribute: 9, policy: vportPolicy, commands: vportCommands, dumps: { [GET]: dumpVports }, ...ovs },
  { name: 'ovs_packet', id: PACKET_FAMILY, version: 1, maxAttribute: 11, policy: packetPolicy, commands: packetCommandsHere, dumps: {}, isOvs: true, open: [] },
  { name: 'ovs_flow', id: 0x1e, version: 1, maxAttribute: 11, policy: flowPolicy, commands: flowCommands, dumps: { [GET]: dumpFlows }, ...ovs },
  { name: 'ovs_ct_limit', id: 0x1f, version: 1, maxAttribute: 1, policy: ctLimitPolicy, commands: ctLimitCommandsHere, dumps: {}, ...ovs },
  { name: 'devlink', id: 0x15, version: 1, maxAttribute: 177, policy: devlinkPolicy, commands: devlinkCommands,
    dumps: { [DEVLINK_GET]: dumpDevlinks, [PORT_GET]: dumpDevlinkPorts }, open: [DEVLINK_GET, PORT_GET, INFO_GET] },
  { name: 'ethtool', id: 0x14, version: 1, maxAttribute: 5, policy: {}, commands: ethtoolCommands,
    dumps: { [FEATURES_GET]: dumpFeatures }, open: [FEATURES_GET] },
]

/** Generic netlink: the controller, and the families of openvswitch, devlink and ethtool. */
export class Generic {
  readonly #state: State
  readonly #privileged: boolean
  readonly #families: readonly FamilyTable[]

  constructor(state: State, privileged: boolean) {
    this.#state = state
    this.#privileged = privileged
    this.#families = families.filter(({ isOvs, name }) => state.has(isOvs ? 'openvswitch' : name))
  }

  handle({ message, attributes, reply }: Request): void {
    const { cmd, body } = split(attributes)
    if (message.type === GENL_ID_CTRL) return this.#control(cmd, body, message.start, reply)
    const family = this.#families.find(({ id }) => id === message.type) ?? refuse('ENOENT')
    const command = family.commands[cmd] ?? refuse('EOPNOTSUPP')
    if (!this.#privileged && !family.open.includes(cmd)) refuse('EPERM')
    const dpIfindex = family.isOvs ? ifindexOf(message) : 0
    command({
      state: this.#state,
      dpIfindex,
      attributes: parse(rest(message, family), family.policy, message.start),
      exclusive: (message.flags & (flags.CREATE | flags.EXCL)) !== 0,
      reply: (write) => reply(write(family.id)),
      echo: (write) => {
        this.#tell(family, write)
        if (message.flags & flags.ECHO) reply(write(family.id))
      },
    })
  }

  /** Tells of something that nobody asked for. */
  tell(name: string, write: (type: number) => Uint8Array): void {
    const family = this.#families.find((family) => family.name === name)
    if (family !== undefined) this.#tell(family, write)
  }

  #tell({ id }: FamilyTable, write: (type: number) => Uint8Array): void {
    const { mailboxes } = this.#state
    if (mailboxes.hasMembers('generic', groupOf(id))) mailboxes.multicast('generic', groupOf(id), write(id))
  }

  *dump(message: Message): Generator<Uint8Array> {
    const family = this.#families.find(({ id }) => id === message.type) ?? refuse('ENOENT')
    const dump = family.dumps[message.bytes[message.start + HEADER_SIZE] ?? 0] ?? refuse('EOPNOTSUPP')
    const attributes = parse(rest(message, family), family.policy, message.start)
    yield* dump(this.#state, family.id, family.isOvs ? ifindexOf(message) : 0, attributes)
  }

  #control(cmd: number, body: Span, origin: number, reply: (message: Uint8Array) => void): void {
    if (cmd !== controller.commands.GETFAMILY) refuse('EOPNOTSUPP')
    const name = parse(body, { 2: { string: 15 } }, origin).get(2) ?? refuse('EINVAL')
    const nlctrl = { name: 'nlctrl', id: GENL_ID_CTRL, version: 2, maxAttribute: 10 }
    const wanted = textOf(name)
    const found = [nlctrl, ...this.#families].find(({ name }) => name === wanted) ?? refuse('ENOENT')
    reply(
      frame(GENL_ID_CTRL, 0, (writer) => {
        controller.header.write(writer, { cmd: controller.commands.NEWFAMILY as number, version: 2 })
        controller.body.write(writer, { familyName: found.name })
        controller.body.write(writer, { familyId: found.id })
        const word = (value: number) => new Uint8Array(Uint32Array.of(value).buffer)
        put(writer, 3, word(found.version))
        put(writer, 4, word('isOvs' in found ? 4 : 0))
        put(writer, 5, word(found.maxAttribute))
        if ('isOvs' in found) {
          controller.body.write(writer, { groups: [{ name: found.name, id: groupOf(found.id) }] })
        }
      }),
    )
  }
}

/** The one multicast group of a family of openvswitch, which has its name. Like the others, what a kernel might have given. */
const groupOf = (family: number): number => family - 0x10

/** genlmsghdr, and what follows it. */
function split({ bytes, start, end }: Span): { cmd: number; body: Span } {
  if (end - start < 4) refuse('EINVAL')
  return { cmd: bytes[start] as number, body: { bytes, start: start + 4, end } }
}

function ifindexOf({ bytes, start, end }: Message): number {
  const from = start + HEADER_SIZE
  if (end - from < ovsHeader.size) refuse('EINVAL')
  return ovsHeader.take(bytes, from).dpIfindex
}

function rest({ bytes, start, end }: Message, { isOvs }: FamilyTable): Span {
  return { bytes, start: start + HEADER_SIZE + (isOvs ? ovsHeader.size : genlHeader.size), end }
}
