import assert from 'node:assert/strict'
import type { FlowKey } from '../../../types/flow.js'
import type { Op } from '../../../types/op.js'
import { backends, type Case, collect, homes, type Lab, ok, refused, to } from './lab.js'

const none = undefined

/** Ops that cannot be read or cannot be meant. Each fails alone, whatever stands beside it. */
function badOps(lab: Lab): Record<string, Op> {
  const [port, out] = lab.ports
  const base: FlowKey = { recircId: 0, inPort: port, ethernet: {}, etherType: 0x88b5 }
  const exact: FlowKey = { inPort: 0xffffffff, etherType: 0xffff }
  const ufid = '00000000-0000-4000-8000-0000000000bb'
  const wrong = (value: unknown) => value as never
  const badMac = { ...base, ethernet: { src: '02:00:00:00:00' } }
  return {
    'text that is no flow': { op: 'put', key: 'in_port(1),nonsense(7)', actions: '' },
    'text that is no action': { op: 'put', key: lab.key(900), actions: 'jump' },
    'text with a mask beside it': { op: 'put', key: lab.key(900), mask: {}, actions: '' },
    'a bad MAC': { op: 'put', key: badMac, actions: [] },
    'a bad MAC with a ufid': { op: 'put', ufid, key: badMac, actions: [] },
    'a bad MAC in the mask': {
      op: 'put',
      ufid,
      key: base,
      mask: { ...exact, ethernet: { src: 'x' } },
      actions: [],
    },
    'a number too large': { op: 'put', ufid, key: { ...base, etherType: 0x12345 }, actions: [] },
    'a number that is none': { op: 'put', ufid, key: { ...base, etherType: wrong('ip') }, actions: [] },
    'an action that is none': { op: 'put', ufid, key: base, actions: [wrong({ explode: true })] },
    'an action that is two': { op: 'put', ufid, key: base, actions: [wrong({ output: out, popVlan: true })] },
    'an action without its value': { op: 'put', ufid, key: base, actions: [wrong({ output: 'two' })] },
    'a rewrite with a bad address': {
      op: 'put',
      ufid,
      key: base,
      actions: [{ setMasked: { key: { ethernet: { src: 'x' } }, mask: { ethernet: { src: 'x' } } } }],
    },
    'an action that is nothing': { op: 'put', ufid, key: base, actions: [wrong(null)] },
    'raw bytes cut short': { op: 'put', key: Uint8Array.of(9, 0, 3), actions: new Uint8Array() },
    'raw bytes cut short, with a ufid': {
      op: 'put',
      ufid,
      key: Uint8Array.of(9, 0, 3),
      actions: new Uint8Array(),
    },
    'raw actions cut short': { op: 'put', ufid, key: new Uint8Array(), actions: Uint8Array.of(9, 0, 3) },
    'no key': { op: 'put', key: wrong(undefined), actions: [] },
    'no key, with a ufid': { op: 'put', ufid, key: wrong(undefined), actions: [] },
    'no actions': { op: 'put', key: base, actions: wrong(undefined) },
    'an unknown mode': { op: 'put', ...lab.flow(900), mode: wrong('replace') },
    'an unknown op': wrong({ op: 'replace', ...lab.flow(900) }),
    'a ufid that is none': { op: 'put', ...lab.flow(900), ufid: 'nonsense' },
    'a del of nothing': { op: 'del' },
    'a get of a bad key': { op: 'get', key: badMac },
    'no op at all': wrong(undefined),
  }
}

/** Codes that some of them may have as well. */
const others: Readonly<Record<string, readonly string[]>> = {
  // To TC a port that is no number is a port that is not there.
  'an action without its value': ['NO_PORT'],
  // Raw bytes go as they are: the kernel is the judge, and its netlink policy says ERANGE or EINVAL (validate_nla(), Linux 6.1).
  'raw bytes cut short, with a ufid': ['KERNEL', 'INVALID'],
  'raw actions cut short': ['KERNEL', 'INVALID'],
}

const badNames = Object.keys(badOps({ key: () => '', flow: () => ({}), ports: [1, 2, 3] } as unknown as Lab))

