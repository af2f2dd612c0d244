import { mkdirSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onOneProcessor } from './affinity.js'
import { guestScript, mountRoot } from './guest.js'
import type { Job } from './job.js'
import { moduleFiles } from './modules.js'
import { busybox, type Kernel, tools } from './provision.js'
import type { Launch } from './target.js'
import { xstatePrefix } from './xstate.js'

const MEMORY = 3 * 2 ** 30

/** What user-mode Linux needs beside a kernel. */
export function provisionUserMode(): void {
  busybox()
  tools()
  xstatePrefix()
}

/** Starts a user-mode kernel: a process that has this machine's root by hostfs, read-only. */
export function startUserMode(kernel: Kernel, job: Job, dir: string): Launch {
  const init = join(dir, 'init')
  const guest = join(dir, 'guest')
  mkdirSync(join(dir, 'uml'))
  writeFileSync(init, initScript(kernel, guest), { mode: 0o755 })
  writeFileSync(guest, guestScript(job, dir, busybox(), '/dev/ttyS0', '/dev/ttyS1'), { mode: 0o755 })
  const argv = [
    ...onOneProcessor(),
    ...xstatePrefix(),
    kernel.image,
    `mem=${MEMORY}`,
    // Not a disk, which a kernel need not know how to read.
    'root=none',
    'rootfstype=hostfs',
    'rootflags=/',
    'ro',
    `init=${init}`,
    `uml_dir=${join(dir, 'uml')}/`,
    'con=null',
    'con0=null,fd:1',
    'ssl=null',
    'ssl0=null,fd:3',
    'ssl1=null,fd:4',
    'panic=-1',
    'log_buf_len=1M',
  ]
  return { argv, env: { PATH: process.env.PATH, HOME: process.env.HOME, TMPDIR: memoryDir(dir) } }
}

/** hostfs knows no switch_root (that would empty the old root, which is this machine's), so the roots swap places. */
function initScript(kernel: Kernel, guest: string): string {
  const layers = [tools(), kernel.root]
  return `#!${busybox()} sh
# hostfs shows this machine's own /proc, whose self is the kernel's process: ours first.
${busybox()} mount -t proc proc /proc
mount -t tmpfs tmpfs /run
${moduleFiles(kernel, ['overlay'])
  .map((file) => `insmod ${file}`)
  .join('\n')}
${mountRoot(layers, '/', '/run/root', (index) => `-t hostfs -o ro,${layers[index]} none`)}
cd /run/root
mkdir -p lab-old
pivot_root . lab-old
${busybox()} umount -l /lab-old
exec ${busybox()} sh ${guest} </dev/console >/dev/console 2>&1
`
}

/** The guest's memory is a sparse file; containers often have a /dev/shm too small for it, which would be a SIGBUS. */
function memoryDir(dir: string): string {
  try {
    const shm = statfsSync('/dev/shm')
    if (shm.bavail * shm.bsize > MEMORY) return '/dev/shm'
  } catch {
    // No /dev/shm.
  }
  return dir || tmpdir()
}
