import { readFileSync, writeFileSync } from 'node:fs'
import { isDeepStrictEqual as alike } from 'node:util'
import t from 'tap'
import type { OpResult } from '../../types/op.js'
import { type Dpif, formatFlow, formatKey, formatUfid, tcOnly } from '../../lib/index.js'
import { type Filter, filtersOf } from '../fixtures/filters.js'
import { missing, open, type Owner, show, veth } from '../fixtures/lab.js'
import { Random, readable, seedOf } from '../fixtures/random-actions.js'
import { randomOffload } from '../fixtures/random-offloads.js'
import { type Vswitchd, vswitchd, vswitchdMissing } from '../fixtures/vswitchd.js'
import { canonical } from '../tc/canonical.js'
import { canonicalActions } from '../backend/tc/actions.js'
import {
  filterDifferences,
  type Flow as Put,
  lineDifferences,
  stricter,
  unreadable,
} from './vswitchd/differences.js'

// Random flows, put by ovs-vswitchd with its offload and put by us, on the same ports of the same datapath: the filters that `tc` shows
// are the same, and each reads the other's as its own. Where that is not so, there is a row that says why.

t.setTimeout(0)

/** As many rounds as a minute and a half has room for; an emulated machine does not get far. */
const ROUNDS = 12
const BUDGET_MS = 90_000
const COUNT = 250

/** Of many that are wrong. */
const SHOWN = 4

const seed = seedOf()
t.comment(`SEED=${seed} gives the same flows again`)

type Flow = Put & { readonly number: number }

/** What one of the two has made of flows: by number, filters, lines of its own dump and of the other's. */
interface Outcome {
  readonly filters: ReadonlyMap<number, Filter>
  readonly ours: ReadonlyMap<number, string>
  readonly theirs: ReadonlyMap<number, string>
}

const reason = (await missing()) || vswitchdMissing()
if (reason !== false) t.plan(0, `nothing to compare with: ${reason}`)
else
  t.test('flows put by ovs-vswitchd and by us', async (t) => {
    quiet(t)
    const links = [veth(t), veth(t), veth(t)].map(([port]) => port) as [string, string, string]
    const ovs = await vswitchd(t, links)
    const dpif = await open(t, ovs.datapath, tcOnly({ skip: 'hw' }))
    const ports = await dpif.ports()
    const [inPort, ...outPorts] = links.map((name) => ports.find((port) => port.name === name)?.number ?? -1)
    const { error: zonesMissing } = await dpif.put({ ...plain(inPort ?? -1), actions: [{ ct: { zone: 1 } }] })
    await dpif.flush()
    const random = new Random(seed)
    const tally = new Map<string, number>()
    const count = (what: string, by = 1) => tally.set(what, (tally.get(what) ?? 0) + by)
    const until = Date.now() + BUDGET_MS
    let round = 0
    for (; round < ROUNDS && (round === 0 || Date.now() < until); round++) {
      const flows = Array.from({ length: COUNT }, (_, number): Flow => {
        const options = { number, inPort: inPort ?? -1, outPorts, zones: zonesMissing === undefined }
        return { number, ufid: ufidOf(number), ...randomOffload(random, options) }
      })
      const errors = await Promise.all(flows.map((flow) => theirPut(ovs, flow)))
      count('not taken by OVS at all', errors.filter((error) => error !== null).length)
      const theirs = await look(ovs, dpif, links[0])
      await ovs.control.call('dpctl/del-flows')
      t.equal(filtersOf(links[0], numberOf).size, 0, 'nothing is left of theirs')

      const results = await dpif.operate(flows.map((flow) => ({ op: 'put', ...flow })))
      const ours = await look(ovs, dpif, links[0])
      const wrong: string[] = []
      let readBack = 0
      for await (const flow of dpif.dump({ types: ['tc'] })) {
        const asked = flows.find(({ ufid }) => ufid === flow.ufid)
        if (asked === undefined) continue
        readBack++
        count('read back as asked for')
        const is = [meaning(flow), flow.actions]
        const was = [meaning(asked), canonicalActions(asked.actions)]
        if (!alike(is, was)) wrong.push(`${show(was)} is read as ${show(is)}`)
      }
      t.equal(readBack, results.filter(({ error }) => error === undefined).length, 'every flow is read back')
      t.same(wrong.slice(0, 4), [], `${wrong.length} flows are read back otherwise`)
      await dpif.flush()
      t.equal(filtersOf(links[0], numberOf).size, 0, 'nothing is left of ours')

      const differ: string[] = []
      for (const flow of flows) {
        const verdict = compare(flow, theirs, ours, results[flow.number] as OpResult, count)
        if (verdict !== undefined) differ.push(`${verdict}\n  of ${told(flow)}`)
      }
      t.same(differ.slice(0, SHOWN), [], `${differ.length} of ${flows.length} filters differ`)
      for (const [who, outcome] of Object.entries({ OVS: theirs, us: ours })) {
        const lines = flows.flatMap((flow) => differing(flow, outcome, count) ?? [])
        t.same(lines.slice(0, SHOWN), [], `${lines.length} lines about flows of ${who} differ`)
      }
    }
    for (const [what, number] of tally) t.comment(`${number}: ${what}`)
    for (const { what } of [...filterDifferences, ...lineDifferences, ...unreadable])
      t.ok(tally.has(what), `came up: ${what}`)
  })

