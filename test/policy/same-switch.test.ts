import t from 'tap'
import { sameSwitch, tcOnly } from '../../lib/policy/index.js'
import { NIC, OTHER, putOf, where, World } from './facts.js'

const world = new World({
  1: { switchId: NIC },
  2: { switchId: NIC },
  3: { switchId: OTHER },
  4: { type: 'vxlan' },
  5: { type: 'internal' },
  6: {},
})

const arp = (port: number) => `in_port(${port}),eth(),eth_type(0x0806)`

// biome-ignore format: one row per line
const rows: readonly (readonly [key: string, actions: string, same: boolean, why: string])[] = [
  [arp(1), '2', true,  'both on one'],
  [arp(1), '2,1', true,  'three on one'],
  [arp(1), '3', false, 'another e-switch'],
  [arp(1), '2,3', false, 'one of the outputs is elsewhere'],
  [arp(1), '', true,  'a drop is the business of the port it comes in through'],
  [arp(6), '', false, 'a drop on no e-switch'],
  [arp(1), '6', false, 'a device on no e-switch'],
  [arp(1), '5', false, 'an internal port'],
  [arp(1), '9', false, 'a port nobody knows'],
  [arp(9), '1', false, 'from a port nobody knows'],
  ['eth(),eth_type(0x0806)', '1', false, 'from anywhere'],
  [arp(1), '4', true,  'into a tunnel'],
  [arp(4), '1', true,  'out of a tunnel'],
  [arp(4), '4', false, 'tunnels only'],
  [arp(1), 'clone(3),2', false, 'a copy leaves elsewhere'],
  [arp(1), 'clone(2),2', true, 'a copy stays'],
  [arp(1), 'sample(sample=50.0%,actions(3)),2', false, 'a sample leaves elsewhere'],
  [arp(1), 'check_pkt_len(size=100,gt(2),le(3))', false, 'short packets leave elsewhere'],
]

t.test('TC is for flows whose ports are on one e-switch', async (t) => {
  for (const [key, actions, same, why] of rows) {
    t.equal(where(sameSwitch(), putOf(key, actions), world), same ? 'tc ovs' : 'ovs', why)
  }
})

t.test('tunnels are no part of an e-switch where one says so', async (t) => {
  const strict = sameSwitch({ tunnels: false }, tcOnly({ skip: 'sw' }))
  t.equal(where(strict, putOf(arp(1), '4'), world), 'ovs')
  t.equal(where(strict, putOf(arp(4), '1'), world), 'ovs')
  t.equal(where(strict, putOf(arp(1), '2'), world), 'tc/sw')
})
