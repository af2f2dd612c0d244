import type {
  Eswitch,
  NetDevice,
  Preflight,
  PreflightEffect,
  PreflightFinding,
  PreflightReason,
} from '../../../types/device.js'
import { features } from '../../tc/features.js'
import type { Hook } from './hook.js'
import type { TcModules } from './modules.js'

/** What is known of a port before it is judged. */
export interface PortFacts {
  readonly name: string
  /** Absent when there is no device of that name. */
  readonly device?: NetDevice
  readonly hook?: Hook
}

/** Everything the checks look at. */
export interface PreflightFacts {
  readonly ports: readonly PortFacts[]
  readonly eswitches: readonly Eswitch[]
  readonly modules: TcModules
}

type Found = Omit<PreflightFinding, 'reason' | 'effect'> & { readonly effect?: PreflightEffect }

interface Check {
  readonly effect: PreflightEffect
  readonly find: (facts: PreflightFacts) => readonly Found[]
}

/** Judges what was found out; nothing is asked. What is wrong with the host comes first, then the ports in their order. */
export function judge(facts: PreflightFacts): Preflight {
  const reasons = Object.keys(checks) as PreflightReason[]
  const findings = reasons.flatMap((reason) => {
    const { effect, find } = checks[reason]
    return find(facts).map((found) => ({ reason, ...found, effect: found.effect ?? effect }))
  })
  return { ready: findings.every(({ effect }) => effect !== 'all'), findings }
}

/** Every reason there is, in the order in which one looks for it: what comes first can be the cause of what comes later. */
const checks: Readonly<Record<PreflightReason, Check>> = {
  NO_PRIVILEGE: {
    effect: 'all',
    find: ({ modules, ports }) => {
      const words = ports.map(({ name }) => name).join(' ')
      const message =
        'the kernel lets this process change nothing: it lacks CAP_NET_ADMIN in this network namespace'
      return modules.privileged ? [] : [{ message, mend: `sudo hwacc preflight ${words}` }]
    },
  },
  NO_MODULE: {
    effect: 'some',
    find: ({ modules }) =>
      modules.missing.map((module) => {
        const what = vital[module]
        const who = what ?? 'flows whose actions need it go to openvswitch'
        const message = `the kernel has no ${module} and cannot load it: ${who}`
        return { message, mend: `modprobe ${module}`, ...(what === undefined ? {} : { effect: 'all' }) }
      }),
  },
  NO_DEVICE: {
    effect: 'all',
    find: ({ ports }) =>
      ports
        .filter(({ device }) => device === undefined)
        .map(({ name: port }) => ({
          port,
          message: `there is no device '${port}' in this network namespace`,
        })),
  },
  LEGACY_MODE: {
    effect: 'all',
    find: ({ ports, eswitches }) =>
      eswitches
        .filter(({ mode }) => mode === 'legacy')
        .flatMap(({ name }) => {
          const mend = `devlink dev eswitch set ${name} mode switchdev`
          const why = `e-switch ${name} is in mode legacy: it takes no flows, and its ports have no representors`
          return (
            ports
              // A port that is not there may be one that comes with the mode.
              .filter(({ device }) => device === undefined || device.devlink === name)
              .map(({ name: port }) => ({ port, message: why, mend }))
          )
        }),
  },
  NOT_ON_ESWITCH: {
    effect: 'all',
    find: ({ ports, eswitches }) =>
      devicesOf(ports)
        .filter(({ kind, switchId }) => switchId === undefined && kind !== 'tunnel')
        .filter(({ devlink }) => !eswitches.some(({ name, mode }) => name === devlink && mode === 'legacy'))
        .map(({ name: port }) => {
          const message = `'${port}' is no port of an e-switch: neither an uplink nor a representor; its flows stay in software`
          return { port, message }
        }),
  },
  DIFFERENT_SWITCHES: {
    effect: 'some',
    find: ({ ports }) => {
      const [first, ...others] = onSwitch(ports)
      return others
        .filter(({ switchId }) => switchId !== first?.switchId)
        .map(({ name: port, switchId }) => {
          const where = `'${port}' is on switch ${switchId}, '${first?.name}' on switch ${first?.switchId}`
          return {
            port,
            message: `${where}: flows from one to the other stay in software; use ports of one e-switch`,
          }
        })
    },
  },
  OFFLOAD_OFF: {
    effect: 'all',
    find: ({ ports }) =>
      onSwitch(ports)
        .filter(({ hwTcOffload }) => hwTcOffload === 'off')
        .map(({ name: port }) => {
          const message = `hw-tc-offload is off on '${port}': its driver is not told of filters`
          return { port, message, mend: `ethtool -K ${port} hw-tc-offload on` }
        }),
  },
  OFFLOAD_ABSENT: {
    effect: 'all',
    find: ({ ports }) =>
      onSwitch(ports)
        .filter(({ hwTcOffload }) => hwTcOffload === 'absent')
        .map(({ name: port }) => {
          return { port, message: `the driver of '${port}' has no hw-tc-offload: it takes no filters` }
        }),
  },
  FOREIGN_FILTER: {
    effect: 'some',
    find: ({ ports }) =>
      ports.flatMap(({ name: port, hook }) =>
        (hook?.foreign ?? []).map(({ prio, kind }) => {
          const message = `'${port}' has a ${kind} filter that is no flow, with priority ${prio}: it sees packets before flows do`
          return { port, message, mend: `tc filter del dev ${port} ingress prio ${prio}` }
        }),
      ),
  },
  NO_QDISC: {
    effect: 'none',
    find: ({ ports }) =>
      ports
        .filter(({ device, hook }) => device !== undefined && hook?.qdisc === undefined)
        .map(({ name: port }) => {
          const message = `'${port}' has no ingress qdisc yet; one is made with the first flow`
          return { port, message, mend: `tc qdisc add dev ${port} ingress` }
        }),
  },
  NO_FEATURE: {
    effect: 'some',
    find: ({ modules }) =>
      modules.lacking.map((feature) => {
        const { since, doc } = features[feature]
        const what = doc.slice(0, -1).replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase())
        return {
          message: `flower of this kernel cannot match ${what}: flows that do go to openvswitch; it takes Linux ${since}`,
        }
      }),
  },
}

/** Modules without which there is no flow in TC at all. */
const vital: Readonly<Record<string, string>> = {
  sch_ingress: 'no filter can be put',
  cls_flower: 'no filter can be put',
  act_mirred: 'no flow that outputs can be put',
  act_gact: 'no flow that drops can be put',
}

const devicesOf = (ports: readonly PortFacts[]) => ports.flatMap(({ device }) => device ?? [])
const onSwitch = (ports: readonly PortFacts[]) =>
  devicesOf(ports).filter(({ switchId }) => switchId !== undefined)
