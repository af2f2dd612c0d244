import { readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { Cpio } from './cpio.js'
import { eswitchModule } from './eswitch/build.js'
import { guestScript, mountRoot } from './guest.js'
import { moduleBytes, moduleFiles } from './modules.js'
import { packagesMissing } from './packages.js'
import { busybox, distributionKernel, kernelHeaders, qemu as emulator, tools } from './provision.js'
import { attempt, type Target } from './target.js'

/** What stands between the kernel image and this machine's root. */
const BOOT_MODULES = ['virtio_pci', 'virtio_console', '9pnet_virtio', '9p', 'overlay']

/** The distribution's kernel on an emulated machine with two CPUs, this machine's root by 9p, read-only. */
export const qemu: Target = {
  name: 'qemu',

  available: () =>
    attempt(packagesMissing('qemu-system-x86, busybox-static, a kernel image with its modules'), () => {
      emulator()
      distributionKernel()
      busybox()
      tools()
    }),

  prepare(job, dir) {
    const guest = join(dir, 'guest')
    const initramfs = join(dir, 'initramfs')
    writeFileSync(guest, guestScript(job, dir, busybox(), '/dev/vport*p1', '/dev/vport*p2'), { mode: 0o755 })
    writeFileSync(initramfs, buildInitramfs(guest))
    const { path, env } = emulator()
    const argv = [
      path,
      ...[
        '-accel',
        'tcg,thread=multi,tb-size=1024',
        '-cpu',
        'max',
        '-smp',
        job.env.LAB_CPUS ?? '2',
        '-m',
        '4G',
      ],
      ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-serial', 'stdio'],
      ...['-kernel', distributionKernel().image, '-initrd', initramfs],
      ...['-append', 'console=ttyS0 panic=-1 mitigations=off random.trust_cpu=on log_buf_len=1M'],
      ...share('/', 'root'),
      ...layers().flatMap((path, index) => share(path, `layer${index}`)),
      ...['-device', 'virtio-serial-pci'],
      ...['-chardev', 'socket,id=stdout,fd=3', '-device', 'virtserialport,chardev=stdout,nr=1'],
      ...['-chardev', 'socket,id=stderr,fd=4', '-device', 'virtserialport,chardev=stderr,nr=2'],
    ]
    return { argv, env }
  },

  eswitch: () => eswitchModule(distributionKernel(), kernelHeaders()),
}

/** 9p's: the largest messages, and a cache that trusts us not to change files under the guest. */
const OPTIONS = 'trans=virtio,version=9p2000.L,ro,msize=512000,cache=loose'

function layers(): string[] {
  return [tools(), distributionKernel().root]
}

function share(path: string, tag: string): string[] {
  return ['-virtfs', `local,path=${path},mount_tag=${tag},security_model=none,readonly=on,multidevs=remap`]
}

function buildInitramfs(guest: string): Buffer {
  const kernel = distributionKernel()
  const archive = new Cpio()
  for (const dir of ['bin', 'dev', 'proc', 'sys', 'run', 'root', 'lower', 'modules']) archive.directory(dir)
  archive.file('bin/busybox', readFileSync(busybox()), 0o755)
  archive.link('bin/sh', 'busybox')
  const files = moduleFiles(kernel, BOOT_MODULES)
  for (const file of files) archive.file(`modules/${basename(file)}`, moduleBytes(file))
  archive.file(
    'init',
    `#!/bin/sh
/bin/busybox mount -t proc proc /proc
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /run
${files.map((file) => `insmod /modules/${basename(file)}`).join('\n')}
mount -t 9p -o ${OPTIONS} root /lower
${mountRoot(layers(), '/lower', '/root', (index) => `-t 9p -o ${OPTIONS} layer${index}`)}
exec switch_root /root ${busybox()} sh ${guest} </dev/console >/dev/console 2>&1
`,
    0o755,
  )
  return archive.end()
}
