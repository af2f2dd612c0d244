import { spawnSync } from 'node:child_process'
import t, { type Test } from 'tap'
import type { Abilities } from '../../lib/backend/tc/action/index.js'
import { TcBackend } from '../../lib/backend/tc/flows.js'
import { NativeTransport, tcOnly } from '../../lib/index.js'
import { beginMessage, endMessage, HEADER_SIZE } from '../../lib/netlink/message.js'
import { messagesOf } from '../../lib/netlink/reader.js'
import { Writer } from '../../lib/netlink/writer.js'
import { flowKey } from '../../lib/ovs/key.js'
import { ParsedUfid } from '../../lib/ovs/ufid.js'
import { filterFlags, flower } from '../../lib/tc/flower.js'
import { HEADERS, hooks, prioAndProtocol, tcMessage, types } from '../../lib/tc/message.js'
import type { Action } from '../../types/action.js'
import type { FlowView } from '../../types/backend.js'
import type { FlowKey } from '../../types/flow.js'
import { anyActions } from '../backend/tc/actions.js'
import { flowerFlows } from '../fixtures/flower-flows.js'
import { bench, missing, run, tc } from '../fixtures/lab.js'
import { allKinds, Random, seedOf } from '../fixtures/random-actions.js'
import { randomMatch } from '../fixtures/random-flows.js'
import { actionRows, everyBit, ipv4Match, type Match } from '../fixtures/tc-action-rows.js'

// What explain prints in the syntax of tc is put by tc itself, and what the kernel then holds is what it holds when we put the flow.

t.setTimeout(0)

const RANDOM = 1500
const PAGE = 300

const seed = seedOf()
t.comment(`SEED=${seed} gives the same flows again`)

/** What tc of iproute2 6.1 has no words for, and why a flow of ours may want it. */
const lacking: readonly RegExp[] = [
  /^(arp_sip|arp_tip|src_ip|dst_ip|enc_src_ip|enc_dst_ip) .*: a mask that is no prefix$/,
  /^tcp_flags .*: more than twelve bits$/,
  /^arp_op \d+: only 0, request \(1\) and reply \(2\)$/,
  /^enc_src_port .*: it matches the destination port only$/,
  /^enc_dst_port .*: it takes no mask$/,
  /^pedit (ETH|IP6) .*: part of a field that is longer, or no field$/,
  /^ct nat: commit without a direction$/,
  /^ct nat (src|dst): it wants an address$/,
]

const reason = (await missing()) || false
if (reason !== false) t.plan(0, `no kernel to try: ${reason}`)
else {
  t.test('a filter for every key', async (t) => {
    const lab = await setUp(t)
    await lab.compare(
      t,
      Object.entries(flowerFlows).map(([name, [key, mask]]) => ({ name, key, mask, actions: [] })),
    )
  })

  t.test('a filter for every action', async (t) => {
    const lab = await setUp(t)
    const more: readonly (readonly [string, Match, readonly Action[]])[] = [
      ['meter', ipv4Match, [{ meter: 1 }, { output: 2 }]],
      ['recirc', ipv4Match, [{ ct: {} }, { recirc: 0x7ffffff }]],
      [
        'to the host',
        { ...ipv4Match, mask: { ...ipv4Match.mask, ethernet: { dst: everyBit.mac } } },
        [{ output: 2 }, { output: 0 }],
      ],
    ]
    // Told apart by an address, so that they lie in one table.
    const flows = [...actionRows, ...more].map(([name, { key, mask }, actions], index) => ({
      name,
      key: {
        ethernet: { dst: everyBit.mac, src: `02:00:00:00:01:${index.toString(16).padStart(2, '0')}` },
        ...key,
      },
      mask: {
        ethernet: { src: everyBit.mac },
        ...mask,
        ...(name === 'to the host' ? { ethernet: { src: everyBit.mac, dst: everyBit.mac } } : {}),
      },
      actions,
    }))
    await lab.compare(t, flows)
  })

  t.test('random flows', async (t) => {
    const lab = await setUp(t)
    const random = new Random(seed)
    const strangers = ['dpHash', 'skbPriority', 'skbMark', 'ctZone', 'nsh'] as const
    const every = Object.keys(flowKey.ids) as (keyof FlowKey & string)[]
    const names = new Set(every.filter((name) => !strangers.some((stranger) => stranger === name)))
    const options = { names, kinds: allKinds, ct: <T>(ct: T) => ct, algorithms: 1 }
    const pick = (below: number) => random.upTo(below - 1)
    let count = 0
    let drawn = 0
    while (count < RANDOM) {
      const flows: Named[] = []
      while (flows.length < PAGE) {
        const { key, mask } = randomMatch(random, { ...options, number: drawn++ & 0xfff })
        const flow = {
          name: `random ${drawn}`,
          key: { ...key, recircId: 0 },
          mask: { ...mask, recircId: 0xffffffff },
          actions: [] as Action[],
        }
        if (!lab.isForTc(flow)) continue
        for (let turn = 0; turn < 10; turn++) {
          const actions = anyActions(pick)
          if (lab.isForTc({ ...flow, actions })) flow.actions = actions
        }
        flows.push(flow)
      }
      count += await lab.compare(t, flows)
    }
    t.comment(`${count} of ${drawn} flows were put by both`)
  })
}

