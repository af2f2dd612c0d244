import type { Action } from '../../../types/action.js'
import type { Failure } from '../../../types/errors.js'
import type { MeterBand, MeterSpec, MeterUnit } from '../../../types/meter.js'
import type { Exchange, MessageFailure, Transport } from '../../../types/transport.js'
import { beginMessage, endMessage, flags, readMessage } from '../../netlink/message.js'
import { messagesOf } from '../../netlink/reader.js'
import { Writer } from '../../netlink/writer.js'
import { actionEnvelope, tcActions, type TcActionOf } from '../../tc/action/index.js'
import { actionMessage, actionTypes } from '../../tc/action-message.js'
import { countedBy } from '../../tc/stats.js'
import { kernelFailure } from '../failure.js'
import type { MeterTable } from './action/index.js'
import { monotonicMs } from './filter.js'
import { meterOfPolice, policeOf, sizesOf } from './police-rate.js'

/** A police of ours. */
export interface Police {
  readonly meter: number
  readonly index: number
  readonly unit: MeterUnit
  readonly band: MeterBand
  readonly packets: bigint
  readonly bytes: bigint
  /** Packets that were too much. */
  readonly dropped: bigint
  /** Milliseconds on CLOCK_MONOTONIC; 0 for never. */
  readonly used: number
}

/**
 * Meters as shared police actions, which stand in the network namespace by themselves until somebody deletes them.
 *
 * Which datapath and which meter a police is for says its cookie, so any process can tell: the letters `ovm`, then the ifindex of the
 * datapath, the number of the meter and the burst, in network order. That is one byte short of a ufid, for which nobody takes it. Its
 * index is one of 2²⁸ from 0x20000000, behind those that OVS takes and cleans up (METER_POLICE_IDS_BASE in its lib/netdev-offload-tc.c):
 * the first that is free from `ifindex · 65536 + meter` on.
 *
 * Nothing is read before a flow names a meter or somebody asks for one.
 */
export class Polices implements MeterTable {
  readonly #transport: Transport
  readonly #dpIfindex: number
  readonly #present: (meters: readonly number[]) => Promise<ReadonlySet<number>>
  #byMeter: ReadonlyMap<number, number> | undefined
  #reading: Promise<void> | undefined
  #isWanted = false

  /** `present` says which of these meters openvswitch has: a police without its meter is what a datapath left that is gone. */
  constructor(
    transport: Transport,
    dpIfindex: number,
    present: (meters: readonly number[]) => Promise<ReadonlySet<number>>,
  ) {
    this.#transport = transport
    this.#dpIfindex = dpIfindex
    this.#present = present
  }

  /** A flow named a meter before anything was read: what was said of it does not count. */
  get isWanted(): boolean {
    return this.#isWanted
  }

  indexOf(meter: number): number | undefined {
    if (this.#byMeter === undefined) this.#isWanted = true
    return this.#byMeter?.get(meter)
  }

  meterOf(_index: number, cookie?: Uint8Array): number | undefined {
    const owner = cookie && readCookie(cookie)
    return owner?.dpIfindex === this.#dpIfindex ? owner.meter : undefined
  }

  /** Reads which meters have a police, unless that is known. */
  async ready(): Promise<void> {
    if (this.#byMeter !== undefined) return
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    await this.#reading
  }

  /** Another process has changed something: reads anew when it matters. */
  forget(): void {
    this.#byMeter = undefined
    this.#isWanted = true
  }

  async #read(): Promise<void> {
    const polices = await this.list()
    const meters = polices.length === 0 ? none : await this.#present(polices.map(({ meter }) => meter))
    this.#byMeter = new Map(
      polices.flatMap(({ meter, index }) => (meters.has(meter) ? [[meter, index]] : [])),
    )
    this.#isWanted = false
  }

