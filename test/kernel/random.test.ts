import { spawnSync } from 'node:child_process'
import { isDeepStrictEqual as alike } from 'node:util'
import t, { type Test } from 'tap'
import type { Action, CtAction, FlowKey } from '../../types/index.js'
import { flowKey } from '../../lib/ovs/key.js'
import { type Dpif, formatActions, kernelOnly } from '../../lib/index.js'
import { call } from '../cli/call.js'
import { bench, has, missing, run, show } from '../fixtures/lab.js'
import {
  allKinds,
  type Kind,
  Random,
  randomActions,
  readable,
  seedOf,
  unread,
} from '../fixtures/random-actions.js'
import {
  countActions,
  countNames,
  type Dropped,
  type FlowOptions,
  meaningOf,
  type RandomFlow,
  randomFlow,
} from '../fixtures/random-flows.js'

// Thousands of random flows through a real kernel: it takes what our rules allow and keeps what was put; ovs-dpctl prints it as we do.

t.setTimeout(300_000)

/** A table at a time: a kernel looks through the masks of all flows for each that comes, and has room for about 4000. */
const ROUNDS = 4
const COUNT = 1000
const TEXTS = 2000

const seed = seedOf()
t.comment(`SEED=${seed} gives the same flows again`)

type Name = keyof FlowKey & string

const reason = (await missing()) || false
if (reason !== false) t.plan(0, `no kernel to try: ${reason}`)
else {
  t.test('flows that the rules allow are taken, kept and printed', async (t) => {
    const { dpif, name } = await bench(t, kernelOnly(), 2)
    const features = await featuresOf(dpif)
    t.comment(`this kernel has no ${features.lacks.join(', ') || 'lack of anything'}`)
    const random = new Random(seed)
    const seen = new Map<string, number>()
    const dropped: Dropped = new Map()
    const exceptions = new Map<string, number>()
    for (let round = 0; round < ROUNDS; round++) {
      const flows = Array.from({ length: COUNT }, (_, number) =>
        randomFlow(random, { ...features, number }, dropped),
      )
      for (const { key, mask, actions } of flows) {
        countNames(key, mask, seen)
        countActions(actions, seen)
      }
      await tryFlows(t, dpif, name, flows, exceptions)
      await dpif.flush()
    }
    t.comment(`what came up: ${show(Object.fromEntries(seen))}`)
    t.comment(`what the rules kept back: ${show(Object.fromEntries(dropped))}`)
    t.comment(`lines OVS gets wrong: ${show(Object.fromEntries(exceptions))}`)
    for (const name of features.names) {
      const came = [...seen.keys()].some((path) => path === name || path.startsWith(`${name}.`))
      t.ok(came, `${name} is matched in some flow`)
    }
    for (const kind of features.kinds) t.ok(seen.has(kind), `${kind} is in some actions`)
    for (const name of settable) t.ok(seen.has(`set.${name}`), `${name} is set in some actions`)
  })

  const skip = has('ovs-dpctl') ? false : 'there is no ovs-dpctl'
  t.test('parse-actions prints what ovs-dpctl prints', { skip }, async (t) => {
    const random = new Random(seed + 1)
    const texts = Array.from({ length: TEXTS }, (_, index) => {
      const text = readable(randomActions(random, 5, { kinds: read }))
      return index % 4 === 0 ? respelled(random, text) : text
    })
    const theirs = parsed(texts)
    const ours = await Promise.all(texts.map((text) => call(['parse-actions', '--', text])))
    const differ: string[] = []
    for (const [index, line] of theirs.entries()) {
      if (line === undefined) continue
      const { out, err } = ours[index] as (typeof ours)[number]
      if (out !== `${line}\n` && !wraps(texts[index] as string, err))
        differ.push(`${texts[index]}: ovs-dpctl ${line}, hwacc ${out}${err}`)
    }
    const count = theirs.filter((line) => line !== undefined).length
    t.same(differ.slice(0, 8), [], `${differ.length} of ${count} texts are printed otherwise`)
    t.ok(count > TEXTS / 2, `ovs-dpctl reads ${count} of ${TEXTS}`)
  })
}

