import type { TraceCall } from '../../types/dpif.js'

type Node = { name: string; module?: string; microseconds?: number; calls: Node[] }

/**
 * Reads what ftrace's function_graph prints (print_graph_function() and its like, kernel/trace/trace_functions_graph.c):
 *
 * ```text
 *  0)  ovs_dpi-1234  |               |  tc_new_tfilter() {
 *  0)  ovs_dpi-1234  |   0.125 us    |    fl_init [cls_flower]();
 *  0)  ovs_dpi-1234  | + 10.512 us   |  }
 * ```
 *
 * Answers a tree for each call of a function of `roots`, in the order in which they began. What other tasks did in between, and what
 * began before the first line, is left out. The column of tasks may be missing: then there was one on each processor.
 */
export function readGraph(text: string, roots: readonly string[]): TraceCall[] {
  const wanted = new Set(roots)
  const found: Node[] = []
  /** What is under way, outermost first; functions outside of a tree are undefined. */
  const stacks = new Map<string, (Node | undefined)[]>()
  for (const line of text.split('\n')) {
    const [, cpu, task, duration, words = ''] = LINE.exec(line) ?? []
    if (cpu === undefined) continue
    const who = task ?? `cpu ${cpu}`
    let stack = stacks.get(who)
    if (stack === undefined) stacks.set(who, (stack = []))
    const time = duration === undefined ? {} : { microseconds: Number(duration) }
    if (words.startsWith('}')) {
      const ended = stack.pop()
      if (ended !== undefined) Object.assign(ended, time)
      continue
    }
    const [, name, module, opens] = CALL.exec(words) ?? []
    if (name === undefined) continue
    const parent = stack.at(-1)
    const isRoot = parent === undefined && wanted.has(plain(name))
    const node: Node | undefined =
      parent !== undefined || isRoot
        ? { name, ...(module === undefined ? {} : { module }), ...time, calls: [] }
        : undefined
    if (node !== undefined) (parent?.calls ?? found).push(node)
    if (opens === '{') stack.push(node)
  }
  return found
}

/** Processor, task, duration with its mark, and what is said. */
const LINE = /^\s*(\d+)\)\s+(?:.*?-(\d+)\s+\|\s)?\s*(?:[-+!#*@$]\s*)?(?:([\d.]+) us)?\s*\|\s+(.*)$/
/** A function, the module it is in, and whether others follow that it calls. */
const CALL = /^([\w.$]+)(?: \[(\w+)\])?\(.*?\)\s*(;|\{)/

/** Compilers make variants of a function, which they call `name.isra.0` and the like. */
const plain = (name: string): string => name.replace(/\..*$/, '')
