import { fileURLToPath } from 'node:url'
import t from 'tap'
import { kernelOnly, tcOnly } from '../../lib/index.js'
import { bench, has, missing, open, run } from '../fixtures/lab.js'

// What somebody without CAP_NET_ADMIN may do: look, and nothing else; and what they are told.

t.setTimeout(0)

const script = fileURLToPath(new URL('../fixtures/unprivileged.js', import.meta.url))
const denied = [
  'put in ovs',
  'put in tc',
  'modify',
  'del',
  'execute',
  'upcalls',
  'upcalls of ports',
  'flush',
  'addPort',
  'delPort',
  'createDatapath',
  'deleteDatapath',
]

/** Ways to be nobody in particular. */
const ways: Readonly<Record<string, readonly string[]>> = {
  'root without CAP_NET_ADMIN': ['--bounding-set', '-net_admin', '--inh-caps', '-net_admin'],
  'another user': ['--reuid', '65534', '--regid', '65534', '--clear-groups'],
}

const reason = (await missing()) || (has('setpriv') ? false : 'there is no setpriv (package util-linux)')
if (reason !== false) t.plan(0, `cannot try privileges: ${reason}`)
else {
  for (const [who, options] of Object.entries(ways)) {
    t.test(`${who} can look at a datapath and change nothing`, async (t) => {
      const { name, dpif } = await bench(t, kernelOnly(), 1)
      const inTc = await open(t, name, tcOnly())
      const key = 'recirc_id(0),in_port(1),eth(),eth_type(0x88b5)'
      t.equal((await dpif.put({ key, actions: '' })).error, undefined)
      t.equal((await inTc.put({ key: key.replace('88b5', '88b6'), actions: '' })).error, undefined)

      let output: string
      try {
        output = run('setpriv', ...options, process.execPath, script, name)
      } catch (error) {
        // A home nobody else may enter, for example.
        t.pass(`${who} cannot run node here: ${String((error as Error).message).split('\n')[0]}`, {
          skip: true,
        })
        return
      }
      const outcome = JSON.parse(output)
      t.same(outcome.list, { value: true })
      t.same(outcome.ports, { value: 2 })
      t.same(outcome.dump, { value: ['tc', 'ovs'] })
      t.same(outcome.get, { value: 'ovs' })
      for (const what of denied) {
        const { error } = outcome[what]
        t.match(error, { code: 'NO_PRIVILEGE', errno: 1, message: /CAP_NET_ADMIN/ }, what)
      }
      const seen = []
      for await (const flow of dpif.dump()) seen.push(flow.backend)
      t.same(seen, ['tc', 'ovs'], 'nothing has changed')
      t.equal((await dpif.ports()).length, 2)
    })
  }
}
