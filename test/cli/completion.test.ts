import { spawnSync } from 'node:child_process'
import t from 'tap'
import { verbs } from '../../lib/cli/verb/index.js'
import { call } from './call.js'

/** What bash offers at the end of a line. */
async function offered(...words: string[]): Promise<string[]> {
  const { out } = await call(['completion', 'bash'])
  const script = `hwacc() { [ "$1" = dump-dps ] && echo system@dp0; }
${out}
COMP_WORDS=(hwacc "$@"); COMP_CWORD=$#; _hwacc; printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout, stderr, status } = spawnSync('bash', ['-c', script, 'bash', ...words], { encoding: 'utf8' })
  t.equal(stderr, '')
  t.equal(status, 0)
  return stdout.split('\n').filter((word) => word !== '')
}

const has = (shell: string) => spawnSync(shell, ['-c', 'true']).status === 0

t.test('bash completes', { skip: has('bash') ? false : 'there is no bash' }, async (t) => {
  t.same((await offered('')).sort(), verbs.map(({ name }) => name).sort(), 'every verb')
  t.same((await offered('add-f')).sort(), ['add-flow', 'add-flows'])
  t.same(await offered('-m', 'dump-d'), ['dump-dps'], 'behind options')
  t.same(await offered('--policy', 'tc-only', 'dump-d'), ['dump-dps'], 'and what they take')
  t.same(await offered('mod-flow', '--may'), ['--may-create'])
  t.same(await offered('dump-dps', '--may'), [], 'options of this verb')
  t.same(await offered('show', 'sys'), ['system@dp0'])
  t.ok((await offered('add-if', 'dp0', 'l')).includes('lo'))
  t.same(await offered('add-flow', '--policy', 'kern'), ['kernel-only'])
  t.same(await offered('completion', ''), ['bash', 'zsh'])
  t.same(await offered('help', 'expl'), ['explain'])
  t.same(await offered('dump-flows', 'ty'), ['type='])
  t.ok((await offered('add-flows', 'dp0', 'package')).includes('package.json'))
})

t.test('zsh can read its script', { skip: has('zsh') ? false : 'there is no zsh' }, async (t) => {
  const { out } = await call(['completion', 'zsh'])
  const script = `autoload -Uz compinit && compinit -u -D\n${out}\nprint $_comps[hwacc]`
  const { stdout, stderr } = spawnSync('zsh', ['-f'], { input: script, encoding: 'utf8' })
  t.equal(stderr, '')
  t.equal(stdout, '_hwacc\n')
})

t.test('both name every verb and option there is, and no other shell has one', async (t) => {
  for (const shell of ['bash', 'zsh']) {
    const { out } = await call(['completion', shell])
    for (const { name, options } of verbs) {
      t.ok(out.includes(`    ${name}) `), `${shell}: ${name}`)
      for (const option of options) t.ok(out.includes(`--${option}`))
    }
  }
  t.match(await call(['completion', 'fish']), { code: 1, err: /there is for bash, zsh/ })
})
