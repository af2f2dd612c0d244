import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { missing } from '../fixtures/lab.js'
import { client, serve } from './selftests/ovs-dpctl.js'

// The kernel's own tests of openvswitch (tools/testing/selftests/net/openvswitch), from the packaged source, with hwacc in the place of
// the tool that lies beside them. The script is newer than the kernel it runs on.

t.setTimeout(0)

/** What the script cannot run here, and why. All other tests of it have to pass. */
const lacking: Readonly<Record<string, string>> = {
  drop_reason: 'there is no perf for a kernel in user mode, and drop reasons came with Linux 6.6',
  psample: 'the action psample came with Linux 6.11',
}

/** Some of them, for the inner loop: DPIF_SELFTESTS="arp_ping connect_v4". */
const wanted = process.env.DPIF_SELFTESTS?.split(/[\s,]+/)

const folder = process.env.LAB_SELFTESTS
const root = process.env.LAB_SELFTESTS_ROOT ?? ''

const reason =
  (await missing()) ||
  (folder === undefined ? 'they are not here; the lab brings them with --selftests' : false)
if (reason !== false || folder === undefined) t.plan(0, `no kernel to try: ${reason}`)
else {
  const script = join(folder, 'openvswitch.sh')
  const tests = [
    ...(/^tests="([^"]*)"/m.exec(readFileSync(script, 'utf8'))?.[1] ?? '').matchAll(/^\s*(\w+)\s+\S/gm),
  ]
  t.ok(tests.length > 0, 'the script has tests')
  for (const [, name = ''] of tests) {
    if (wanted?.includes(name) === false) continue
    t.test(name, async (t) => {
      const place = t.testdir({})
      const path = join(place, 'hwacc.socket')
      const server = await serve(path)
      t.teardown(() => server.close())
      writeFileSync(join(place, 'ovs-dpctl.py'), client(path))
      const child = spawn('bash', [script, name], {
        cwd: place,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          ...process.env,
          NODE_OPTIONS: '',
          PATH: [join(root, 'usr/bin'), join(root, 'usr/sbin'), process.env.PATH].join(':'),
          LD_LIBRARY_PATH: [join(root, 'usr/lib/x86_64-linux-gnu'), process.env.LD_LIBRARY_PATH]
            .filter(Boolean)
            .join(':'),
          KSFT_MACHINE_SLOW: 'yes',
        },
      })
      const [stdout, stderr, [status]] = await Promise.all([
        text(child.stdout),
        text(child.stderr),
        once(child, 'exit'),
      ])
      const why = lacking[name]
      const expected = why === undefined ? 'OK' : 'SKIP'
      t.match(stdout, new RegExp(`^TEST: .*\\[ *${expected} *\\]$`, 'm'), why ?? 'it passes', {
        stdout,
        stderr,
        status,
      })
      if (why !== undefined) t.comment(`${name} cannot run: ${why}`)
    })
  }
  for (const name of Object.keys(lacking))
    t.ok(
      tests.some(([, found]) => found === name),
      `${name} is a test of the script`,
    )
}
