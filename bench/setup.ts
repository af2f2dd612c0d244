import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import {
  type AddPortOptions,
  createDatapath,
  deleteDatapath,
  type Dpif,
  DpifError,
  NativeTransport,
  openDpif,
  type Policy,
} from '../lib/index.js'
import { NullKernel, nullPorts } from './null-kernel.js'
import type { Options } from './options.js'
import { kernelOnly, tcOnly } from '../lib/index.js'
import { type Ends, profileNamed } from './profiles.js'
import { UsageError } from './usage-error.js'
import { WatchedTransport } from './watched-transport.js'

/** Runs a program of the system; never a shell. */
export const system = promisify(execFile)

/** A datapath to measure on, and what goes with it. */
export interface Setup {
  readonly transport: WatchedTransport
  readonly datapath: string
  readonly ends: Ends
  readonly inDevices: readonly string[]
  readonly outDevice: string | undefined
  /** A folder for files of this run. */
  readonly folder: string
  /**
   * The dpif to measure with: one for the whole run, as in a program that lives long, whose code was compiled for it. On the null
   * kernel, which forgets nothing it never knew, each call makes a new one.
   */
  open(): Promise<Dpif>
  /** Deletes every flow, whoever put it. */
  empty(): Promise<void>
  /** Takes everything apart again. Idempotent. */
  close(): Promise<void>
}

/** Name of our datapath and stem of our devices. */
const DATAPATH = 'hwbench0'
const TUNNEL = 'hwb-vxlan'

/** Where the flows go: what was asked for, and nowhere else. */
export function policyFor({ backend, skip }: Pick<Options, 'backend' | 'skip'>): Policy {
  const tc = tcOnly(skip === 'none' ? {} : { skip })
  const ovs = kernelOnly()
  if (backend === 'both') {
    // Flows come in on the ports in turn, so each backend gets every other one.
    return {
      name: 'every-other',
      place: (put, facts) => ((put.key.inPort ?? 0) % 2 === 0 ? tc : ovs).place(put, facts),
    }
  }
  return backend === 'tc' ? tc : ovs
}

/** Lanes are TC's; elsewhere they would be in the result and mean nothing. */
export function checkLanes({ lanes, backend }: Pick<Options, 'lanes' | 'backend'>): void {
  if (lanes > 1 && backend === 'ovs')
    throw new UsageError(`--lanes ${lanes} is for TC; openvswitch takes one writer at a time and has none`)
}

/** A datapath on the kernel that says yes to everything. */
export async function nullSetup(options: Options, kernel: NullKernel = nullKernel(options)): Promise<Setup> {
  const things: Things = {
    transport: new WatchedTransport(kernel),
    datapath: nullPorts[0],
    ends: { inPorts: [1], outPort: 2 },
    inDevices: [nullPorts[1]],
    outDevice: nullPorts[2],
  }
  return finish(things, options, async () => {})
}

function nullKernel({ costUs }: Options): NullKernel {
  return new NullKernel({ costUs })
}

type Things = Pick<Setup, 'transport' | 'datapath' | 'ends' | 'inDevices' | 'outDevice'>

/** A datapath in the kernel of this machine. Without `port` this must be a network namespace of our own. */
export async function nativeSetup(options: Options): Promise<Setup> {
  const undo: (() => Promise<unknown>)[] = []
  // The last thing made is the first to go; one that cannot go does not keep the others.
  const takeApart = async () => {
    for (const step of undo.splice(0).reverse()) await step().catch(() => {})
  }
  try {
    const things = await build(options, undo)
    return finish(things, options, takeApart)
  } catch (error) {
    await takeApart()
    throw explained(error)
  }
}