interface Named {
  readonly name: string
  readonly key: FlowKey
  readonly mask: FlowKey
  readonly actions: readonly Action[]
}

/** A port with a table of its own, a backend that knows as much as can be known, and a comparison of what two hands put there. */
async function setUp(t: Test) {
  const { dpif, ports, name } = await bench(t, tcOnly(), 3)
  const transport = new NativeTransport()
  t.teardown(() => transport.close())
  tc('actions add action police index 268435457 rate 1mbit burst 10k conform-exceed drop/pipe')
  t.teardown(() => tc('actions flush action police'))
  const [host] = JSON.parse(run('ip', '-j', 'link', 'show', name))
  const abilities: Abilities = {
    chains: true,
    meters: { indexOf: () => 268435457, meterOf: () => 1 },
    macOf: () => host.address,
  }
  const backend = new TcBackend(transport, { abilities })
  const known = await dpif.ports()
  backend.portsChanged(known)
  const ifindex = known.find((port) => port.number === 1)?.ifindex ?? 0
  const choice = { backend: 'tc' } as const
  const isForTc = (flow: Named) => backend.objections(viewOf(flow, 0), choice).length === 0

  const compare = async (t: Test, flows: readonly Named[]): Promise<number> => {
    const views = flows.map(viewOf)
    const results = await backend.operate(views.map((flow) => ({ verb: 'create', flow, choice })))
    const broken = results.flatMap(({ error }, index) => {
      // What a kernel was built without, and a match that another flow has already.
      if (error === undefined || error.kernel?.includes("n't enabled") || error.code === 'EXISTS') return []
      return [`${flows[index]?.name}: ${error.code} ${error.kernel ?? error.message}`]
    })
    t.same(broken, [], 'the kernel takes what we said it would')
    // Of what is there the text says all: place and handle too.
    const commands = new Map<string, { readonly name: string; readonly text: string }>()
    for (const [index, flow] of views.entries()) {
      if (results[index]?.error === undefined)
        commands.set(cookieOf(flow), { name: flows[index]?.name ?? '', text: backend.filter(flow, choice) })
    }
    const ours = await held(transport, ifindex)
    t.equal(ours.size, commands.size, `${commands.size} of ${flows.length} flows are filters`)
    await backend.flush()
    const unsaid = new Map<string, number>()
    const lines = [`qdisc add dev ${ports[0]} ingress`]
    for (const [cookie, { name, text }] of commands) {
      if (!text.startsWith('#')) {
        lines.push(text.replace(/^tc /, ''))
        continue
      }
      commands.delete(cookie)
      for (const line of text.split('\n').slice(0, -1)) {
        const lack = line.replace('# tc has no words for ', '')
        const known = lacking.find((pattern) => pattern.test(lack))
        if (known === undefined) t.fail(`${name}: ${line}`)
        else unsaid.set(known.source, (unsaid.get(known.source) ?? 0) + 1)
      }
    }
    const { stderr } = spawnSync('tc', ['-force', '-batch', '-'], {
      input: `${lines.join('\n')}\n`,
      encoding: 'utf8',
    })
    t.equal(stderr, '', 'tc took every line')
    const theirs = await held(transport, ifindex)
    const different: string[] = []
    for (const [cookie, { name, text }] of commands) {
      const [mine, other] = [ours.get(cookie), theirs.get(cookie)]
      if (mine === other) continue
      different.push(`${name}: ${text}\n  we: ${mine}\n  tc: ${other}`)
    }
    t.same(different.slice(0, 5), [], `${different.length} of ${commands.size} filters differ`)
    for (const [pattern, times] of unsaid) t.comment(`${times} times no words: ${pattern}`)
    tc(`qdisc del dev ${ports[0]} ingress`)
    await backend.flush()
    return commands.size
  }
  return { compare, isForTc }
}

