import t from 'tap'
import { parseRequest, questions } from '../../bench/options.js'

const wrong: readonly (readonly [args: string, message: RegExp])[] = [
  ['', /'' is no question; there are insertion, .*memory/],
  ['insert', /'insert' is no question/],
  ['insertion deletion', /one word too many/],
  ['insertion --flows many', /--flows many: a whole number/],
  ['insertion --flows 0', /--flows 0/],
  ['insertion --flows 1.5', /--flows 1.5/],
  ['insertion --backend dpdk', /'dpdk' is no backend; there are ovs, tc, both/],
  ['insertion --backend both', /for dump and sweep/],
  ['dump --backend both --port eth0', /needs two ports/],
  ['insertion --peer eth1', /--peer goes with --port/],
  ['insertion --skip none --spelling xml', /'xml' is no spelling/],
  ['insertion --profile nat', /'nat' is no profile/],
  ['insertion --profile l2 --masks 50', /from 1 to 49/],
  ['insertion --colour', /colour/],
  ['sweep --kernel null', /asks a kernel/],
  ['report', /needs the JSON files/],
  ['report a.json', /needs --report/],
]

for (const [args, message] of wrong) {
  t.test(`'${args}' is refused`, async (t) => {
    const words = args === '' ? [] : args.split(' ')
    t.throws(() => parseRequest(words), { name: 'UsageError', message })
  })
}

t.test('defaults are those of the figures', async (t) => {
  for (const question of questions) {
    const request = parseRequest([question])
    t.match(request, {
      verb: 'measure',
      question,
      options: {
        backend: 'ovs',
        flows: question === 'memory' ? 1_000_000 : 100_000,
        masks: 1,
        repeat: 5,
        skip: 'hw',
      },
    })
  }
  t.match(parseRequest(['insertion', '--port', 'eth0']), { options: { port: 'eth0', skip: 'none' } })
})

t.test('the other verbs', async (t) => {
  t.same(parseRequest(['report', 'a', 'b', '--report', 'c']), {
    verb: 'report',
    files: ['a', 'b'],
    report: 'c',
  })
  t.same(parseRequest(['smoke', '--json']), { verb: 'smoke', json: true })
  t.same(parseRequest(['--smoke']), { verb: 'smoke', json: false })
  t.same(parseRequest(['build']), { verb: 'build' })
  t.same(parseRequest(['insertion', '--help']), { verb: 'help' })
})
