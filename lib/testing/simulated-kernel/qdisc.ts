import { flags } from '../../netlink/message.js'
import type { Writer } from '../../netlink/writer.js'
import { hooks, type TcHeader, tcMessage, types } from '../../tc/message.js'
import type { Span } from './attributes.js'
import { textOf } from './datapath.js'
import type { Device, Devices } from './devices.js'
import { notSimulated, refuse } from './errors.js'
import { Block } from './block.js'
import { frame, nest, put } from './request.js'

/** The qdisc at a device's ingress, and the filters on it. */
export interface Qdisc {
  readonly kind: 'ingress' | 'clsact'
  readonly device: Device
  readonly ingress: Block
  /** What a device sends, where the qdisc is clsact. */
  readonly egress: Block
}

/** The ingress and clsact qdiscs; others are not simulated (net/sched/sch_api.c, sch_ingress.c). */
export class Qdiscs {
  readonly #devices: Devices
  readonly #isThere: boolean
  readonly #byIfindex = new Map<number, Qdisc>()
  /** Devices that have had one: the kernel keeps their ingress queue and then answers differently. */
  readonly #touched = new Set<number>()

  /** `isThere`: whether the module can be loaded. */
  constructor(devices: Devices, isThere = true) {
    this.#devices = devices
    this.#isThere = isThere
    devices.leaving.push(({ ifindex }) => {
      const qdisc = this.#byIfindex.get(ifindex)
      if (qdisc !== undefined) this.#drop(qdisc)
    })
  }

  on(ifindex: number): Qdisc | undefined {
    return this.#byIfindex.get(ifindex)
  }

  /** RTM_NEWQDISC (tc_modify_qdisc()). */
  create(header: TcHeader, attributes: ReadonlyMap<number, Span>, messageFlags: number): void {
    const device = this.#devices.byIndex(header.ifindex) ?? refuse('ENODEV')
    const { handle = 0, parent = 0 } = header
    const kind = kindOf(attributes)
    if (parent !== hooks.QDISC) notSimulated('a qdisc elsewhere than at ingress')
    this.#touched.add(device.ifindex)
    const there = this.#byIfindex.get(device.ifindex)
    if (there !== undefined && (handle === 0 || handle === hooks.QDISC_HANDLE)) {
      if (messageFlags & flags.EXCL) refuse('EEXIST', 'Exclusivity flag on, cannot modify')
      if (kind !== undefined && kind !== there.kind) refuse('EINVAL', 'Invalid qdisc name')
      if (attributes.has(OPTIONS)) refuse('EINVAL', 'Change operation not supported by specified qdisc')
      return
    }
    if (there !== undefined && !(messageFlags & flags.REPLACE))
      refuse('EEXIST', 'NLM_F_REPLACE needed to override')
    if (handle & 0xffff) refuse('EINVAL', 'Invalid minor handle')
    if (!(messageFlags & flags.CREATE))
      refuse('ENOENT', 'Qdisc not found. To create specify NLM_F_CREATE flag')
    if (!this.#isThere || (kind !== 'ingress' && kind !== 'clsact'))
      refuse('ENOENT', 'Specified qdisc kind is unknown')
    const qdisc = { kind, device, ingress: new Block(device), egress: new Block(device) } as const
    this.#byIfindex.set(device.ifindex, qdisc)
  }

  /** RTM_DELQDISC (tc_get_qdisc()). */
  remove(header: TcHeader, attributes: ReadonlyMap<number, Span>): void {
    const qdisc = this.#find(header, attributes)
    this.#drop(qdisc)
  }

  /** What its filters held in hardware is free again. */
  #drop({ device, ingress, egress }: Qdisc): void {
    for (const block of [ingress, egress]) block.flush()
    this.#byIfindex.delete(device.ifindex)
  }

  get(header: TcHeader, attributes: ReadonlyMap<number, Span>): Uint8Array {
    return writeQdisc(this.#find(header, attributes), 0)
  }

  *dump(): Generator<Uint8Array> {
    for (const { ifindex } of this.#devices.all()) {
      const qdisc = this.#byIfindex.get(ifindex)
      if (qdisc !== undefined) yield writeQdisc(qdisc, 2)
    }
  }

  #find({ ifindex, handle = 0, parent = 0 }: TcHeader, attributes: ReadonlyMap<number, Span>): Qdisc {
    const device = this.#devices.byIndex(ifindex) ?? refuse('ENODEV')
    const qdisc = this.#byIfindex.get(device.ifindex)
    const kind = kindOf(attributes)
    if (parent === 0) {
      if (qdisc === undefined || handle !== hooks.QDISC_HANDLE)
        refuse('ENOENT', 'Failed to find specified qdisc')
    } else if (parent >>> 16 !== 0xffff || parent === 0xffffffff)
      notSimulated('a qdisc elsewhere than at ingress')
    if (!this.#touched.has(ifindex)) refuse('ENOENT', 'Cannot find specified qdisc on specified device')
    // What is left of a qdisc that was removed has neither handle nor name.
    if (handle !== 0 && (qdisc === undefined || handle !== hooks.QDISC_HANDLE))
      refuse('EINVAL', 'Invalid handle')
    if (kind !== undefined && kind !== qdisc?.kind) refuse('EINVAL', 'Invalid qdisc name')
    return qdisc ?? refuse('ENOENT', 'Cannot delete qdisc with handle of zero')
  }
}

// TCA_*.
const KIND = 1
const OPTIONS = 2
const HW_OFFLOAD = 12
const STATS2 = 7

function kindOf(attributes: ReadonlyMap<number, Span>): string | undefined {
  const span = attributes.get(KIND)
  return span && textOf(span)
}

function writeQdisc({ kind, device }: Qdisc, messageFlags: number): Uint8Array {
  return frame(types.NEWQDISC, messageFlags, (writer: Writer) => {
    tcMessage.header.write(writer, {
      ifindex: device.ifindex,
      handle: hooks.QDISC_HANDLE,
      parent: hooks.QDISC,
      info: 1,
    })
    tcMessage.body.write(writer, { kind, options: new Uint8Array(0) })
    put(writer, HW_OFFLOAD, [0])
    nest(writer, STATS2, () => {
      put(writer, 1, new Uint8Array(16))
      put(writer, 3, new Uint8Array(20))
    })
  })
}
