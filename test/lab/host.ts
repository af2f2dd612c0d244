import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { SEPARATE } from './guest.js'
import { jobModules, jobScript } from './job.js'
import { packagesMissing } from './packages.js'
import { libraries, onPath, tools } from './provision.js'
import { quote } from './shell.js'
import type { Availability, Target } from './target.js'

const CAP_NET_ADMIN = 12n
const CAP_SYS_ADMIN = 21n

/** This machine's own kernel, in a network and mount namespace that vanish with the job. */
export const host: Target = {
  name: 'host',

  available(): Availability {
    const reason = missing()
    return reason === undefined ? { available: true } : { available: false, reason }
  },

  prepare(job, dir) {
    const script = join(dir, 'host')
    const modules = jobModules(job) ?? []
    // Loading is this machine's business when a module is missing; the kernel asks modprobe by itself too.
    const load = modules.map((name) => `modprobe -q ${quote(name)} 2>/dev/null`).join('\n')
    writeFileSync(script, `${SEPARATE}\n${load}\n${jobScript(job, SEPARATE)}`)
    const before = dmesg()
    const argv = ['unshare', '-n', '-m', 'sh', script]
    return { argv, env: hostEnv(), kernelLog: () => dmesg().slice(before.length) }
  },
}

function missing(): string | undefined {
  if (process.platform !== 'linux') return `it runs ${process.platform}, not Linux`
  const status = readFileSync('/proc/self/status', 'utf8')
  const capabilities = BigInt(`0x${/^CapEff:\s*(\w+)/m.exec(status)?.[1] ?? '0'}`)
  if (((capabilities >> CAP_NET_ADMIN) & 1n) === 0n) return 'we lack CAP_NET_ADMIN'
  if (((capabilities >> CAP_SYS_ADMIN) & 1n) === 0n)
    return 'we lack CAP_SYS_ADMIN, which a fresh namespace needs'
  for (const name of ['openvswitch', 'cls_flower']) {
    if (!hasModule(name)) return `its kernel has no ${name} module`
  }
  const lacking = ['unshare', 'timeout', 'ip'].find((name) => onPath(name) === undefined)
  return lacking === undefined ? undefined : `it has no '${lacking}' command`
}

/** Loaded, built in, or there to be loaded. */
function hasModule(name: string): boolean {
  if (existsSync(`/sys/module/${name}`)) return true
  return spawnSync('modprobe', ['-n', '-q', name], { stdio: 'ignore' }).status === 0
}

/** This machine's own tools first; the provisioned ones where it has none. */
function hostEnv(): NodeJS.ProcessEnv {
  const path = [dirname(process.execPath), process.env.PATH, '/usr/sbin', '/sbin']
  const env = { ...process.env }
  if (onPath('ovs-dpctl') === undefined && packagesMissing('') === undefined) {
    path.push(join(tools(), 'usr/sbin'), join(tools(), 'usr/bin'))
    env.LD_LIBRARY_PATH = libraries(tools())
  }
  return { ...env, PATH: path.join(':') }
}

function dmesg(): string {
  return spawnSync('dmesg', { encoding: 'utf8' }).stdout ?? ''
}
