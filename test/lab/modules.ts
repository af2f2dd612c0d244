import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Kernel } from './provision.js'

/** Loaded before the job unless LAB_MODULES says otherwise; everything else loads when the kernel asks for it. */
export const DEFAULT_MODULES = [
  'ipv6',
  'openvswitch',
  'sch_ingress',
  'cls_flower',
  'act_gact',
  'act_mirred',
  'act_vlan',
  'act_pedit',
  'act_csum',
  'act_skbedit',
  'act_tunnel_key',
  'veth',
]

/** Files to insert, in this order, so that `names` are loaded; built-in ones need none. */
export function moduleFiles(kernel: Kernel, names: string[]): string[] {
  const dir = join(kernel.root, 'usr/lib/modules', kernel.version)
  const needs = new Map<string, string[]>()
  const paths = new Map<string, string>()
  for (const line of readFileSync(join(dir, 'modules.dep'), 'utf8').split('\n')) {
    const [path = '', after = ''] = line.split(':')
    if (path === '') continue
    paths.set(moduleName(path), path)
    needs.set(
      path,
      after.split(' ').filter((need) => need !== ''),
    )
  }
  const files: string[] = []
  for (const name of names) {
    const path = paths.get(name)
    if (path === undefined) continue
    // modules.dep lists what is needed last first.
    const chain = [...(needs.get(path) ?? [])].reverse()
    for (const file of [...chain, path]) if (!files.includes(file)) files.push(file)
  }
  return files.map((file) => join(dir, file))
}

/** A module's bytes as insmod wants them. */
export function moduleBytes(file: string): Buffer {
  const unpacker = file.endsWith('.zst') ? 'zstd' : file.endsWith('.xz') ? 'xz' : undefined
  if (unpacker === undefined) return readFileSync(file)
  const result = spawnSync(unpacker, ['-dc', file], { maxBuffer: 64 << 20 })
  if (result.status !== 0)
    throw new Error(`cannot unpack ${file}: needs ${unpacker} (apt-get install ${unpacker})`)
  return result.stdout
}

/** `kernel/fs/9p/9pnet_virtio.ko.xz` is called 9pnet_virtio; the kernel reads - and _ as one. */
function moduleName(path: string): string {
  return (path.split('/').pop() ?? '').replace(/\.ko.*$/, '').replaceAll('-', '_')
}