/** No link says anything by itself, for which ovs-vswitchd would put flows. */
function quiet(t: Owner): void {
  const path = '/proc/sys/net/ipv6/conf/default/disable_ipv6'
  const before = readFileSync(path)
  t.teardown(() => writeFileSync(path, before))
  writeFileSync(path, '1')
}

const ufidOf = (number: number) => `${(number + 1).toString(16).padStart(8, '0')}-1111-4000-8000-0123456789ab`

/** A flow's number is in the last two bytes of the address its frames come from. */
function numberOf({ src_mac: source }: { readonly src_mac?: unknown }): number | undefined {
  const [, high = '', low = ''] = /^..:..:..:..:(..):(..)/.exec(String(source)) ?? []
  const number = Number.parseInt(`${high}${low}`, 16)
  return number < COUNT ? number : undefined
}

const plain = (inPort: number) => {
  const key = { recircId: 0, inPort, ethernet: {}, etherType: 0x0800, ipv4: {} }
  return { key, mask: { recircId: 0xffffffff, inPort: 0xffffffff, etherType: 0xffff } }
}

async function theirPut({ control }: Vswitchd, { ufid, key, mask, actions }: Flow): Promise<string | null> {
  const text = `${formatUfid(ufid)},${formatKey(key, mask, { verbose: true })}`
  return (await control.try('dpctl/add-flow', text, readable(actions))).error
}

async function look({ control }: Vswitchd, dpif: Dpif, device: string): Promise<Outcome> {
  const theirs = new Map<number, string>()
  const ours = new Map<number, string>()
  const text = await control.call('dpctl/dump-flows', '-m', '--no-names', 'type=tc')
  for (const line of text.split('\n')) note(theirs, line)
  for await (const flow of dpif.dump({ types: ['tc'] }))
    note(ours, formatFlow(flow, { verbose: true, now: 0 }))
  return { filters: filtersOf(device, numberOf), ours, theirs }
}

/** Lines about other flows are those of packets that came meanwhile. */
function note(lines: Map<number, string>, line: string): void {
  const [, number] = /^ufid:([0-9a-f]{8})-1111-4000-8000-0123456789ab,/.exec(line) ?? []
  if (number !== undefined) lines.set(Number.parseInt(number, 16) - 1, line)
}

