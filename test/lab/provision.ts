import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, delimiter, join } from 'node:path'
import { cached, newest } from './cache.js'
import { execute } from './execute.js'
import { once } from './once.js'
import { candidates, closure, depends, distribution, unpack } from './packages.js'

/** A kernel and the file tree that holds its modules. */
export interface Kernel {
  /** Whatever is built for it is kept under this name. */
  id: string
  image: string
  version: string
  root: string
}

/** What modules for a kernel are built against. */
export interface Headers {
  /** The directory `make -C` wants. */
  build: string
  /** Variables `make` is told. */
  variables: string[]
  /** Where the build's own programs find the libraries they lack here. */
  libraries: string
}

/** What a test may call in a guest; the machine's own are used where they are installed. */
const TOOLS = ['openvswitch-switch', 'openvswitch-common', 'iproute2', 'iputils-ping', 'kmod', 'ethtool']

const KERNEL = distribution()[0] === 'ubuntu' ? 'linux-image-generic' : 'linux-image-amd64'

/** The packages whose versions name the cache's directories. */
const KEYS = [
  'openvswitch-switch',
  'busybox-static',
  'user-mode-linux',
  'linux-source',
  'flex',
  'qemu-system-x86',
  KERNEL,
]

const versions = once(() => candidates(KEYS))

/** ovs-dpctl, tc, ip, ping, modprobe and the libraries they lack here, as a tree to lay over the root. */
export const tools = once(() =>
  entry('openvswitch-switch', (dir) => {
    unpack(closure(TOOLS), dir)
    // Debian's maintainer script makes this link through update-alternatives.
    const link = join(dir, 'usr/sbin/ovs-vswitchd')
    if (existsSync(join(dir, 'usr/lib/openvswitch-switch')) && !existsSync(link)) {
      symlinkSync('/usr/lib/openvswitch-switch/ovs-vswitchd', link)
    }
  }),
)

/** A shell, mount, insmod in one static file: the same in every guest, whatever the machine has. */
export const busybox = once(() => {
  const dir = entry('busybox-static', (into) => unpack(['busybox-static'], into))
  return join(dir, 'usr/bin/busybox')
})

/** User-mode Linux. */
export const umlKernel = once((): Kernel => {
  const root = entry('user-mode-linux', (dir) => {
    unpack(['user-mode-linux'], dir)
    // Where modprobe looks, once this tree is a layer of the guest's root.
    renameSync(join(dir, 'usr/lib/uml/modules'), join(dir, 'usr/lib/modules'))
  })
  return { id: basename(root), image: join(root, 'usr/bin/linux.uml'), version: moduleVersion(root), root }
})

/** The distribution's own kernel, with all its modules. */
export const distributionKernel = once((): Kernel => {
  const root = entry(KERNEL, (dir) => {
    unpack(kernelPackages(KERNEL), dir)
    indexModules(dir)
  })
  const version = moduleVersion(root)
  return { id: basename(root), image: join(root, `boot/vmlinuz-${version}`), version, root }
})

/** For the distribution's kernel. */
export const kernelHeaders = once((): Headers => {
  const kernel = distributionKernel()
  const name = `linux-headers-${kernel.version}`
  const root = cached(`headers_${kernel.id}`, (dir) => {
    unpack(headerPackages(name), dir)
    const makefile = join(dir, 'usr/src', name, 'Makefile')
    // Where the tree lies is not known before it is whole: from absolute to relative.
    writeFileSync(makefile, readFileSync(makefile, 'utf8').replaceAll('/usr/src/', '../'))
  })
  // The compiler's name in the headers is one of the distribution's versions, which need not be installed.
  return { build: join(root, 'usr/src', name), variables: ['CC=gcc'], libraries: libraries(root) }
})

/** What a kernel's build wants beside a compiler and make, and how it finds it. */
export const buildEnvironment = once((): NodeJS.ProcessEnv => {
  const root = entry('flex', (dir) => unpack(closure(['flex', 'bison', 'bc', 'xz-utils']), dir))
  const own = (path: string) => (existsSync(join(root, path)) ? join(root, path) : undefined)
  return {
    ...process.env,
    LC_ALL: 'C',
    PATH: [join(root, 'usr/bin'), process.env.PATH].join(delimiter),
    LD_LIBRARY_PATH: [process.env.LD_LIBRARY_PATH, libraries(root)].filter(Boolean).join(delimiter),
    // Both look for their parts where they would be installed.
    M4: own('usr/bin/m4'),
    BISON_PKGDATADIR: own('usr/share/bison'),
  }
})

