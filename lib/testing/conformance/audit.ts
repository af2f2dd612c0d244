import assert from 'node:assert/strict'
import type { AuditFinding, Dpif } from '../../../types/dpif.js'
import { backends, type Case, collect, counted, homes, type Lab, ok, other, to } from './lab.js'
import { changeQdisc, detach, filtersOf, hasQdisc, putForeign } from './raw.js'

async function audited(dpif: Dpif): Promise<AuditFinding[]> {
  const found: AuditFinding[] = []
  for await (const finding of dpif.audit()) found.push(finding)
  return found
}

async function tidied(dpif: Dpif): Promise<AuditFinding[]> {
  const gone: AuditFinding[] = []
  for await (const finding of dpif.tidy()) gone.push(finding)
  return gone
}

const kinds = (findings: readonly AuditFinding[]) => findings.map(({ kind }) => kind)

/** Name and ifindex of the first port. */
async function firstPort(dpif: Dpif, lab: Lab) {
  const port = (await dpif.ports()).find(({ number }) => number === lab.ports[0])
  assert(port, 'the datapath has the port')
  return port
}

export const auditCases: readonly Case[] = [
  ...backends.map(
    (backend): Case => ({
      name: `nothing is found where flows in ${backend} are as they should be`,
      run: async (lab) => {
        const dpif = await lab.only(backend)
        for (const number of [1, 2, 3]) ok(await dpif.put(lab.flow(number)), backend)
        assert.deepEqual(await audited(dpif), [])
        assert.deepEqual(await audited(await lab.only(other(backend))), [])
        assert.deepEqual(await tidied(dpif), [])
        assert.equal((await collect(dpif)).length, 3)
      },
    }),
  ),
  ...backends.map(
    (stays): Case => ({
      name: `of a flow in both backends the copy in ${stays} stays when it is tidied, with what both have counted`,
      run: async (lab) => {
        const { ufid } = await inBoth(lab)
        await lab.send(lab.ports[0], lab.frame(), 3)
        const dpif = await lab.open(to(stays, other(stays)))
        await counted(await lab.only('tc'), { ufid }, 3n)
        const [found, ...more] = await audited(dpif)
        assert.deepEqual(kinds(more), [])
        assert.equal(found?.kind, 'DUPLICATE')
        assert.equal(found?.ufid, ufid)
        assert.equal(found?.sweepable, true)
        assert.equal(
          (await collect(await lab.only('ovs'), { types: ['ovs'] })).length,
          1,
          'an audit changes nothing',
        )
        // With the last filter of a port the qdisc we made for it is empty.
        const gone = stays === 'tc' ? ['DUPLICATE'] : ['DUPLICATE', 'EMPTY_QDISC']
        assert.deepEqual(kinds(await tidied(dpif)), gone)
        assert.deepEqual(await homes(dpif), { [ufid]: stays })
        assert.deepEqual(await homes(await lab.only(stays)), { [ufid]: stays })
        assert.equal((await dpif.get({ ufid })).stats?.packets, 3n)
        assert.deepEqual(await audited(dpif), [])
      },
    }),
  ),
  {
    name: 'a new process takes over what an earlier one left: nothing is put twice, and counters go on',
    run: async (lab) => {
      for (const backend of backends) {
        const before = await lab.only(backend)
        const { ufid } = ok(await before.put(lab.flow()), backend)
        await lab.send(lab.ports[0], lab.frame(), 2)
        await counted(before, { ufid }, 2n)
        await before.close()
        const after = await lab.only(other(backend))
        assert.equal((await after.put(lab.flow())).error?.code, 'EXISTS')
        await lab.send(lab.ports[0], lab.frame(), 1)
        await counted(after, { ufid }, 3n)
        // Moved by somebody who did not put it.
        ok(await after.put(lab.flow(), { mode: 'upsert' }), other(backend))
        await lab.send(lab.ports[0], lab.frame(), 1)
        await counted(after, { ufid }, 4n)
        assert.deepEqual(await homes(after), { [ufid]: other(backend) })
        assert.deepEqual(kinds(await audited(after)), backend === 'tc' ? ['EMPTY_QDISC'] : [])
        assert.equal(ok(await after.del({ ufid, stats: true })).stats?.packets, 4n)
      }
    },
  },
  {
    name: 'filters of ours on a port that was detached are orphans, found and tidied by any datapath',
    run: async (lab) => {
      const dpif = await lab.only('tc')
      const { name, ifindex } = await firstPort(dpif, lab)
      const { ufid } = ok(await dpif.put(lab.flow()), 'tc')
      // Others take the port away, and know nothing of filters.
      await detach(lab.transport, dpif.datapath.ifindex, lab.ports[0])
      const found = await audited(dpif)
      assert.deepEqual(kinds(found), ['ORPHAN'])
      assert.equal(found[0]?.ufid, ufid)
      assert.equal(found[0]?.device, name)
      assert.match(found[0]?.message ?? '', /no port of any datapath/)
      assert.deepEqual(kinds(await tidied(await lab.only('tc'))), ['ORPHAN', 'EMPTY_QDISC'])
      assert.equal(await hasQdisc(lab.transport, ifindex), false)
      await dpif.addPort(name, { number: lab.ports[0] })
    },
  },
  {
    name: 'a filter that sends packets to a device that is no port any more is an orphan',
    run: async (lab) => {
      const dpif = await lab.only('tc')
      const { ufid } = ok(await dpif.put(lab.flow()), 'tc')
      ok(await dpif.put({ key: lab.key(2), actions: '' }), 'tc')
      const target = (await dpif.ports()).find(({ number }) => number === lab.ports[1])?.name ?? ''
      await dpif.delPort(lab.ports[1])
      const found = await audited(dpif)
      assert.deepEqual(kinds(found), ['ORPHAN'])
      assert.equal(found[0]?.ufid, ufid)
      assert.match(found[0]?.message ?? '', new RegExp(`'${target}', which is no port of the datapath`))
      assert.deepEqual(kinds(await tidied(dpif)), ['ORPHAN'])
      assert.equal((await collect(dpif)).length, 1)
      await dpif.addPort(target, { number: lab.ports[1] })
    },
  },
  {
    name: 'a filter of others before ours is found, and stays',
    run: async (lab) => {
      const dpif = await lab.only('tc')
      const { ifindex, name } = await firstPort(dpif, lab)
      ok(await dpif.put({ key: `in_port(${lab.ports[0]}),eth(),eth_type(0x88b5)`, actions: '' }), 'tc')
      await putForeign(lab.transport, { ifindex, prio: 1, protocol: 0x0800, handle: 1 })
      const found = await audited(dpif)
      assert.deepEqual(kinds(found), ['FOREIGN_FILTER'])
      assert.equal(found[0]?.device, name)
      assert.equal(found[0]?.sweepable, false)
      assert.deepEqual(await tidied(dpif), [])
      assert(found[0]?.message.includes(`tc filter del dev ${name} ingress prio 1`))
      assert((await filtersOf(lab.transport, ifindex)).includes('1 0x0800 0x1'))
    },
  },
  {
    name: 'a qdisc that an earlier process of ours made is known as ours, and one of others is not',
    run: async (lab) => {
      const before = await lab.only('tc')
      const { ifindex, name } = await firstPort(before, lab)
      const second = (await before.ports()).find(({ number }) => number === lab.ports[1])?.ifindex ?? 0
      await changeQdisc(lab.transport, second, 'add')
      const { ufid } = ok(await before.put(lab.flow()), 'tc')
      await before.close()
      const after = await lab.only('tc')
      assert.deepEqual(await audited(after), [])
      ok(await after.del({ ufid }), 'tc')
      const found = await audited(after)
      assert.deepEqual(kinds(found), ['EMPTY_QDISC'])
      assert.equal(found[0]?.device, name)
      assert.deepEqual(kinds(await tidied(after)), ['EMPTY_QDISC'])
      assert.equal(await hasQdisc(lab.transport, ifindex), false)
      assert.equal(await hasQdisc(lab.transport, second), true)
      // And it is made again when it is needed.
      ok(await after.put(lab.flow()), 'tc')
      await after.flush()
    },
  },
  {
    name: 'a flow in TC that takes packets from another one in openvswitch is found, once for each it takes from',
    run: async (lab) => {
      const tc = await lab.only('tc')
      const ovs = await lab.only('ovs')
      await tc.get({ key: lab.key() })
      await ovs.get({ key: lab.key() })
      const port = `recirc_id(0),in_port(${lab.ports[0]})`
      const wide = ok(
        await tc.put({
          key: `${port},eth(),eth_type(0x0800),ipv4(dst=10.0.0.0/255.255.255.0,frag=no)`,
          actions: '',
        }),
        'tc',
      ).ufid
      const taken = [lab.key(1), lab.key(2)]
      const untaken = [
        `${port},eth(),eth_type(0x0800),ipv4(dst=10.0.1.1,frag=no)`,
        `${port},eth(),eth_type(0x0806),arp()`,
        lab.key(3, lab.ports[1]),
        `recirc_id(0x1),in_port(${lab.ports[0]}),eth(),eth_type(0x0800),ipv4(dst=10.0.0.9,frag=no)`,
      ]
      const ufids: string[] = []
      for (const key of [...taken, ...untaken])
        ufids.push(ok(await ovs.put({ key, actions: '' }), 'ovs').ufid)
      const found = await audited(ovs)
      assert.deepEqual(kinds(found), ['SHADOW', 'SHADOW'])
      assert(found.every((finding) => finding.ufid === wide && !finding.sweepable))
      for (const [index, ufid] of ufids.slice(0, 2).entries())
        assert(
          found.some(({ message }) => message.includes(ufid)),
          `flow ${index} is named`,
        )
    },
  },
  {
    name: 'close with flush leaves nothing of ours, whichever process put it, and what is others stays',
    run: async (lab) => {
      const before = await lab.only('tc')
      const devices = (await before.ports())
        .filter(({ number }) => number !== 0)
        .map(({ ifindex }) => ifindex)
      const [one = 0, two = 0] = devices
      await changeQdisc(lab.transport, two, 'add')
      await putForeign(lab.transport, { ifindex: two, prio: 40, protocol: 0x0806, handle: 1 })
      ok(await before.put(lab.flow()), 'tc')
      ok(await before.put({ key: lab.key(2, lab.ports[1]), actions: '' }), 'tc')
      await before.close()
      const after = await lab.only('ovs')
      ok(await after.put(lab.flow(3)), 'ovs')
      await after.close({ flush: true })
      const look = await lab.only('ovs')
      assert.deepEqual(await homes(look), {})
      assert.equal(await hasQdisc(lab.transport, one), false)
      assert.deepEqual(await filtersOf(lab.transport, two), ['40 0x0806 0x1'])
      assert.deepEqual(await audited(look), [])
    },
  },
]

/** A flow as a crash in the middle of a move leaves it. */
async function inBoth(lab: Lab): Promise<{ readonly ufid: string }> {
  const one = await lab.only('tc')
  const two = await lab.only('ovs')
  // Each has looked around before the other puts.
  for (const dpif of [one, two]) await dpif.get({ key: lab.key() })
  ok(await one.put(lab.flow()), 'tc')
  return ok(await two.put(lab.flow()), 'ovs')
}