function compare(
  flow: Flow,
  theirs: Outcome,
  ours: Outcome,
  { error }: OpResult,
  count: (what: string) => void,
): string | undefined {
  const [left, right] = [ours.filters.get(flow.number), theirs.filters.get(flow.number)]
  if (left === undefined && error === undefined) return 'we took it, and there is no filter'
  if (left === undefined && right === undefined) count('in TC by neither')
  else if (right === undefined) count('in TC by us only')
  else if (left === undefined) {
    const why = stricter[error?.reason ?? 'KERNEL_RULE']
    count(`in TC by OVS only: ${error?.reason ?? error?.code}: ${why}`)
    if (why === undefined)
      return `${error?.reason} ${error?.kernel} ${error?.message}, and OVS installs ${show(right)}`
  } else {
    count('in TC by both')
    const seen = explained(right, flow, count)
    if (!alike(left, seen)) return `ours ${show(left)}\ntheirs ${show(right)}`
  }
  return undefined
}

/** As openvswitch has it, of the operation of ARP only one byte counts. */
function meaning({ key, mask }: Pick<Flow, 'key' | 'mask'>): object {
  const said = Object.entries(canonical(key, mask))
  return Object.fromEntries(
    said.map(([path, text]) => [path, path.endsWith('arp.op') ? text.replace('/ffff', '/ff') : text]),
  )
}

/** What OVS has made, without what is known to be different. */
function explained(filter: Filter, flow: Flow, count: (what: string) => void): Filter {
  let seen = filter
  for (const { what, mend } of filterDifferences) {
    const next = mend(seen, flow)
    if (!alike(next, seen)) count(what)
    seen = next
  }
  return seen
}

/** How the lines of both about one flow differ, if they do. */
function differing(
  flow: Flow,
  { filters, ours, theirs }: Outcome,
  count: (what: string) => void,
): string | undefined {
  const [line, other] = [ours.get(flow.number), theirs.get(flow.number)]
  if (line === undefined && other === undefined) return undefined
  const filter = filters.get(flow.number)
  if (line === undefined && filter?.actions.every(({ cookie }) => cookie === undefined)) {
    count('an OVS filter without a cookie, which only the process that has put it can name')
    return undefined
  }
  const unread = other === undefined ? unreadable.find(({ of }) => of(flow)) : undefined
  if (unread !== undefined) {
    count(unread.what)
    return undefined
  }
  let [left, right] = [lineOf(line ?? ''), lineOf(other ?? '')]
  if (!alike(left, right)) {
    for (const { what, of, left: rest } of lineDifferences) {
      if (!of(flow)) continue
      const [a, b] = [left, right].map((parts) => parts.map(rest).filter((part) => part !== '')) as [
        string[],
        string[],
      ]
      const gone =
        left.length - a.length !== right.length - b.length ||
        !alike(
          left.filter((part) => !a.includes(part)),
          right.filter((part) => !b.includes(part)),
        )
      if (gone) count(what)
      left = a
      right = b
    }
  }
  count('lines compared')
  return alike(left, right) ? undefined : `ours ${show(left)}\nOVS  ${show(right)}\n  of ${told(flow)}`
}

/** A line's parts in the order of the alphabet, without counters and what counts for nothing. */
function lineOf(line: string): string[] {
  const [head = '', actions = ''] = line.split(/, actions:/)
  const match = head.replace(/, packets:\d+, bytes:\d+, used:[^,]+(, flags:[^,]*)?/, '')
  const parts = split(match)
    .filter((part) => !/^nd\(target=::\/::|^\w+\((ns=0\/0,id=)?0x?0?\/0(x0)?\)$/.test(part))
    .map((part) => part.replace(/,(tcp_flags\(0\/0\)|nd\(target=::\/::[^)]*\))/, ''))
  return [...parts.sort(), `actions:${actions}`]
}

function split(text: string): string[] {
  const parts: string[] = []
  let depth = 0
  let from = 0
  for (const [at, letter] of [...text].entries()) {
    if (letter === '(') depth++
    else if (letter === ')') depth--
    else if (letter === ',' && depth === 0) {
      parts.push(text.slice(from, at).trim())
      from = at + 1
    }
  }
  return [...parts, text.slice(from).trim()]
}

const told = ({ key, mask, actions }: Flow) => `${formatKey(key, mask)} ${readable(actions)}`