async function build(options: Options, undo: (() => Promise<unknown>)[]): Promise<Things> {
  const native = new NativeTransport()
  undo.push(() => native.close())
  const transport = new WatchedTransport(native)
  await createDatapath(DATAPATH, { transport })
  undo.push(() => deleteDatapath(DATAPATH, { transport }))
  const inDevices = options.port === undefined ? await makeVeths(options, undo) : [options.port]
  const { tunnel = false } = profileNamed(options.profile)
  const out: AddPortOptions = tunnel ? { type: 'vxlan' } : {}
  const outDevice = tunnel ? TUNNEL : options.port === undefined ? await makeVeth('out', undo) : options.peer
  const dpif = await openDpif({ datapath: DATAPATH, transport })
  try {
    const inPorts: number[] = []
    for (const device of inDevices) inPorts.push((await dpif.addPort(device)).number)
    const outPort = outDevice === undefined ? undefined : (await dpif.addPort(outDevice, out)).number
    if (options.port !== undefined) await refuseFlows(dpif, options.port)
    if (options.backend !== 'ovs') for (const device of inDevices) await addQdisc(device, undo)
    const ends = { inPorts, ...(outPort === undefined ? {} : { outPort }) }
    return { transport, datapath: DATAPATH, ends, inDevices, outDevice }
  } finally {
    await dpif.close()
  }
}

/** Between turns every flow is deleted; flows that somebody else keeps on the device would go with them. */
async function refuseFlows(dpif: Dpif, port: string): Promise<void> {
  for await (const { ufid } of dpif.dump({ terse: true })) {
    throw new Error(
      `cannot measure on ${port}: it carries flows already, for example ${ufid}; delete them first`,
    )
  }
}

async function makeVeths({ backend }: Options, undo: (() => Promise<unknown>)[]): Promise<string[]> {
  const devices = [await makeVeth('in', undo)]
  if (backend === 'both') devices.push(await makeVeth('in2', undo))
  return devices
}

async function makeVeth(role: string, undo: (() => Promise<unknown>)[]): Promise<string> {
  const name = `hwb-${role}`
  const peer = `${name}-p`
  await system('ip', ['link', 'add', name, 'type', 'veth', 'peer', 'name', peer])
  undo.push(() => system('ip', ['link', 'del', name]))
  for (const device of [name, peer]) await system('ip', ['link', 'set', device, 'up'])
  return name
}

/** Made beforehand, so that every turn, ours and the others', finds the same. One that is there already stays. */
async function addQdisc(device: string, undo: (() => Promise<unknown>)[]): Promise<void> {
  try {
    await system('tc', ['qdisc', 'add', 'dev', device, 'ingress'])
  } catch (error) {
    if (/exclusivity|file exists/i.test(String(error))) return
    throw error
  }
  undo.push(() => system('tc', ['qdisc', 'del', 'dev', device, 'ingress']))
}

function finish(things: Things, options: Options, takeApart: () => Promise<void>): Setup {
  const folder = mkdtempSync(path.join(tmpdir(), 'dpif-hw-acc-bench-'))
  let dpif: Dpif | undefined
  const open = async () => {
    if (dpif !== undefined && options.kernel === 'native') return dpif
    await dpif?.close()
    dpif = await openDpif({
      datapath: things.datapath,
      policy: policyFor(options),
      lanes: options.lanes,
      transport: things.transport,
    })
    return dpif
  }
  let closed: Promise<void> | undefined
  const close = async () => {
    // Closed first, so that a turn that was interrupted puts nothing more behind our back.
    await dpif?.close()
    dpif = undefined
    // Filters in TC live on the device, and a real one outlives us.
    await open()
      .then((last) => last.flush().finally(() => last.close()))
      .catch(() => {})
    await takeApart()
    rmSync(folder, { recursive: true, force: true })
  }
  return {
    ...things,
    folder,
    open,
    empty: async () => (await open()).flush(),
    close: () => {
      closed ??= close()
      return closed
    },
  }
}

function explained(error: unknown): unknown {
  if (!(error instanceof DpifError) || !['NO_MODULE', 'NO_PRIVILEGE', 'ADDON_MISSING'].includes(error.code))
    return error
  return new Error(
    `${error.message}\nWhere the machine's own kernel will not do, run it in the lab's:\n` +
      '  node dist/test/lab/cli.js uml -- node dist/bench/main.js …',
  )
}