/** qemu-system-x86_64: the machine's own, or one unpacked beside it (it finds its data relative to itself). */
export const qemu = once(() => {
  const installed = onPath('qemu-system-x86_64')
  if (installed !== undefined) return { path: installed, env: process.env }
  const root = entry('qemu-system-x86', (dir) => unpack(closure(['qemu-system-x86']), dir))
  const env = { ...process.env, LD_LIBRARY_PATH: libraries(root) }
  return { path: join(root, 'usr/bin/qemu-system-x86_64'), env }
})

/** Where a program is on PATH, the system's own directories included. */
export function onPath(name: string): string | undefined {
  const dirs = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/bin', '/sbin', '/bin']
  return dirs.map((dir) => join(dir, name)).find((file) => existsSync(file))
}

/** Packages with the kernel's source: a newer one than most distributions' kernels, and the distribution's own. */
const KERNEL_SOURCES = ['linux-source-6.12', 'linux-source']

/** The kernel's own tests of openvswitch, and the programs they call that this machine lacks. */
export interface Selftests {
  /** Holds `openvswitch.sh`. */
  readonly folder: string
  /** A tree with the programs. */
  readonly root: string
}

/** The kernel's own tests of openvswitch, of the newest packaged source there is, whatever kernel runs. */
export const selftests = once((): Selftests => {
  const known = candidates(KERNEL_SOURCES)
  const name = KERNEL_SOURCES.find((source) => known.has(source))
  if (name === undefined)
    throw new Error(`cannot find a package ${KERNEL_SOURCES.join(' or ')}: apt has no candidate for either`)
  const root = cached(`selftests_${name}_${known.get(name)}`, (dir) => {
    const work = join(dir, 'work')
    mkdirSync(work)
    unpack(name === 'linux-source' ? depends(name, /^linux-source-\d/) : [name], work)
    const found = readdirSync(join(work, 'usr/src'), { recursive: true, encoding: 'utf8' })
    const archive = found.find((path) => /linux-source-[^/]*\.tar\.\w+$/.test(path))
    if (archive === undefined) throw new Error(`cannot find an archive in package ${name}`)
    const wanted = ['--strip-components=1', '--wildcards', `*/${SELFTESTS}/*`]
    const command = ['tar', '-C', dir, '-xf', join(work, 'usr/src', archive), ...wanted]
    execute("unpack the kernel's tests", command, buildEnvironment())
    rmSync(work, { recursive: true })
    unpack(closure(['iputils-arping', 'ncat']), dir)
    // Debian's maintainer script makes this link through update-alternatives.
    if (!existsSync(join(dir, 'usr/bin/nc'))) symlinkSync('ncat', join(dir, 'usr/bin/nc'))
  })
  return { folder: join(root, SELFTESTS), root }
})

const SELFTESTS = 'tools/testing/selftests/net/openvswitch'

/** The library directories of an unpacked tree. */
export function libraries(root: string): string {
  return ['usr/lib/x86_64-linux-gnu', 'usr/lib'].map((dir) => join(root, dir)).join(':')
}

/**
 * The cache's directory for a package; where apt knows no version (no lists, no network), the newest one kept.
 * `key` names it where what is kept is more than the package.
 */
export function entry(name: string, build: (dir: string) => void, key = name): string {
  const version = versions().get(name)
  if (version !== undefined) return cached(`${key}_${version}`, build)
  const kept = newest(`${key}_`)
  if (kept !== undefined) return kept
  throw new Error(`cannot find package ${name}: apt has no candidate for it; try 'apt-get update' as root`)
}

/** A kernel's headers, those it shares with its siblings, and the build's own programs with the libraries they lack here. */
function headerPackages(name: string): string[] {
  const others = depends(name, /^linux-(headers|kbuild)-/)
  const programs = closure(others.filter((other) => other.startsWith('linux-kbuild-')))
  return [...new Set([name, ...others, ...programs])]
}

/** The image package a metapackage stands for, then the packages its modules are in. */
function kernelPackages(meta: string): string[] {
  const direct = depends(meta, /^linux-(image|modules)-/)
  return [...new Set([...direct, ...direct.flatMap(kernelPackages)])]
}

/** The version of the kernel whose modules a tree holds. */
export function moduleVersion(root: string): string {
  const version = readdirSync(join(root, 'usr/lib/modules'))[0]
  if (version === undefined) throw new Error(`cannot find modules in ${root}: usr/lib/modules is empty`)
  return version
}

/** What a kernel package's maintainer script does. */
export function indexModules(root: string): void {
  const installed = onPath('depmod')
  const path = installed ?? join(tools(), 'usr/bin/kmod')
  const env = installed === undefined ? { ...process.env, LD_LIBRARY_PATH: libraries(tools()) } : process.env
  // kmod is the tool it is called.
  const options = { argv0: 'depmod', env, encoding: 'utf8' } as const
  const result = spawnSync(path, ['-b', root, moduleVersion(root)], options)
  if (result.status !== 0) throw new Error(`cannot index the modules in ${root}: ${result.stderr}`)
}