const settable = [
  'skbPriority',
  'skbMark',
  'ctMark',
  'ctLabels',
  'ethernet',
  'ipv4',
  'ipv6',
  'tcp',
  'udp',
  'sctp',
  'mpls',
  'tunnel',
]

/** What OVS 3.1 has words for that it reads. */
const read = allKinds.filter((kind) => !unread.includes(kind))

/** Some numbers in other digits, some letters large, blanks between some actions, a delimiter too many. */
function respelled(random: Random, text: string): string {
  const digits = text.replace(/(?<=[=(,])\d+(?=[,)]|$)/g, (number) =>
    random.upTo(9) === 0
      ? random.pick([`0x${Number(number).toString(16)}`, `0${Number(number).toString(8)}`])
      : number,
  )
  const blanks = digits.replace(/(?<=[\d)]),(?=\d|[a-z_]+\()/g, (comma) =>
    random.upTo(19) === 0 ? random.pick([', ', ' ', ',,', '\t']) : comma,
  )
  if (random.upTo(3) > 0 || blanks === '') return blanks
  const at = random.upTo(blanks.length - 1)
  const some = random.pick([...',()|'])
  return blanks.slice(0, at) + some + blanks.slice(at)
}

/**
 * What OVS reads in a way of its own: numbers that do not fit lose their upper bits (section 12, row 56), an odd number of digits in
 * md2 loses the last, in add_mpls a number that begins with 0 is decimal, and within clone() and the like no comma is needed.
 */
function wraps(text: string, err: string): boolean {
  if (/is more than|does not fit|out of range|',' expected/.test(err)) return true
  if (/add_mpls\([^)]*=0\d/.test(text)) return true
  return [...text.matchAll(/md2=0x([\da-f]*)/gi)].some(([, digits = '']) => digits.length % 2 !== 0)
}

/** What ovs-dpctl prints of each text; undefined where it cannot read it, at which it stops. */
function parsed(texts: readonly string[]): (string | undefined)[] {
  const lines: (string | undefined)[] = []
  while (lines.length < texts.length) {
    const some = texts.slice(lines.length, lines.length + 200)
    const { stdout, stderr } = spawnSync('ovs-dpctl', ['parse-actions', '--', ...some], {
      encoding: 'utf8',
      maxBuffer: 64 << 20,
    })
    const printed = stdout.split('\n').slice(0, -1)
    lines.push(...printed)
    if (printed.length < some.length) {
      if (stderr === '') throw new Error(`ovs-dpctl printed ${printed.length} lines for ${some.length} texts`)
      lines.push(undefined)
    }
  }
  return lines
}

