import {
  Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type Scalar,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml'
import type { RulesProblem } from '../../../types/rules.js'

// A document as nodes that know where they stand. YAML 1.2 is a superset of JSON, so one parser reads both.

export { isMap, isScalar, isSeq, type Node, type Scalar, type YAMLMap, type YAMLSeq }

/** Characters of a document; a hundred times what people write. */
const MAX_LENGTH = 1 << 20
/** Nodes that are looked at: an alias is looked at again wherever it stands. */
const MAX_NODES = 1 << 18
const MAX_PROBLEMS = 100

/** A document being read, and what was found to be wrong. */
export class Reader {
  readonly problems: RulesProblem[] = []
  /** The document's top; nothing when it cannot be read at all. */
  readonly root: Node | undefined
  /** What names stand for, as they are read. */
  readonly tenants = new Map<string, number>()
  readonly devices = new Map<string, string>()
  /** Names of e-switches that stand for nothing known. */
  readonly unresolved = new Set<string>()
  readonly #document: Document | undefined
  readonly #lines = new LineCounter()
  #looked = 0

  constructor(source: string | object, devices: Readonly<Record<string, string>>) {
    for (const [name, id] of Object.entries(devices)) this.devices.set(name, id)
    if (typeof source === 'string' && source.length > MAX_LENGTH) {
      this.problems.push({ path: '', message: `more than ${MAX_LENGTH} characters are no policy` })
      return
    }
    this.#document = typeof source === 'string' ? this.#parse(source) : plain(source)
    const { contents, errors } = this.#document
    for (const { message, pos } of errors) this.#note('', message, pos[0])
    if (errors.length > 0) return
    if (isNode(contents)) this.root = contents
    else this.problems.push({ path: '', message: 'the document is empty' })
  }

  /** Whether that can be read which was asked for so far. */
  get good(): boolean {
    return this.problems.length === 0
  }

  /** The node itself, where an alias stands for it. */
  resolve(node: unknown): Node | undefined {
    if (++this.#looked > MAX_NODES) {
      if (this.#looked === MAX_NODES + 1)
        this.report(undefined, '', `more than ${MAX_NODES} things are no policy`)
      return undefined
    }
    if (isAlias(node) && this.#document !== undefined) return node.resolve(this.#document)
    return isNode(node) ? node : undefined
  }

  report(node: unknown, path: string, message: string): void {
    const start = isNode(node) ? node.range?.[0] : undefined
    this.#note(path, message, start)
  }

  /** The line a node begins on. */
  lineOf(node: Node): number | undefined {
    const start = node.range?.[0]
    return start === undefined ? undefined : this.#lines.linePos(start).line
  }

  #note(path: string, message: string, start: number | undefined): void {
    if (this.problems.length >= MAX_PROBLEMS) return
    if (start === undefined) this.problems.push({ path, message })
    else {
      const { line, col: column } = this.#lines.linePos(start)
      this.problems.push({ line, column, path, message })
    }
  }

  #parse(text: string): Document {
    // Tunnel ids have 64 bits.
    return parseDocument(text, {
      lineCounter: this.#lines,
      prettyErrors: false,
      intAsBigInt: true,
      strict: true,
      uniqueKeys: true,
      version: '1.2',
    })
  }
}

/** A document that came as an object. */
function plain(source: object): Document {
  return new Document(source, { aliasDuplicateObjects: false })
}

/** A value as people recognise it in a message. */
export function spell(node: Node | undefined): string {
  if (node === undefined) return 'nothing'
  if (isMap(node)) return 'fields'
  if (isSeq(node)) return 'a list'
  if (!isScalar(node)) return 'that'
  return node.value === null ? 'nothing' : `'${node.source ?? String(node.value)}'`
}
