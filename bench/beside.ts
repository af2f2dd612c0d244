import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { performance } from 'node:perf_hooks'
import { baseline } from './baseline.js'
import { calm, summarize } from './measure.js'
import type { Options } from './options.js'
import { dpctlLine, generate, profileNamed, tcLine } from './profiles.js'
import type { Beside } from './result.js'
import { type Setup, system } from './setup.js'

// Others that put the same flows: OVS's own way of using the socket, and the programs people use. They are given fewer
// flows where they are slow; what one flow costs them does not depend on that.

/** A program that cannot take part is left out, with a note that says why. */
export async function besides(
  setup: Setup,
  options: Options,
  recorded: string,
  ours: number,
  notes: string[],
): Promise<Beside[]> {
  const flows = Math.min(options.flows, options.beside)
  if (flows === 0 || options.kernel === 'null') return []
  const found: Beside[] = []
  const add = async (name: string, work: () => Promise<number>) => {
    const turns: number[] = []
    try {
      for (let turn = 0; turn < Math.min(TURNS, options.repeat); turn++) {
        await calm()
        turns.push((await work()) / flows)
      }
      const ns = summarize(turns)
      found.push({ name, flows, ns, faster: ns.median / ours })
    } catch (error) {
      const { stderr } = error as { stderr?: string }
      notes.push(`${name} could not take part: ${(stderr || String(error)).trim().split('\n')[0]}`)
    }
  }
  const protocol = options.backend === 'tc' ? 'route' : 'generic'
  if (options.limit) {
    const way = protocol === 'route' ? 'one at a time, with ECHO' : '50 ops and 3,584 bytes a send'
    await add(`OVS's way in C (${way})`, () => ovsWay(setup, protocol, recorded, flows))
  }
  if (protocol === 'generic') {
    if (isInstalled('ovs-dpctl')) await add('ovs-dpctl add-flows', () => dpctl(setup, options, flows))
    else notes.push('ovs-dpctl is not installed here')
  } else if (options.port !== undefined) {
    notes.push('tc -batch is left out on a real device: its filters could not be told from yours')
  } else if (isInstalled('tc')) {
    await add('tc -batch', () => tcBatch(setup, options, flows))
  }
  return found
}

const TURNS = 3

export function isInstalled(program: string): boolean {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined
}

async function ovsWay(setup: Setup, protocol: string, file: string, flows: number): Promise<number> {
  await setup.empty()
  const { ns, failures, errno } = await baseline('ovs-way', [protocol, file, String(flows)])
  if (failures > 0) throw new Error(`${failures} of its messages were refused (errno ${errno})`)
  return ns
}

async function dpctl(setup: Setup, options: Options, flows: number): Promise<number> {
  const file = path.join(setup.folder, 'flows.txt')
  const lines = generate(profileNamed(options.profile), { from: 0, to: flows }, setup.ends, options).map(
    dpctlLine,
  )
  writeFileSync(file, `${lines.join('\n')}\n`)
  const empty = path.join(setup.folder, 'none.txt')
  writeFileSync(empty, '')
  await setup.empty()
  const add = (name: string) => timed('ovs-dpctl', ['add-flows', setup.datapath, name])
  const start = await add(empty)
  return (await add(file)) - start
}

async function tcBatch(setup: Setup, options: Options, flows: number): Promise<number> {
  const file = path.join(setup.folder, 'filters.txt')
  const profile = profileNamed(options.profile)
  const [inDevice = ''] = setup.inDevices
  const where = { inDevice, outDevice: setup.outDevice, skip: options.skip }
  const lines = Array.from({ length: flows }, (_, index) => tcLine(profile, index, options.masks, where))
  writeFileSync(file, `${lines.join('\n')}\n`)
  const empty = path.join(setup.folder, 'none.txt')
  writeFileSync(empty, '')
  await setup.empty()
  const start = await timed('tc', ['-batch', empty])
  try {
    return (await timed('tc', ['-batch', file])) - start
  } finally {
    // Their handles are not ours, so flush() leaves them alone.
    await system('tc', ['filter', 'del', 'dev', inDevice, 'ingress'])
  }
}

async function timed(program: string, args: string[]): Promise<number> {
  const start = performance.now()
  await system(program, args, { maxBuffer: 1 << 26 })
  return (performance.now() - start) * 1e6
}
