import { readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import {
  createDatapath,
  deleteDatapath,
  listDatapaths,
  NativeTransport,
  openDpif,
  preferTc,
  tcOnly,
} from '../../lib/index.js'
import { bench, missing, open, run } from '../fixtures/lab.js'

// What people are told whose kernel lacks a module. The kernel decides which half is run: one without openvswitch comes from
//   LAB_MODULES=none node dist/test/lab/cli.js uml -- node dist/test/kernel/modules.test.js
// and in any other, single modules of TC are taken out while the test looks.

t.setTimeout(0)

const MODPROBE = '/proc/sys/kernel/modprobe'

const absent = await missing()
if (absent !== false) {
  t.comment(`this kernel has no openvswitch: ${absent}`)
  t.test('without openvswitch, everything says NO_MODULE and what to type', async (t) => {
    const calls = {
      listDatapaths: () => listDatapaths(),
      createDatapath: () => createDatapath('dp-none'),
      deleteDatapath: () => deleteDatapath('dp-none'),
      openDpif: () => openDpif({ datapath: 'dp-none' }),
    }
    for (const [name, call] of Object.entries(calls)) {
      await t.rejects(call() as Promise<void>, { code: 'NO_MODULE', message: /modprobe openvswitch/ }, name)
    }
  })
  t.test('a transport that was refused can be asked again', async (t) => {
    const transport = new NativeTransport()
    t.teardown(() => transport.close())
    for (let turn = 0; turn < 3; turn++) await t.rejects(listDatapaths({ transport }), { code: 'NO_MODULE' })
  })
} else {
  t.comment('this kernel has openvswitch; modules of TC are taken out one by one')
  // Which flow wants which module.
  const ipv4 = 'recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(dst=10.0.0.1,proto=17,frag=no),udp()'
  const wants: Readonly<Record<string, string>> = {
    sch_ingress: '2',
    cls_flower: '2',
    act_mirred: '2',
    act_gact: 'drop',
    act_vlan: 'push_vlan(vid=7,pcp=0),2',
    act_pedit: 'set(ipv4(ttl=5/0xff)),2',
    act_csum: 'set(ipv4(ttl=5/0xff)),2',
  }
  for (const [module, actions] of Object.entries(wants)) {
    t.test(`without ${module}, TC says NO_MODULE and openvswitch takes the flow`, async (t) => {
      const { dpif, name } = await bench(t, tcOnly(), 2)
      const loader = readFileSync(MODPROBE, 'utf8')
      try {
        run('rmmod', module)
      } catch (error) {
        t.pass(`cannot take out ${module}: ${String((error as Error).message).split('\n')[1]}`, {
          skip: true,
        })
        return
      }
      writeFileSync(MODPROBE, '/bin/false')
      t.teardown(() => writeFileSync(MODPROBE, loader))
      const { error } = await dpif.put({ key: ipv4, actions })
      t.match(error, { code: 'NO_MODULE', backend: 'tc' })
      t.match(error?.message, new RegExp(`modprobe .*${module}`))
      const falling = await open(t, name, preferTc())
      const result = await falling.put({ key: ipv4, actions })
      t.match(result, { backend: 'ovs', declined: [{ backend: 'tc', code: 'NO_MODULE' }] })
      await falling.flush()
      writeFileSync(MODPROBE, loader)
      t.equal((await dpif.put({ key: ipv4, actions })).error, undefined, 'loaded by the kernel when it may')
      await dpif.flush()
    })
  }
}
