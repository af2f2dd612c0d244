import fc from 'fast-check'
import t from 'tap'
import { UfidSet } from '../../lib/memory/ufid-set.js'

// Few values in each word, so that ids come again and differ in any of the four.
const word = fc.constantFrom(0, 1, -1, 0x8000, -0x8000_0000)
const id = fc.record({ w0: fc.nat(40), w1: word, w2: word, w3: word })

t.test('it is a set, whatever comes, and again after it was cleared', async () => {
  const set = new UfidSet()
  fc.assert(
    fc.property(fc.array(id, { maxLength: 1200, size: 'max' }), fc.array(id), (added, asked) => {
      const model = new Set<string>()
      const text = ({ w0, w1, w2, w3 }: (typeof added)[number]) => `${w0} ${w1} ${w2} ${w3}`
      for (const words of added) {
        if (set.add(words) === model.has(text(words))) return false
        model.add(text(words))
      }
      const agrees = [...added, ...asked].every((words) => set.has(words) === model.has(text(words)))
      const sized = set.size === model.size
      set.clear()
      return agrees && sized && set.size === 0 && !added.some((words) => set.has(words))
    }),
  )
})
