import { createServer, type Server, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { run } from '../../../lib/cli/main.js'
import { formatKey, NativeTransport } from '../../../lib/index.js'
import { Writer, writeMessage } from '../../../lib/netlink/index.js'
import { datapath } from '../../../lib/ovs/datapath.js'
import { Families } from '../../../lib/transport/family.js'

// Stands where the kernel's script looks for a tool of its own: the same verbs, as calls of hwacc. Nothing here knows a test. The script
// starts its tool many times; so what it starts is a few lines that hand their words to the process of the test, which calls hwacc.

/** The tool, for python3, which is what the script calls it with. */
export const client = (path: string): string => `import json, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(${JSON.stringify(path)})
lines = connection.makefile("rw")
lines.write(json.dumps(sys.argv[1:]) + "\\n")
lines.flush()
for line in lines:
    stream, text = json.loads(line)
    if stream == 0:
        sys.exit(text)
    (sys.stdout if stream == 1 else sys.stderr).write(text)
    (sys.stdout if stream == 1 else sys.stderr).flush()
`

/** Carries out what clients ask for. A client that goes away ends what it asked for. */
export function serve(path: string): Promise<Server> {
  const server = createServer((connection) => {
    connection.on('error', () => {})
    createInterface(connection).once('line', async (line) => {
      const [verb = '', ...words] = JSON.parse(line) as string[]
      const call = new Call(connection)
      connection.end(frame(0, await (verbs[verb] ?? unknown)(call, words)))
    })
  })
  return new Promise((resolve) => server.listen(path, () => resolve(server)))
}

const frame = (stream: number, value: unknown) => `${JSON.stringify([stream, value])}\n`
const unknown = async () => 2

/** One start of the tool. */
class Call {
  readonly #connection: Socket

  constructor(connection: Socket) {
    this.#connection = connection
  }

  say(stream: number, text: string): void {
    this.#connection.write(frame(stream, text))
  }

  hwacc(words: readonly string[], more: Partial<Parameters<typeof run>[1]> = {}): Promise<number> {
    const to = (stream: number) => writer((text) => this.say(stream, text))
    const stdin = (async function* () {})()
    const onInterrupt = (stop: () => void) => {
      this.#connection.once('close', stop)
      return () => this.#connection.off('close', stop)
    }
    return run(words, { stdin, stdout: to(1), stderr: to(2), onInterrupt, ...more })
  }

  /** Prints packets without a flow until it is told to stop. */
  listen(name: string): Promise<number> {
    const stdout = writer((text) => {
      for (const line of text.split('\n').filter(Boolean)) {
        const { kind, key } = JSON.parse(line)
        // What the kernel sends by itself has no sequence number, and always a packet.
        if (kind === 'miss') this.say(1, `MISS upcall[0/yes]: ${formatKey(key)}\n`)
      }
    })
    const stderr = writer((text) => {
      const isBegun = text.startsWith('hwacc: listening')
      this.say(isBegun ? 1 : 2, isBegun ? 'listening on upcall packet handler\n' : text)
    })
    return this.hwacc(['upcalls', '--json', name], { stdout, stderr })
  }
}

function writer(take: (text: string) => void): Writable {
  return new Writable({
    write(chunk, _encoding, done) {
      take(String(chunk))
      done()
    },
  })
}

const FEATURES = { 1: 'unaligned', 2: 'vportPids', 4: 'tcRecircSharing', 8: 'dispatchUpcallPerCpu' } as const

/** Splits `-u`, `-V 2:1` and the like from the rest. */
function split(words: readonly string[], taking: readonly string[]) {
  const options = new Map<string, string>()
  const rest: string[] = []
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string
    if (!word.startsWith('-')) rest.push(word)
    else options.set(word, taking.includes(word) ? (words[++at] ?? '') : '')
  }
  return { options, rest }
}

/** `drop(7)`: OVS has no words for the reason of a drop, so neither has hwacc but for the bytes of the action. */
function spelled(word: string): string {
  return word.replace(/\bdrop\((\d+)\)/g, (_, reason: string) => {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32LE(Number(reason))
    return `action24(${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')})`
  })
}

/** What programs sent that were older than features: hwacc is none of them. */
async function createAsOld(name: string, version: number): Promise<void> {
  const transport = new NativeTransport()
  const type = await new Families(transport).id(datapath)
  const header = { cmd: datapath.commands.NEW as number, version, dpIfindex: 0 }
  const writer = new Writer(64)
  writeMessage(writer, datapath, { type, flags: 0, header, body: { name, upcallPid: 0 } })
  await transport.exchange('generic', writer.take())
  await transport.close()
}

const verbs: Readonly<Record<string, (call: Call, words: readonly string[]) => Promise<number>>> = {
  show: (call, words) => call.hwacc(['show', ...words]),
  'add-dp': async (call, words) => {
    const { options, rest } = split(words, ['-V'])
    const [version = '2', features] = options.get('-V')?.split(':') ?? []
    const [name = ''] = rest
    if (version !== '2') await createAsOld(name, Number(version))
    else {
      const bits = Object.entries(FEATURES).filter(([bit]) => (Number(features) & Number(bit)) !== 0)
      const wanted = features === undefined ? [] : [`--features=${bits.map(([, name]) => name).join()}`]
      const code = await call.hwacc(['add-dp', name, ...wanted])
      if (code !== 0) return code
    }
    return options.has('-u') ? call.listen(name) : 0
  },
  'del-dp': (call, words) => call.hwacc(['del-dp', ...words]),
  'add-if': async (call, words) => {
    const { options, rest } = split(words, ['-t', '-p', '-l'])
    const [name = '', device = ''] = rest
    const type = options.get('-t') ?? 'netdev'
    const port = options.has('-p') ? `,dst_port=${options.get('-p')}` : ''
    const code = await call.hwacc(['add-if', name, `${device},type=${type}${port}`])
    return code === 0 && options.has('-u') ? call.listen(name) : code
  },
  'del-if': (call, words) => call.hwacc(['del-if', ...split(words, ['-d']).rest]),
  'add-flow': (call, words) => call.hwacc(['add-flow', '--policy', 'kernel-only', ...words.map(spelled)]),
  'del-flows': (call, words) => call.hwacc(['del-flows', ...words]),
  'dump-flows': (call, words) => call.hwacc(['dump-flows', ...words]),
  '-h': (call) => call.hwacc(['--help']),
}
