import { execFileSync } from 'node:child_process'
import { NativeTransport } from '../../lib/transport/native.js'
import { converse } from './dialogue.js'

// Holds the conversation with the kernel underneath and prints it, one line for each question:
// node dist/test/lab/cli.js uml --files dist/test/testing/record.js > test/testing/linux-6.1.jsonl
for (const name of ['eth0', 'eth1']) execFileSync('ip', ['link', 'add', name, 'type', 'dummy'])
const transport = new NativeTransport()
for (const line of await converse(transport)) process.stdout.write(`${JSON.stringify(line)}\n`)
await transport.close()
