import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { ip, netns, type Owner, run, tc } from '../../fixtures/lab.js'

/** What can be set under debugfs; README.md says what each does. */
export type Fault =
  | 'capacity'
  | 'latency_us'
  | 'serial'
  | 'stats_delay_ms'
  | 'no_last_used'
  | 'refuse_keys'
  | 'refuse_actions'
  | 'evict'
  | 'remove_port'

/** Parameters of the module. */
export interface Parameters {
  devices?: number
  vfs?: number
  capacity?: number
  switchdev?: boolean
  hw_tc_offload?: boolean
  unlocked?: boolean
}

const FAULTS = '/sys/kernel/debug/eswitch'
const SYSCTL = '/proc/sys/net/ipv6/conf'
const DRIVER = '/sys/bus/platform/drivers/eswitch'

/** Why there is no e-switch here; false where there is. */
export function eswitchMissing(): string | false {
  return process.env.LAB_ESWITCH ? false : 'there is no e-switch: it is for built and qemu, with --eswitch'
}

/** Loads the module; its devices are in the caller's network namespace, and go with the test. */
export function loadEswitch(t: Owner, parameters: Parameters = {}): Eswitch[] {
  const words = Object.entries(parameters).map(([name, value]) => `${name}=${Number(value)}`)
  unloadEswitch()
  run('insmod', process.env.LAB_ESWITCH ?? '', ...words)
  t.teardown(unloadEswitch)
  return Array.from({ length: parameters.devices ?? 1 }, (_, index) => new Eswitch(index))
}

export function unloadEswitch(): void {
  if (/^eswitch /m.test(readFileSync('/proc/modules', 'utf8'))) run('rmmod', 'eswitch')
}

/** One device: its handle in devlink, and the names its netdevs have. */
export class Eswitch {
  readonly index: number
  readonly handle: string
  readonly uplink: string
  /** What is at the other end of the uplink's cable. */
  readonly wire: string

  constructor(index: number) {
    this.index = index
    this.handle = `platform/eswitch.${index}`
    this.uplink = `es${index}_p0`
    this.wire = `es${index}_wire`
  }

  /** The representor of a VF. */
  rep(vf: number): string {
    return `es${this.index}_pf0vf${vf}`
  }

  /** What a VF's virtual machine would see. */
  vf(vf: number): string {
    return `es${this.index}_vf${vf}`
  }

  mode(mode: 'legacy' | 'switchdev'): void {
    run('devlink', 'dev', 'eswitch', 'set', this.handle, 'mode', mode)
  }

  set(fault: Fault, value: string | number | boolean): void {
    const text = typeof value === 'boolean' ? Number(value) : value
    writeFileSync(`${FAULTS}/es${this.index}/${fault}`, `${text}\n`)
  }

  /** How many rules are in hardware. */
  get used(): number {
    return Number(readFileSync(`${FAULTS}/es${this.index}/used`, 'utf8'))
  }

  /** As a card that falls off its bus. */
  unbind(): void {
    writeFileSync(`${DRIVER}/unbind`, `eswitch.${this.index}`)
  }

  bind(): void {
    writeFileSync(`${DRIVER}/bind`, `eswitch.${this.index}`)
  }
}

/** A far end in a namespace of its own. */
export interface Guest {
  namespace: string
  device: string
  mac: string
  ip4: string
  ip6: string
}

/**
 * Far ends in namespaces, up, with addresses 10.0.0.N, N from 1, and fd00::N if asked for; each knows the others as
 * neighbours, so that nothing is sent that the test does not send (IPv6 always has something to tell).
 */
export function guests(t: Owner, devices: readonly string[], ip6 = false): Guest[] {
  const made = devices.map((device, at) => {
    const number = at + 1
    const mac = `02:00:00:00:00:0${number}`
    return { namespace: netns(t), device, mac, ip4: `10.0.0.${number}`, ip6: `fd00::${number}` }
  })
  for (const { namespace, device, mac } of made) {
    if (!ip6) run('ip', 'netns', 'exec', namespace, 'sh', '-c', `echo 1 >${SYSCTL}/default/disable_ipv6`)
    ip(`link set ${device} address ${mac} addrgenmode none netns ${namespace}`)
  }
  for (const guest of made) {
    const others = made.filter((other) => other !== guest)
    const neighbours = (address: 'ip4' | 'ip6') =>
      others.map((other) => `neigh add ${other[address]} lladdr ${other.mac} dev ${guest.device}`)
    const lines = [
      `link set ${guest.device} addrgenmode none up`,
      `addr add ${guest.ip4}/24 dev ${guest.device}`,
      ...neighbours('ip4'),
      ...(ip6 ? [`addr add ${guest.ip6}/64 dev ${guest.device} nodad`, ...neighbours('ip6')] : []),
    ]
    inside(guest, lines)
  }
  return made
}

/** Lines for `ip`, run in a guest's namespace. */
export function inside({ namespace }: Guest, lines: readonly string[]): void {
  const input = `${lines.join('\n')}\n`
  execFileSync('ip', ['-n', namespace, '-batch', '-'], { input, stdio: ['pipe', 'ignore', 'pipe'] })
}

/** Lines for `tc`; what stands in the way of the first that fails is thrown. */
export function tcBatch(lines: readonly string[]): void {
  execFileSync('tc', ['-batch', '-'], { input: `${lines.join('\n')}\n`, stdio: ['pipe', 'ignore', 'pipe'] })
}

/** Sends echo requests; how many were answered. */
export function ping(from: Guest, to: string, count = 3): number {
  const words = ['ping', '-q', '-c', `${count}`, '-i', '0.02', '-W', '1', to]
  const text = run('sh', '-c', `ip netns exec ${from.namespace} ${words.join(' ')}; true`)
  return Number(/(\d+) received/.exec(text)?.[1] ?? Number.NaN)
}

/** A filter as `tc` shows it. */
export interface Filter {
  inHardware: boolean
  packets: number
  hardwarePackets: number
  /** Seconds since it was installed, and since a packet came. */
  installed: number
  used: number
}

/** The filters of a device, by their priority; of a filter with several actions, what the last one says. */
export function filters(device: string, namespace?: string): Map<number, Filter> {
  const found = new Map<number, Filter>()
  const where = namespace === undefined ? '' : `-n ${namespace} `
  for (const { pref, options } of JSON.parse(tc(`${where}-j -s filter show dev ${device} ingress`))) {
    const action = options?.actions?.at(-1)
    if (action === undefined) continue
    found.set(pref, {
      inHardware: options.in_hw === true,
      packets: action.stats.packets,
      hardwarePackets: action.stats.hw_packets ?? 0,
      installed: action.installed,
      used: action.last_used,
    })
  }
  return found
}

/** Packets that software has seen coming in. */
export function received(device: string): number {
  return Number(readFileSync(`/sys/class/net/${device}/statistics/rx_packets`, 'utf8'))
}
