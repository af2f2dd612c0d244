import t from 'tap'
import { complaint } from './complaints.js'

// Reports as kernels print them, cut short.

const BOOT = ['Run /init as init process', 'overlayfs: failed to set xattr on upper']
const RCU = ['=============================', 'WARNING: suspicious RCU usage', '6.1.192 #1 Not tainted']
const FORK = [
  ...RCU,
  'lib/maple_tree.c:860 suspicious rcu_dereference_check() usage!',
  'Call Trace:',
  ' [<6002631c>] ? force_flush_all+0x6c/0xa0',
  ' [<60023c60>] ? fork_handler+0x10/0xa0',
]

const complaints = [
  'WARNING: possible circular locking dependency detected',
  'WARNING: possible recursive locking detected',
  'WARNING: inconsistent lock state',
  'WARNING: suspicious RCU usage',
  'WARNING: CPU: 0 PID: 1 at net/core/dev.c:1 dev_get+0x0/0x10',
  '[   12.345678] WARNING: bad unlock balance detected!',
  '[   12.345678] BUG: kernel NULL pointer dereference, address: 0000000000000000',
  'INFO: task ip:12 blocked for more than 120 seconds.',
  'unregister_netdevice: waiting for es0_p0 to become free. Usage count = 2',
  'Kernel panic - not syncing: Oops',
]

t.test('a complaint is found, with what is around it', async (t) => {
  for (const line of complaints) {
    t.same(complaint([...BOOT, line, 'and why', ''].join('\n')), [...BOOT, line, 'and why'], line)
  }
})

t.test('a log without any is clean', async (t) => {
  t.equal(complaint(BOOT.join('\n')), undefined)
  t.equal(complaint('[    0.1] RETBleed: WARNING: Spectre v2 mitigation leaves CPU vulnerable'), undefined)
})

t.test('what user-mode Linux is known for is passed over, and nothing behind it', async (t) => {
  t.equal(complaint([...BOOT, ...FORK, ...FORK].join('\n')), undefined)
  const found = complaint([...FORK, ...RCU, 'net/core/dev.c:1 suspicious', 'Call Trace:'].join('\n'))
  t.equal(found?.at(-2), 'net/core/dev.c:1 suspicious')
  // One that is not known does not become so by one that follows.
  t.not(complaint([...RCU, 'net/core/dev.c:1 suspicious', ...FORK].join('\n')), undefined)
})