/** Lines that OVS 3.1 prints wrongly; ours are right. */
const weaknesses: readonly { readonly what: string; readonly ours?: RegExp; readonly theirs?: RegExp }[] = [
  { what: 'action 23 is tnl_push() for OVS and dec_ttl() for the kernel', ours: /dec_ttl\(/ },
  { what: 'tunnel attribute 16 is gtpu() for OVS and an info bridge for the kernel', ours: /key16\(\)/ },
  {
    what: 'fewer labels in a key than in its mask, or none, are an error to OVS',
    theirs: /mpls\(\((key length \d+ != mask length \d+|bad key length 0)\)/,
  },
]

/** A flow by the pass it is for, which no two have in common. */
const numberOf = (line: string) => /recirc_id\([^)]*\)/.exec(line)?.[0] ?? line

function excepted(ours: string, theirs: string, exceptions: Map<string, number>): Set<string> {
  const found = new Set<string>()
  for (const { what, ...sides } of weaknesses) {
    const before = found.size
    for (const [text, pattern] of [
      [ours, sides.ours],
      [theirs, sides.theirs],
    ] as const)
      if (pattern !== undefined)
        for (const line of text.split('\n')) if (pattern.test(line)) found.add(numberOf(line))
    exceptions.set(what, (exceptions.get(what) ?? 0) + found.size - before)
  }
  return found
}

async function tryFlows(
  t: Test,
  dpif: Dpif,
  name: string,
  flows: readonly RandomFlow[],
  exceptions: Map<string, number>,
): Promise<void> {
  const results = await dpif.operate(flows.map((flow) => ({ op: 'put', ...flow })))
  const put = new Map<string, RandomFlow>()
  const refused: string[] = []
  for (const [index, { ufid, error }] of results.entries()) {
    const flow = flows[index] as RandomFlow
    if (error === undefined) put.set(ufid, flow)
    else
      refused.push(
        `${error.code} ${error.path} ${error.message}: ${told(flow)}`.replace(
          /cannot put.*log. .EINVAL.:/,
          '',
        ),
      )
  }
  t.same(refused.slice(0, 8), [], `${refused.length} of ${flows.length} flows were refused`)
  const changed: string[] = []
  for await (const flow of dpif.dump()) {
    const before = put.get(flow.ufid)
    if (before === undefined) continue
    put.delete(flow.ufid)
    const [is, was] = [kept(flow), kept(before)]
    if (!alike(is, was)) changed.push(`${show(difference(was, is))} of ${told(before)}`)
  }
  t.same(changed.slice(0, 8), [], `${changed.length} flows are not what was put`)
  t.equal(put.size, 0, 'every flow was dumped')
  if (!has('ovs-dpctl')) return
  for (const options of [['--no-names'], ['--no-names', '-m']]) {
    const theirs = run('ovs-dpctl', 'dump-flows', ...options, name)
    const ours = (await call(['dump-flows', ...options, name])).out
    const strange = excepted(ours, theirs, exceptions)
    const lines = (text: string) => text.split('\n').filter((line) => !strange.has(numberOf(line)))
    const [left, right] = [lines(theirs), lines(ours)]
    const [missed, extra] = [without(left, right), without(right, left)]
    t.same(
      extra.sort().slice(0, 5),
      missed.sort().slice(0, 5),
      `${missed.length} lines of dump-flows ${options} differ`,
    )
  }
}

const without = (list: readonly string[], others: readonly string[]) => {
  const known = new Set(others)
  return list.filter((item) => !known.has(item))
}

function told({ key, mask, actions }: RandomFlow): string {
  return `${show({ key, mask })} ${formatActions(actions)}`
}

/** What a kernel keeps of a flow. */
function kept({ key, mask, actions }: { key: FlowKey; mask: FlowKey; actions: readonly Action[] }): object {
  return { ...Object.fromEntries(meaningOf(key, mask)), actions: actions.map(keptAction) }
}

/** In a tunnel, what is zero is not said. */
function keptAction(action: Action): Action {
  const list = (actions: readonly Action[] = []) => actions.map(keptAction)
  const { set, sample, clone, checkPktLen, decTtl, ct } = action
  // Kernels that have zones always say one.
  if (ct?.zone === 0)
    return { ct: Object.fromEntries(Object.entries(ct).filter(([part]) => part !== 'zone')) }
  if (sample !== undefined) return { sample: { ...sample, actions: list(sample.actions) } }
  if (clone !== undefined) return { clone: list(clone) }
  if (decTtl !== undefined) return { decTtl: { action: list(decTtl.action) } }
  if (checkPktLen !== undefined) {
    const { greater, lessEqual } = checkPktLen
    return { checkPktLen: { ...checkPktLen, greater: list(greater), lessEqual: list(lessEqual) } }
  }
  if (set?.tunnel === undefined) return action
  const zeros: Readonly<Record<string, unknown>> = { src: '0.0.0.0', tos: 0, tpSrc: 0, tpDst: 0 }
  const parts = Object.entries(set.tunnel).filter(([name, part]) => part !== zeros[name])
  return { set: { tunnel: Object.fromEntries(parts) } }
}

function difference(was: object, is: object): object {
  const names = new Set([...Object.keys(was), ...Object.keys(is)])
  const [a, b] = [was as Record<string, unknown>, is as Record<string, unknown>]
  return Object.fromEntries(
    [...names].filter((name) => !alike(a[name], b[name])).map((name) => [name, [a[name], b[name]]]),
  )
}

/** Which of what not all kernels have this one has: asked with a flow each. */
async function featuresOf(dpif: Dpif): Promise<Omit<FlowOptions, 'number'> & { lacks: readonly string[] }> {
  const lacks: string[] = []
  const takes = async (what: string, key: FlowKey, mask: FlowKey, actions: readonly Action[]) => {
    await dpif.flush()
    const { error } = await dpif.put({ key: { ...ip4, ...key }, mask: { ...ip4Mask, ...mask }, actions })
    if (error !== undefined) lacks.push(what)
    return error === undefined
  }
  const names = new Set<Name>(flowKey.rows.map((row) => row.name as Name))
  for (const name of ['packetType', 'ndExtensions'] as const) names.delete(name)
  for (const [name, one] of probes) {
    if (!(await takes(name, one, one, []))) names.delete(name)
  }
  if (!names.has('ctState')) names.delete('ctTuple6')
  const kinds = new Set<Kind>(allKinds)
  kinds.delete('unknown')
  for (const [kind, action] of kindProbes) if (!(await takes(kind, {}, {}, [action]))) kinds.delete(kind)
  const algorithms = (await takes('hash(sym_l4)', {}, {}, [{ hash: { alg: 1, basis: 0 } }])) ? 2 : 1
  const parts = new Set<string>()
  if (kinds.has('ct')) {
    for (const [part, ct] of ctProbes) if (await takes(`ct(${part})`, {}, {}, [{ ct }])) parts.add(part)
  }
  // A helper has to be there, and for the protocol of the flow.
  const ct = (whole: CtAction) =>
    Object.fromEntries(Object.entries(whole).filter(([part]) => !ctParts.has(part) || parts.has(part)))
  await dpif.flush()
  return { lacks, names, kinds: [...kinds], algorithms, ct }
}

const ip4: FlowKey = { ethernet: {}, etherType: 0x0800, ipv4: {} }
const ip4Mask: FlowKey = { etherType: 0xffff }

const probes: readonly (readonly [Name, FlowKey])[] = [
  ['ctState', { ctState: 1 }],
  ['ctZone', { ctZone: 1 }],
  ['ctMark', { ctMark: 1 }],
  ['ctLabels', { ctLabels: 1n }],
  ['ctTuple4', { ctTuple4: { proto: 6 } }],
]

const kindProbes: readonly (readonly [Kind, Action])[] = [
  ['ct', { ct: {} }],
  ['ctClear', { ctClear: true }],
  ['meter', { meter: 1 }],
  ['pushNsh', { pushNsh: { base: { mdtype: 1 }, md1: {} } }],
  ['checkPktLen', { checkPktLen: { size: 1, greater: [], lessEqual: [] } }],
  ['addMpls', { addMpls: { label: 1, etherType: 0x8847, flags: 0 } }],
  ['decTtl', { decTtl: { action: [] } }],
  ['drop', { drop: 0 }],
  ['psample', { psample: { group: 1 } }],
]

const ctProbes: readonly (readonly [string, CtAction])[] = [
  ['zone', { zone: 1 }],
  ['mark', { commit: true, mark: { value: 1, mask: 1 } }],
  ['labels', { commit: true, labels: { value: 1n, mask: 1n } }],
  ['nat', { nat: {} }],
  ['timeout', { timeout: 'none' }],
]
const ctParts: ReadonlySet<string> = new Set([...ctProbes.map(([part]) => part), 'helper'])