export const batchCases: readonly Case[] = backends.flatMap((backend) => [
  ...badNames.map(
    (name): Case => ({
      name: `${name} fails alone in the middle of a batch, with ${backend}`,
      run: async (lab) => {
        const dpif = await lab.only(backend)
        const bad = badOps(lab)[name] as Op
        const results = await dpif.operate([
          { op: 'put', ...lab.flow(1) },
          bad,
          { op: 'put', ...lab.flow(2) },
          { op: 'get', key: lab.key(1) },
        ])
        assert.equal(results.length, 4)
        const code = results[1]?.error?.code
        const codes: readonly string[] = ['SYNTAX', 'BAD_MESSAGE', ...(others[name] ?? [])]
        assert(codes.includes(code ?? ''), `${code}: ${results[1]?.error?.message}`)
        assert(results[1]?.error?.message)
        for (const index of [0, 2, 3]) ok(results[index], backend)
        assert.equal(Object.keys(await homes(dpif)).length, 2)
      },
    }),
  ),
  {
    name: `no ops give no results, with ${backend}`,
    run: async (lab) => assert.deepEqual(await (await lab.only(backend)).operate([]), []),
  } satisfies Case,
  {
    name: `ops on one flow are carried out in their order, in ${backend}`,
    run: async (lab) => {
      const dpif = await lab.only(backend)
      const flow = lab.flow()
      const { key } = flow
      const out = (port: number) => [{ output: port }]
      const [, q, r] = lab.ports
      const results = await dpif.operate([
        { op: 'get', key },
        { op: 'put', ...flow },
        { op: 'put', ...flow, actions: out(r), mode: 'modify' },
        { op: 'get', key },
        { op: 'del', key },
        { op: 'del', key },
        { op: 'put', ...flow, mode: 'modify' },
        { op: 'put', ...flow, actions: out(q), mode: 'upsert' },
        { op: 'put', ...flow },
        { op: 'get', key },
      ])
      assert.deepEqual(
        results.map(({ error }) => error?.code),
        ['NOT_FOUND', none, none, none, none, 'NOT_FOUND', 'NOT_FOUND', none, 'EXISTS', none],
      )
      assert.deepEqual(results[3]?.flow?.actions, out(r))
      assert.deepEqual(results[9]?.flow?.actions, out(q))
    },
  } satisfies Case,
  {
    name: `a flow takes over the match of one that is deleted before it, in ${backend}`,
    run: async (lab) => {
      const dpif = await lab.only(backend)
      const ufid = (n: number) => `${n.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`
      const puts = (first: number, count: number) =>
        Array.from(
          { length: count },
          (_, n): Op => ({ op: 'put', ...lab.flow(n + 1), ufid: ufid(first + n) }),
        )
      const dels = (first: number, count: number) =>
        Array.from({ length: count }, (_, n): Op => ({ op: 'del', ufid: ufid(first + n) }))
      // Few, many, and turn by turn.
      const few = [puts(0, 3), dels(0, 3), puts(3, 3), dels(3, 3)].flat()
      const many = [puts(0, 2500), dels(0, 2500), puts(2500, 2500), dels(2500, 2500)].flat()
      const turns = Array.from({ length: 50 }, (_, n) => [...puts(n, 1), ...dels(n, 1)]).flat()
      for (const ops of [few, many, turns]) {
        for (const result of await dpif.operate(ops)) ok(result, backend)
        assert.deepEqual(await homes(dpif), {})
      }
      const calls = await Promise.all([puts(0, 3), dels(0, 3), puts(3, 3)].map((ops) => dpif.operate(ops)))
      for (const result of calls.flat()) ok(result, backend)
      assert.equal((await collect(dpif)).length, 3)
    },
  },
  {
    name: `the same flow twice in a batch is created once, in ${backend}`,
    run: async (lab) => {
      const dpif = await lab.only(backend)
      const ufids = ['00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002']
      const results = await dpif.operate(ufids.map((ufid) => ({ op: 'put', ...lab.flow(), ufid })))
      ok(results[0], backend)
      refused(results[1], 'EXISTS')
      assert.deepEqual(Object.keys(await homes(dpif)), [ufids[0]])
    },
  } satisfies Case,
  {
    name: `hundreds of flows go in one batch, and every failure among them is its own, in ${backend}`,
    run: async (lab) => {
      const dpif = await lab.only(backend)
      const COUNT = 500
      const numbers = Array.from({ length: COUNT }, (_, index) => index + 1)
      // Every seventh doubles the match before it under a ufid of its own; every eleventh cannot be read.
      const results = await dpif.operate(
        numbers.map((number): Op => {
          if (number % 11 === 0) return { op: 'put', key: 'what?', actions: '' }
          const ufid = `00000000-0000-4000-8000-${`${number}`.padStart(12, '0')}`
          return { op: 'put', ufid, ...lab.flow(number % 7 === 0 ? number - 1 : number) }
        }),
      )
      assert.equal(results.length, COUNT)
      let kept = 0
      for (const number of numbers) {
        const result = results[number - 1]
        if (number % 11 === 0) refused(result, 'SYNTAX')
        else if (number % 7 === 0 && (number - 1) % 11 !== 0) refused(result, 'EXISTS')
        else {
          ok(result, backend)
          kept++
        }
      }
      assert.equal(Object.keys(await homes(dpif)).length, kept)
      const there = await collect(dpif, { terse: true })
      const removed = await dpif.operate(there.map(({ ufid }) => ({ op: 'del', ufid })))
      for (const result of removed) ok(result, backend)
      assert.deepEqual(await homes(dpif), {})
    },
  } satisfies Case,
  {
    name: `operates called side by side take turns, in ${backend}`,
    run: async (lab) => {
      const dpif = await lab.only(backend)
      const { key } = lab.flow()
      const results = await Promise.all([
        dpif.put(lab.flow()),
        dpif.put({ key, actions: [] }, { mode: 'modify' }),
        dpif.get({ key }),
        dpif.del({ key }),
        dpif.get({ key }),
      ])
      assert.deepEqual(
        results.map(({ error }) => error?.code),
        [undefined, undefined, undefined, undefined, 'NOT_FOUND'],
      )
      assert.deepEqual(results[2]?.flow?.actions, [])
    },
  } satisfies Case,
  {
    name: `ops for both backends are answered in their order, ${backend} first`,
    run: async (lab) => {
      const first = to(backend)
      const second = to(backend === 'ovs' ? 'tc' : 'ovs')
      const even = lab.key(2)
      const dpif = await lab.open({
        name: 'alternating',
        place: (put, facts) => (put.key.ipv4?.dst?.endsWith('.2') ? second : first).place(put, facts),
      })
      const results = await dpif.operate([
        { op: 'put', ...lab.flow(1) },
        { op: 'put', ...lab.flow(2) },
        { op: 'put', ...lab.flow(3) },
        { op: 'del', key: even },
        { op: 'get', key: even },
        { op: 'get', key: lab.key(3) },
      ])
      const away = backend === 'ovs' ? 'tc' : 'ovs'
      assert.deepEqual(
        results.map((result) => result.backend),
        [backend, away, backend, away, undefined, backend],
      )
      refused(results[4], 'NOT_FOUND')
    },
  } satisfies Case,
])