  /** The polices of this datapath's meters. None where act_police is not loaded. */
  async list(): Promise<Police[]> {
    const writer = new Writer(64)
    writeNamed(writer, actionTypes.GETACTION, {})
    const found: Police[] = []
    const now = monotonicMs()
    for await (const page of this.#transport.dump('route', writer.take())) {
      for (const message of messagesOf(page)) {
        const { actions } = readMessage(actionMessage, message).body
        if (actions === undefined) continue
        for (const action of tcActions.read(actions, 0, actions.length)) {
          const owner = action.kind === 'police' && action.cookie ? readCookie(action.cookie) : undefined
          if (owner?.dpIfindex === this.#dpIfindex)
            found.push(policeFrom(action as TcActionOf<'police'>, owner, now))
        }
      }
    }
    return found
  }

  /** Makes the police of a meter, or changes it in place: filters that use it go on. Answers why there is none. */
  async set(spec: MeterSpec): Promise<Failure | undefined> {
    for (let turn = 0; ; turn++) {
      const known = (await this.list()).find(({ meter }) => meter === spec.id)
      const index = known?.index ?? FIRST + ((this.#dpIfindex * 65536 + spec.id + turn) % COUNT)
      const police = policeOf(spec, index)
      if ('problem' in police) return refusal(spec.id, police.problem)
      const writer = new Writer(2048)
      const how = flags.CREATE | (known === undefined ? flags.EXCL : flags.REPLACE)
      writePolice(writer, how, police.options, this.#cookieOf(spec))
      const { failures } = await this.#transport.exchange('route', writer.take())
      const [failure] = failures
      // Somebody else's, or another process is doing the same.
      if (failure?.errno === EEXIST && turn < MAX_TURNS) continue
      this.forget()
      return failure && failureOf(`make police ${index} for meter ${spec.id}`, failure)
    }
  }

  /** Why no police can carry out a meter. */
  objection(spec: MeterSpec): Failure | undefined {
    const police = policeOf(spec, FIRST)
    return 'problem' in police ? refusal(spec.id, police.problem) : undefined
  }

  /** Deletes the police of a meter, if there is one. Answers BUSY while filters use it. */
  async del(meter: number): Promise<Failure | undefined> {
    for (const { index } of (await this.list()).filter((police) => police.meter === meter)) {
      const [failure] = (await this.#delete(index)).failures
      this.forget()
      if (failure !== undefined && failure.errno !== ENOENT)
        return failureOf(`delete police ${index} of meter ${meter}`, failure)
    }
    return undefined
  }

  #delete(index: number): Promise<Exchange> {
    const writer = new Writer(64)
    writeNamed(writer, actionTypes.DELACTION, { index })
    return this.#transport.exchange('route', writer.take())
  }

  #cookieOf({ id, bands: [band] }: MeterSpec): Uint8Array {
    const cookie = new Uint8Array(COOKIE_SIZE)
    cookie.set(LETTERS)
    const words = new DataView(cookie.buffer, LETTERS.length)
    words.setUint32(0, this.#dpIfindex)
    words.setUint32(4, id)
    words.setUint32(8, band === undefined ? 0 : sizesOf(band).burst)
    return cookie
  }
}

interface Owner {
  readonly dpIfindex: number
  readonly meter: number
  readonly burst: number
}

const FIRST = 0x20000000
const COUNT = 0x10000000
const LETTERS = new TextEncoder().encode('ovm')
const COOKIE_SIZE = LETTERS.length + 12
const MAX_TURNS = 64

const EPERM = 1
const ENOENT = 2
const EEXIST = 17
const none: ReadonlySet<number> = new Set()

function readCookie(cookie: Uint8Array): Owner | undefined {
  if (cookie.length !== COOKIE_SIZE || LETTERS.some((letter, index) => cookie[index] !== letter))
    return undefined
  const words = new DataView(cookie.buffer, cookie.byteOffset + LETTERS.length)
  return { dpIfindex: words.getUint32(0), meter: words.getUint32(4), burst: words.getUint32(8) }
}

function policeFrom({ options, stats }: TcActionOf<'police'>, { meter, burst }: Owner, now: number): Police {
  const { parms, times } = options
  const { software, hardware } = countedBy(stats ?? {})
  const used =
    times === undefined || times.lastuse === times.install ? 0 : now - Number(times.lastuse) * MS_PER_TICK
  return {
    meter,
    index: parms?.index ?? 0,
    ...meterOfPolice(options, burst),
    packets: software.packets + hardware.packets,
    bytes: software.bytes + hardware.bytes,
    dropped: BigInt(stats?.queue?.drops ?? 0),
    used,
  }
}

/** USER_HZ is 100 on every Linux. */
const MS_PER_TICK = 10

function writePolice(
  writer: Writer,
  messageFlags: number,
  options: TcActionOf<'police'>['options'],
  cookie: Uint8Array,
): void {
  writeList(writer, actionTypes.NEWACTION, messageFlags, () =>
    tcActions.write(writer, [{ kind: 'police', options, cookie }]),
  )
}

function writeNamed(writer: Writer, type: number, name: { readonly index?: number }): void {
  writeList(writer, type, 0, () => {
    const at = writer.begin(1)
    actionEnvelope.write(writer, { kind: 'police', ...name })
    writer.end(at)
  })
}

function writeList(writer: Writer, type: number, messageFlags: number, write: () => void): void {
  const at = beginMessage(writer, type, messageFlags)
  actionMessage.header.write(writer, {})
  const list = writer.begin(actionMessage.body.ids.actions)
  write()
  writer.end(list)
  endMessage(writer, at)
}

function refusal(meter: number, problem: string): Failure {
  const message = `meter ${meter} stays out of tc: ${problem}`
  return { code: 'UNSUPPORTED_ACTION', reason: 'NO_METER', path: 'bands[0].burst', backend: 'tc', message }
}

function failureOf(attempt: string, failure: MessageFailure): Failure {
  // Without the privilege the kernel says EPERM and nothing else (tcf_action_delete(), net/sched/act_api.c).
  if (failure.errno === EPERM && failure.text !== undefined) {
    const hint = 'filters use it; delete the flows that name the meter first'
    return kernelFailure(attempt, failure, { backend: 'tc', code: 'BUSY', hint })
  }
  if (failure.errno === ENOENT && failure.text?.includes('module')) {
    const hint = 'the kernel lacks a module; load it with `modprobe act_police`'
    return kernelFailure(attempt, failure, { backend: 'tc', code: 'NO_MODULE', hint })
  }
  return kernelFailure(attempt, failure, { backend: 'tc' })
}

/** Whether a meter is named among actions, or in a list within one. */
export function namesMeter(actions: readonly Action[]): boolean {
  return actions.some(({ meter, clone, sample, checkPktLen }) => {
    const { greater = [], lessEqual = [] } = checkPktLen ?? {}
    return meter !== undefined || [clone ?? [], sample?.actions ?? [], greater, lessEqual].some(namesMeter)
  })
}
