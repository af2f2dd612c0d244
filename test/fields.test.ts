import { readFileSync } from 'node:fs'
import t from 'tap'
import { actionList, nestedSets } from '../lib/ovs/action.js'
import { flowKey, nshKey, tunnelKey, vxlanKey } from '../lib/ovs/key.js'
import { reasons } from '../lib/tc/reasons.js'
import { fieldsFile, fieldsReference } from './fields.js'

const text = fieldsReference()

t.test('FIELDS.md is what the rows say now', async (t) => {
  t.equal(readFileSync(fieldsFile, 'utf8'), text, 'if not, run: npm run fields')
})

t.test('the reference has a line for every attribute and every reason', async (t) => {
  const sets = [flowKey, tunnelKey, nshKey, vxlanKey, actionList.set, ...nestedSets]
  for (const { uapi, id } of sets.flatMap(({ rows }) => rows)) {
    t.equal(text.split(`| \`${uapi}\` ${id} |`).length, 2, `${uapi} has one line`)
  }
  for (const reason of Object.keys(reasons))
    t.ok(text.includes(`\n| \`${reason}\` |`), `${reason} has a line`)
})

t.test('every line of a table has as many cells as its head', async (t) => {
  let cells = 0
  for (const line of text.split('\n')) {
    if (!line.startsWith('|')) cells = 0
    else {
      const count = line.split(/(?<!\\)\|/).length
      cells ||= count
      t.equal(count, cells, line)
    }
  }
})

t.test('what TC does is found out, not made up', async (t) => {
  const lineOf = (property: string) =>
    text.split('\n').find((line) => line.startsWith(`| \`${property}\` |`)) ?? ''
  t.match(lineOf('ipv4.src'), 'yes: `TCA_FLOWER_KEY_IPV4_SRC` | yes | yes: `act_pedit`')
  t.match(lineOf('ipv4.proto'), 'whole: `TCA_FLOWER_KEY_IP_PROTO` | – | – |')
  t.match(lineOf('tunnel.df'), 'yes: `TCA_FLOWER_KEY_ENC_FLAGS`, from Linux 6.11')
  t.match(lineOf('nd.target'), '(`NO_FLOWER_KEY`)')
  t.match(lineOf('hash'), '(`NO_TC_ACTION`)')
  t.match(lineOf('output'), 'yes: `act_mirred`')
})
