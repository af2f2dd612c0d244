import { isDeepStrictEqual as alike } from 'node:util'
import t from 'tap'
import { DpifError } from '../../lib/errors.js'
import { formatActions, formatKey, parseActions, parseKey } from '../../lib/ovs/text.js'
import { Random, randomActions, seedOf } from '../fixtures/random-actions.js'
import { spoken, randomScalar } from './tables.js'
import { flowKey } from '../../lib/ovs/key.js'
import { Cases } from './cases.js'

// What is printed is read, whole actions and every field of a key; and what is neither is refused with SYNTAX.

t.setTimeout(0)

const random = new Random(seedOf() + 1)

t.test('object, text, object', async (t) => {
  const cases = new Cases('objectTextObject')
  while (cases.open) {
    const actions = randomActions(random, 3)
    const text = formatActions(actions)
    cases.add(() => text, alike(parseActions(text), actions))
  }
  cases.report(t)
})

t.test('text that was changed is SYNTAX or is read', async (t) => {
  const cases = new Cases('hostileText')
  const pieces = ['(', ')', ',', '/', '0x', '9', '-', '+', '{', '}', '=', 'f', ' ', '\u0000', 'é']
  const keys = Object.keys(flowKey.ids)
  while (cases.open) {
    const { codec } = random.pick(spoken)
    const name = random.pick(keys)
    let text = random.maybe()
      ? formatActions(randomActions(random, 2))
      : `${name.toLowerCase()}(${codec.format(randomScalar(random, codec))})`
    for (let turn = random.upTo(2); turn >= 0; turn--) {
      const at = random.upTo(text.length)
      text = random.maybe()
        ? text.slice(0, at) + random.pick(pieces) + text.slice(at + random.upTo(1))
        : text.slice(0, at)
    }
    for (const run of [
      () => formatActions(parseActions(text)),
      () => formatKey(parseKey(text).key, parseKey(text).mask),
    ]) {
      let fine = true
      try {
        run()
      } catch (error) {
        fine = error instanceof DpifError && error.code === 'SYNTAX'
      }
      cases.add(() => text, fine)
    }
  }
  cases.report(t)
})