function viewOf({ key, mask, actions }: Named, index: number): FlowView {
  const ufid = `3f2a9c10-0000-4000-8000-${index.toString(16).padStart(12, '0')}` as const
  const { w0, w1, w2, w3 } = new ParsedUfid(ufid)
  return {
    ufid,
    w0,
    w1,
    w2,
    w3,
    mode: 'create',
    inPort: 1,
    key: { recircId: 0, ethernet: {}, ...key, inPort: 1 },
    mask: { recircId: 0xffffffff, ethernet: {}, ...mask, inPort: 0xffffffff },
    actions,
    ufidGiven: true,
  }
}

const cookieOf = ({ ufid }: FlowView): string => ufid.replaceAll('-', '')

/** The filters of a port by their cookies, each as one text: place, attributes byte by byte, and actions. */
async function held(transport: NativeTransport, ifindex: number): Promise<Map<string, string>> {
  const writer = new Writer(64)
  const at = beginMessage(writer, types.GETTFILTER, 0)
  tcMessage.header.write(writer, { ifindex, parent: hooks.INGRESS })
  endMessage(writer, at)
  const found = new Map<string, string>()
  for await (const page of transport.dump('route', writer.take())) {
    for (const { bytes, start, end } of messagesOf(page)) {
      const { info = 0, handle = 0 } = tcMessage.header.take(bytes, start + HEADER_SIZE)
      const { options = new Uint8Array(0), chain } = tcMessage.body.read(bytes, start + HEADERS, end)
      const { actions = [], flags = 0, unknown = [] } = flower.read(options, 0, options.length)
      const cookie = actions.findLast((action) => action.cookie)?.cookie
      if (cookie === undefined) continue
      const matches = unknown.map(({ id, data }) => `${id}=${Buffer.from(data).toString('hex')}`)
      const skip = flags & (filterFlags.SKIP_HW | filterFlags.SKIP_SW)
      const said = [
        prioAndProtocol(info),
        handle,
        chain ?? 0,
        skip,
        matches.map(twelve).sort(),
        actions.map(actionOf),
      ]
      found.set(Buffer.from(cookie).toString('hex'), JSON.stringify(said, readable))
    }
  }
  return found
}

/** Of the flags of TCP tc knows twelve bits, and no packet has another. */
const twelve = (attribute: string): string => attribute.replace(/^72=f/, '72=0')

type TcAction = NonNullable<ReturnType<typeof flower.read>['actions']>[number]

/** Without what the kernel adds. A cookie goes on to later actions in tc, so only whose it is counts, above. */
function actionOf(action: TcAction): object {
  const { stats: _, cookie: __, ...rest } = action
  if (!('options' in rest)) return rest
  const { times: ___, ...options } = rest.options
  const {
    refcnt: ____,
    bindcnt: _____,
    index: ______,
    ...parms
  } = { ...options.parms } as Record<string, unknown>
  return { ...rest, options: { ...options, parms } }
}

const readable = (_: string, value: unknown) =>
  typeof value === 'bigint'
    ? `${value}n`
    : value instanceof Uint8Array
      ? Buffer.from(value).toString('hex')
      : value
