import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { Transport } from '../lib/index.js'
import { devlinkFacts } from './devlink.js'

/** What a rate depends on beside the code. */
export interface Environment {
  readonly kernel: string
  readonly architecture: string
  readonly cpu: string
  readonly cpus: number
  readonly memoryBytes: number
  readonly node: string
  readonly nic?: Nic
}

export interface Nic {
  readonly device: string
  readonly driver?: string
  readonly model?: string
  readonly bus?: string
  readonly speedMbps?: number
  readonly firmware?: string
  readonly eswitchMode?: string
  /** How mlx5 writes its tables: dmfs (firmware) or smfs (software). */
  readonly steeringMode?: string
}

export async function environment(device?: string, transport?: Transport): Promise<Environment> {
  return {
    kernel: `${os.type()} ${os.release()} ${os.version()}`,
    architecture: os.arch(),
    cpu: os.cpus()[0]?.model.trim() || 'unknown',
    cpus: os.cpus().length,
    memoryBytes: os.totalmem(),
    node: process.version,
    ...(device === undefined ? {} : { nic: await nicFacts(device, transport) }),
  }
}

/** Read from sysfs and devlink; what they do not tell is left out. */
async function nicFacts(device: string, transport: Transport | undefined): Promise<Nic> {
  const folder = path.join('/sys/class/net', device)
  const bus = linkName(path.join(folder, 'device'))
  const subsystem = linkName(path.join(folder, 'device/subsystem'))
  const devlink =
    transport === undefined || bus === undefined || subsystem === undefined
      ? {}
      : await devlinkFacts(transport, subsystem, bus)
  const ids = ['vendor', 'device'].map((name) => text(path.join(folder, 'device', name))?.replace('0x', ''))
  const speed = Number(text(path.join(folder, 'speed')))
  return present({
    device,
    driver: devlink.driver ?? linkName(path.join(folder, 'device/driver')),
    model: ids.includes(undefined) ? undefined : ids.join(':'),
    bus: bus === undefined ? undefined : `${subsystem}/${bus}`,
    speedMbps: speed > 0 ? speed : undefined,
    firmware: devlink.firmware ?? infinibandFirmware(folder),
    eswitchMode: devlink.eswitchMode,
    // MLNX_OFED has it in sysfs, the kernel's own mlx5 in a devlink parameter.
    steeringMode: devlink.steeringMode ?? text(path.join(folder, 'compat/devlink/steering_mode')),
  })
}

function infinibandFirmware(folder: string): string | undefined {
  try {
    const [first = ''] = readdirSync(path.join(folder, 'device/infiniband'))
    return text(path.join(folder, 'device/infiniband', first, 'fw_ver'))
  } catch {
    // No RDMA side.
    return undefined
  }
}

function linkName(file: string): string | undefined {
  try {
    return path.basename(readlinkSync(file))
  } catch {
    // A virtual device has no bus behind it.
    return undefined
  }
}

function text(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim() || undefined
  } catch {
    // Attributes of sysfs come and go with drivers, and `speed` refuses to be read while a link is down.
    return undefined
  }
}

function present(nic: { [K in keyof Nic]: Nic[K] | undefined }): Nic {
  return Object.fromEntries(Object.entries(nic).filter(([, value]) => value !== undefined)) as unknown as Nic
}
