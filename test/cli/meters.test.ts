import t from 'tap'
import { meterLines, parseMeter, parseMeterId } from '../../lib/cli/meters.js'

// The verbs themselves are tried in test/kernel/conntrack.test.ts: the simulated kernel has no meters.

t.test('meters are read as ovs-ofctl takes them', async (t) => {
  t.same(parseMeter('meter=1,kbps,burst,stats,bands=type=drop,rate=1000,burst_size=100'), {
    ...{ id: 1, unit: 'kbps', bands: [{ type: 'drop', rate: 1000, burst: 100 }] },
  })
  t.same(parseMeter('meter=4294967295 pktps band=type=drop rate=1'), {
    ...{ id: 4_294_967_295, unit: 'pktps', bands: [{ type: 'drop', rate: 1 }] },
  })
  t.equal(parseMeter('meter=0,bands=type=drop,rate=1,type=drop,rate=2').bands.length, 2)
  t.equal(parseMeterId('meter=7'), 7)
  t.equal(parseMeterId('7'), 7)
  for (const wrong of [
    'kbps,bands=type=drop,rate=1',
    'meter=1',
    'meter=1,bands=rate=1',
    'meter=1,bands=type=drop',
    'meter=1,bands=type=dscp_remark,rate=1',
    'meter=x,bands=type=drop,rate=1',
    'meter=4294967296,bands=type=drop,rate=1',
    'meter=1,bands=type=drop,rate=-1',
    'meter=1,zork,bands=type=drop,rate=1',
    'meter=1,bands=type=drop,rate=1,zork=2',
  ])
    t.throws(() => parseMeter(wrong), { name: 'Error' }, wrong)
  t.throws(() => parseMeterId('all'), /is no number/)
})

t.test('meters are printed as ovs-ofctl does, with what is known of them', async (t) => {
  const stats = { packets: 3n, bytes: 180n }
  const meter = { id: 1, used: 0, stats }
  t.same(
    [
      ...meterLines(
        { ...meter, unit: 'kbps', bands: [{ type: 'drop', rate: 1000, burst: 100, stats }] },
        true,
      ),
    ],
    [
      'meter=1 kbps burst stats bands=',
      'type=drop rate=1000 burst_size=100',
      'meter:1 packet_in_count:3 byte_in_count:180 bands:',
      '0: packet_count:3 byte_count:180',
    ],
  )
  t.same([...meterLines({ ...meter, bands: [{ stats }] }, false)], ['meter=1 stats bands=', 'type=drop'])
})
