import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Job, jobModules, jobScript } from './job.js'
import { quote } from './shell.js'

/**
 * Mounts the guest's root: a tmpfs for what is written, the layers, top first, and this machine's own root below.
 * `mountLayer` mounts one: overlayfs refuses directories that lie within each other, but not file systems that do.
 */
export function mountRoot(
  layers: string[],
  root: string,
  at: string,
  mountLayer: (index: number) => string,
): string {
  const lower = layers.map((_, index) => `/run/rw/layer${index}`)
  return [
    `mkdir -p /run/rw/upper /run/rw/work ${lower.join(' ')} ${at}`,
    ...lower.map((dir, index) => `mount ${mountLayer(index)} ${dir}`),
    `options=lowerdir=${[...lower, root].join(':')},upperdir=/run/rw/upper,workdir=/run/rw/work`,
    `mount -t overlay -o $options overlay ${at}`,
  ].join('\n')
}

/** Below /sys a namespace sees its own network devices only through a mount of its own. */
const SYS = `mount -t sysfs sysfs /sys
mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
mount -t cgroup2 cgroup2 /sys/fs/cgroup 2>/dev/null`

/** A separate step's namespaces: no devices but lo, no named namespaces. */
export const SEPARATE = `${SYS}
mkdir -p /run/netns
mount -t tmpfs tmpfs /run/netns
ip link set lo up`

/**
 * The guest's first process once its root stands: mounts, modules, channels, then the job, then power off.
 * `stdout` and `stderr` are the guest's devices for the two channels. What this script itself says goes to the console.
 *
 * Its words are busybox's own applets, which it runs as /proc/self/exe: until /proc is there, the full path it is.
 * The job runs under the system's shell instead, so that its `ip` is iproute2's.
 */
export function guestScript(job: Job, dir: string, busybox: string, stdout: string, stderr: string): string {
  const modules = jobModules(job)
  const load =
    modules === undefined
      ? 'echo /bin/false > /proc/sys/kernel/modprobe'
      : `/sbin/modprobe -a ${modules.map(quote).join(' ')}`
  const script = join(dir, 'job')
  writeFileSync(script, jobScript(job, SEPARATE))
  return `#!${busybox} sh
${busybox} mount -t proc proc /proc
export PATH=${quote(dirname(process.execPath))}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=${quote(process.env.HOME ?? '/root')} LANG=C.UTF-8 TMPDIR=/tmp
unset TERM
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
mkdir -p /lab
cp ${script} /lab/job
mount -t tmpfs -o mode=755 tmpfs /run
${SYS}
[ -L /var/run ] || mount --bind /run /var/run
mkdir -p /run/netns /run/lock /run/openvswitch /etc/openvswitch /var/log/openvswitch
hostname lab
ip link set lo up
echo /sbin/modprobe > /proc/sys/kernel/modprobe
${load}
stdout=$(echo ${stdout}) stderr=$(echo ${stderr})
stty -F $stdout raw -echo 2>/dev/null
stty -F $stderr raw -echo 2>/dev/null
# Pipes, so that the job does not take its output for a terminal.
mkfifo /lab/stdout /lab/stderr
cat /lab/stdout > $stdout &
cat /lab/stderr > $stderr &
exec 3<>/lab/stdout 4<>/lab/stderr
/bin/sh /lab/job
# The last marks are on their way.
sleep 0.2
poweroff -f
sleep 60
`
}
