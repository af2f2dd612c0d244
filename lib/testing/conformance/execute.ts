import assert from 'node:assert/strict'
import { formatKey } from '../../index.js'
import type { ExecuteOp, Op } from '../../../types/op.js'
import { type Case, counted, eventually, type Lab, ok, refused } from './lab.js'

/** Executions that cannot be meant. Each fails alone. */
const bad: Readonly<Record<string, (lab: Lab) => Partial<ExecuteOp>>> = {
  'a packet that is none': () => ({ packet: 'packet' as never }),
  'a packet too long for an attribute': () => ({ packet: new Uint8Array(65_536) }),
  'actions that are no text': () => ({ actions: 'jump' }),
  'actions that are no bytes of actions': () => ({ actions: Uint8Array.of(9, 0, 3) }),
  'actions the kernel refuses': () => ({ actions: [{ output: 0xffff }] }),
  'a key that is no text': () => ({ key: 'nonsense(1)' }),
  'a hash that is none': () => ({ hash: -1n }),
  'nothing to do': () => ({ actions: undefined as never }),
}

export const executeCases: readonly Case[] = [
  {
    name: 'a packet that is executed goes out of the port its actions name, whatever the spelling of its key',
    run: async (lab) => {
      const dpif = await lab.only('ovs')
      const [from, to] = lab.ports
      const sent = async () =>
        (await dpif.ports()).find(({ number }) => number === to)?.stats?.txPackets ?? 0n
      const before = await sent()
      const packet = lab.frame()
      const keys = [undefined, `in_port(${from})`, { inPort: from }, new Uint8Array(0)]
      for (const key of keys) {
        const result = ok(
          await dpif.execute({ packet, ...(key === undefined ? {} : { key }), actions: `${to}` }),
        )
        assert.deepEqual(result, { ufid: '' })
      }
      ok(
        await dpif.execute({
          packet,
          key: { inPort: from },
          actions: [{ output: to }],
          hash: 7n,
          probe: true,
        }),
      )
      // Others may send on the link, too.
      await eventually(sent, (now) => now - before >= 5n)
    },
  },
  ...Object.entries(bad).map(
    ([name, make]): Case => ({
      name: `${name} fails alone among executions`,
      run: async (lab) => {
        const dpif = await lab.only('ovs')
        const good: Op = { op: 'execute', packet: lab.frame(), actions: '' }
        const results = await dpif.operate([good, { ...good, ...make(lab) }, good])
        ok(results[0])
        assert(results[1]?.error, 'the one in the middle is refused')
        assert.equal(results[1].ufid, '')
        assert.equal(results[1].error.backend, 'ovs')
        ok(results[2])
      },
    }),
  ),
  {
    name: 'an execution comes after what stands before it in its call: its packet meets the flow that was put',
    run: async (lab) => {
      const dpif = await lab.only('ovs')
      const COUNT = 100
      const [port, out] = lab.ports
      const ops: Op[] = []
      for (let id = 1; id <= COUNT; id++) {
        const key = { recircId: id, inPort: port, ethernet: {}, etherType: 0x0800, ipv4: {} }
        const mask = { recircId: 0xffffffff, inPort: 0xffffffff, etherType: 0xffff }
        ops.push({ op: 'put', key, mask, actions: `${out}` })
        ops.push({ op: 'execute', packet: lab.frame(), key: { inPort: port }, actions: `recirc(${id})` })
      }
      const results = await dpif.operate(ops)
      assert.equal(results.length, 2 * COUNT)
      for (const [index, result] of results.entries()) {
        ok(result)
        if (index % 2 === 0) await counted(dpif, result, 1n)
      }
    },
  },
  {
    name: 'an execution behind a put that is refused is carried out all the same',
    run: async (lab) => {
      const dpif = await lab.only('ovs')
      ok(await dpif.put(lab.flow()))
      const execute: Op = { op: 'execute', packet: lab.frame(), actions: '' }
      const [put, sent, del, last] = await dpif.operate([
        { op: 'put', ...lab.flow() },
        execute,
        { op: 'del', key: lab.key() },
        execute,
      ])
      refused(put, 'EXISTS')
      ok(sent)
      ok(del)
      ok(last)
    },
  },
  {
    name: 'a key as text may bring its mask and its ufid, which do not count',
    run: async (lab) => {
      const dpif = await lab.only('ovs')
      const key = formatKey({ inPort: lab.ports[0] }, { inPort: 0xffffffff })
      ok(await dpif.execute({ packet: lab.frame(), key, actions: '' }))
    },
  },
]
