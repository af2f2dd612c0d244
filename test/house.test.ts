import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

// The floor plan: which room may import from which. `types` and `errors` are open to everybody; a room that is not listed is red.
const plan: Record<string, readonly string[]> = {
  types: [],
  'lib/errors': [],
  'lib/netlink': [],
  'lib/memory': [],
  'lib/ovs': ['lib/netlink'],
  'lib/tc': ['lib/netlink'],
  'lib/device': ['lib/netlink'],
  'lib/netfilter': ['lib/netlink'],
  'lib/transport': ['lib/netlink'],
  'lib/backend': ['lib/ovs', 'lib/tc', 'lib/device', 'lib/netfilter', 'lib/netlink', 'lib/memory'],
  'lib/policy': ['lib/netlink'],
  'lib/trace': [],
  'lib/dpif': ['lib/memory'],
  'lib/testing': ['lib/netlink', 'lib/ovs', 'lib/tc', 'lib/device', 'lib/netfilter'],
  'lib/open': ['lib/backend', 'lib/dpif', 'lib/ovs', 'lib/policy', 'lib/trace', 'lib/transport'],
  'lib/index': ['lib/open', 'lib/ovs', 'lib/netfilter', 'lib/policy', 'lib/transport'],
  'lib/cli': ['lib/index'],
}
const everywhere = ['types', 'lib/errors']
// The suite is a customer of the front door that ships beside it.
const exceptions: Record<string, readonly string[]> = { 'lib/testing/conformance': ['lib/index'] }

const root = join(dirname(fileURLToPath(import.meta.url)), '../..')

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`
    if (entry.isDirectory()) return sources(path)
    return path.endsWith('.ts') ? [path.slice(0, -3)] : []
  })
}

/** `lib/ovs/key` is in room `lib/ovs`, `lib/open` is a room of its own, and `types` is one. */
function roomOf(path: string): string {
  const [floor = '', room = ''] = path.split('/')
  return floor === 'types' ? floor : `${floor}/${room}`
}

function importsOf(path: string): string[] {
  const text = readFileSync(join(root, `${path}.ts`), 'utf8')
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map(([, target = '']) => {
    return normalize(relative(root, join(root, dirname(path), target))).replace(/\.js$/, '')
  })
}

function allowed(from: string, to: string): boolean {
  const room = roomOf(from)
  const open = [...(plan[room] ?? []), ...everywhere, room]
  const more = Object.entries(exceptions).flatMap(([prefix, rooms]) => (from.startsWith(prefix) ? rooms : []))
  return [...open, ...more].includes(roomOf(to))
}

t.test('every arrow points down, as the floor plan says', async (t) => {
  const files = [...sources('types'), ...sources('lib')]
  t.ok(files.length > 40, 'the rooms were found')
  for (const file of files) {
    t.ok(roomOf(file) in plan, `${file} is in a room of the plan`)
    const broken = importsOf(file).filter((target) => !allowed(file, target))
    t.same(broken, [], `${file} looks only into rooms below`)
  }
})

t.test('examples use nothing but the front door, by its name', async (t) => {
  const files = sources('examples')
  t.ok(files.length > 0, 'there are some')
  for (const file of files) {
    const text = readFileSync(join(root, `${file}.ts`), 'utf8')
    const imports = [...text.matchAll(/from '([^']+)'/g)].map(([, name = '']) => name)
    t.same(
      imports.filter((name) => name !== 'dpif-hw-acc' && !name.startsWith('node:')),
      [],
      file,
    )
  }
})

t.test('types run nothing', async (t) => {
  for (const file of sources('types')) {
    const text = readFileSync(join(root, `${file}.ts`), 'utf8')
    t.notMatch(
      text,
      /^export (const|function|class|enum|default)|^import (?!type )/m,
      `${file} holds types only`,
    )
  }
})
