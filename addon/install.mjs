// npm runs this after the package is unpacked. It never fails the installation: without the addon everything but a real
// kernel works, and whoever needs the kernel is told at that moment what is missing (lib/transport/load.ts).

import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { headersConfig } from './headers.mjs'

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..')
const worksAnyway =
  'Without it the library still imports, reads and writes flows, and runs on the simulated kernel ' +
  '(dpif-hw-acc/testing); only a real Open vSwitch datapath is out of reach.'
const logLines = 40

const compiler = 'a C++20 compiler (g++ 11 or newer)'
const tools = {
  [compiler]: find([process.env.CXX, 'g++', 'c++', 'clang++']),
  make: find([process.env.MAKE, 'make', 'gmake']),
  python3: find([process.env.npm_config_python ?? process.env.PYTHON, 'python3', 'python']),
}
const missing = process.platform === 'linux' ? Object.keys(tools).filter((name) => !tools[name]) : ['Linux']
if (missing.length > 0) {
  console.error(
    `dpif-hw-acc: the native addon was not built, for it needs ${missing.join(', ')}. ${worksAnyway} ` +
      'To build it later: npm rebuild dpif-hw-acc',
  )
} else {
  const { status, log } = build()
  if (status !== 0) {
    console.error(log.trimEnd().split('\n').slice(-logLines).join('\n'))
    console.error(
      `dpif-hw-acc: building the native addon failed; the end of the log is above. ${worksAnyway} ` +
        'To try again: npm rebuild dpif-hw-acc',
    )
  }
}

// A variable that is set is meant, so nothing else is tried then. It may hold arguments, as in "ccache g++".
function find([chosen, ...usual]) {
  return (chosen ? [chosen] : usual).find((command) => {
    const [program, ...args] = command.split(' ')
    return spawnSync(program, [...args, '--version'], { stdio: 'ignore' }).status === 0
  })
}

function build() {
  let nodeGyp
  try {
    nodeGyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js')
  } catch (error) {
    return { status: 1, log: `node-gyp is not installed: ${error.message}` }
  }
  const args = [nodeGyp, 'rebuild', '--jobs', 'max', '--loglevel', 'error']
  const { status, stdout, stderr, error } = spawnSync(process.execPath, args, {
    cwd: root,
    env: { ...process.env, ...headersConfig(), CXX: tools[compiler], MAKE: tools.make },
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  return { status: error ? 1 : status, log: `${stdout ?? ''}${stderr ?? ''}${error ? error.message : ''}` }
}
