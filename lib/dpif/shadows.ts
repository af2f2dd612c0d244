import type { MatchBits } from '../../types/dpif.js'
import type { Ufid } from '../../types/flow.js'

/**
 * Finds, among matches, those that have packets in common with another one.
 *
 * Flows with the same masks are a class. Of two classes, only the bits that count in both can tell flows apart; so each pair of classes
 * is a hash table by those bits, as a tuple space is, and a look-up in every table of its class is all a flow costs.
 */
export class Shadows {
  readonly #classes = new Map<string, Class>()
  #room = MAX_FLOWS
  #steps = MAX_STEPS

  /** Whether there was more than could be compared. */
  get isUnfinished(): boolean {
    return this.#room < 0 || this.#steps < 0
  }

  /** Takes in a flow that others may be compared with. */
  add(ufid: Ufid, bits: MatchBits): void {
    if (--this.#room < 0) return
    const { name, fields, value } = flatten(bits)
    let known = this.#classes.get(name)
    if (known === undefined) this.#classes.set(name, (known = { fields, flows: [], tables: new Map() }))
    known.flows.push({ ufid, value })
  }

  /** A flow that was added, has another ufid, and takes packets that this one matches. All are added before the first is looked for. */
  find(ufid: Ufid, bits: MatchBits): Ufid | undefined {
    const { name, fields, value } = flatten(bits)
    for (const known of this.#classes.values()) {
      if (--this.#steps < 0) return undefined
      const table = this.#table(known, name, fields)
      if (table === undefined) return undefined
      const met = table.flows.get(pick(value, table.theirs))
      const other = met?.find((candidate) => candidate !== ufid)
      if (other !== undefined) return other
    }
    return undefined
  }

  #table(known: Class, name: string, fields: readonly Field[]): Table | undefined {
    let table = known.tables.get(name)
    if (table !== undefined) return table
    this.#steps -= known.flows.length
    if (this.#steps < 0) return undefined
    const { ours, theirs } = common(known.fields, fields)
    table = { theirs, flows: new Map() }
    for (const flow of known.flows) {
      const key = pick(flow.value, ours)
      const there = table.flows.get(key)
      if (there === undefined) table.flows.set(key, [flow.ufid])
      // A second one, for the case that the first is a copy of the flow that is looked for.
      else if (there.length < 2) there.push(flow.ufid)
    }
    known.tables.set(name, table)
    return table
  }
}

interface Class {
  readonly fields: readonly Field[]
  readonly flows: { readonly ufid: Ufid; readonly value: Uint8Array }[]
  /** By the name of the class it is compared with. */
  readonly tables: Map<string, Table>
}

interface Table {
  /** What is picked of the one that is looked for. */
  readonly theirs: readonly Pick[]
  readonly flows: Map<string, Ufid[]>
}

/** An attribute of a class: where its bytes lie among all of them. */
interface Field {
  readonly name: string
  readonly at: number
  readonly mask: Uint8Array
}

/** A byte, and the bits of it that count. */
type Pick = readonly [at: number, bits: number]

function flatten(bits: MatchBits) {
  const names = [...bits.keys()].sort()
  const fields: Field[] = []
  const bytes: number[] = []
  let name = ''
  for (const attribute of names) {
    const { value, mask } = bits.get(attribute) as { value: Uint8Array; mask: Uint8Array }
    fields.push({ name: attribute, at: bytes.length, mask })
    bytes.push(...value)
    name += `${attribute}/${mask.join('.')} `
  }
  return { name, fields, value: Uint8Array.from(bytes) }
}

/** The bits that count in both. */
function common(ours: readonly Field[], theirs: readonly Field[]) {
  const picked: { ours: Pick[]; theirs: Pick[] } = { ours: [], theirs: [] }
  for (const { name, at, mask } of ours) {
    const other = theirs.find((field) => field.name === name)
    if (other === undefined) continue
    for (let index = 0; index < Math.min(mask.length, other.mask.length); index++) {
      const bits = (mask[index] as number) & (other.mask[index] as number)
      if (bits === 0) continue
      picked.ours.push([at + index, bits])
      picked.theirs.push([other.at + index, bits])
    }
  }
  return picked
}

function pick(value: Uint8Array, picks: readonly Pick[]): string {
  let key = ''
  for (const [at, bits] of picks) key += String.fromCharCode((value[at] as number) & bits)
  return key
}

/** Some 20 MB. */
const MAX_FLOWS = 65_536
/** Some seconds, in between which other work is done. */
const MAX_STEPS = 4_000_000
