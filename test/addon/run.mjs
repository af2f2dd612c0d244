// Builds the addon with sanitizers and runs its tests: node test/addon/run.mjs [--thread] [--js FILES...]
//
//   (nothing)      C++ unit tests and fuzzer under AddressSanitizer and UBSan, leaks included
//   --thread       the same under ThreadSanitizer
//   --js PATHS...  afterwards these (compiled) test files, or those below these folders that need no lab kernel, in a Node
//                  whose addon is the sanitized one

import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { headersConfig } from '../../addon/headers.mjs'

const here = path.dirname(fileURLToPath(import.meta.url))
const root = path.join(here, '../..')
const args = process.argv.slice(2)
const jsAt = args.indexOf('--js')
const jsFiles = jsAt < 0 ? [] : args.slice(jsAt + 1).flatMap((file) => testFiles(path.resolve(file)))
const thread = args.slice(0, jsAt < 0 ? undefined : jsAt).includes('--thread')
const folder = path.join(root, 'addon/build', thread ? 'tsan' : 'asan')

if (thread && jsFiles.length > 0) {
  console.error('--js needs AddressSanitizer: Node itself is not built for ThreadSanitizer')
  process.exit(2)
}

build()
run(program('unit'), [], { ASAN_OPTIONS: 'detect_leaks=1', UBSAN_OPTIONS: 'print_stacktrace=1' })
run(program('fuzz'), [thread ? '20000' : '200000'], { ASAN_OPTIONS: 'detect_leaks=1' })
for (const file of jsFiles) {
  console.log(`# ${path.relative(root, file)}`)
  run(process.execPath, [file], sanitizedNode())
}

function testFiles(place) {
  if (!statSync(place).isDirectory()) return [place]
  return readdirSync(place, { recursive: true })
    .filter(
      (file) =>
        file.endsWith('.test.js') &&
        file !== 'lab.test.js' &&
        // The first needs a lab kernel; the second is a million cases that never come near the addon.
        !['kernel', 'property'].some((folder) => file.startsWith(`${folder}${path.sep}`)),
    )
    .sort()
    .map((file) => path.join(place, file))
}

function build() {
  const cmakeJs = createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js')
  const options = [
    'compile',
    '--directory',
    'addon',
    '--out',
    folder,
    '--config',
    'Debug',
    '--log-level',
    'error',
  ]
  const sanitize = thread ? 'thread' : 'address,undefined'
  const built = spawnSync(process.execPath, [cmakeJs, ...options, `--CDSANITIZE=${sanitize}`], {
    cwd: root,
    env: { ...process.env, ...headersConfig() },
    encoding: 'utf8',
  })
  if (built.status === 0) {
    const warnings = `${built.stdout}${built.stderr}`.split('\n').filter((line) => line.includes('warning:'))
    if (warnings.length > 0) console.log(warnings.map((line) => `# ${line}`).join('\n'))
    return
  }
  console.error(`${built.stdout}${built.stderr}`)
  console.error(
    'building the addon with sanitizers failed; it needs cmake 3.19 or newer, g++ and its sanitizers',
  )
  process.exit(1)
}

// cmake-js puts libraries into a folder named after the configuration, and leaves programs to the generator.
function program(name) {
  const candidates = [name, `Debug/${name}`].map((file) => path.join(folder, file))
  return candidates.find(existsSync) ?? candidates[0]
}

// The sanitizer must be there before Node is, so it is preloaded; child processes inherit it. Node does not free
// everything when it exits, so leaks of memory are looked for in the C++ tests, and leaks of fds and threads by
// the JavaScript tests themselves.
function sanitizedNode() {
  const library = (name) => spawnSync('gcc', [`-print-file-name=${name}`], { encoding: 'utf8' }).stdout.trim()
  return {
    LD_PRELOAD: `${library('libasan.so')} ${library('libubsan.so')}`,
    ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1',
    UBSAN_OPTIONS: 'print_stacktrace=1',
    DPIF_HW_ACC_ADDON: program('ovs_dpif.node'),
    // Seconds for a file; a sanitized process takes several times as long to start.
    TAP_TIMEOUT: '600',
  }
}

function run(file, fileArgs, env) {
  const { status, signal, error } = spawnSync(file, fileArgs, {
    stdio: 'inherit',
    env: { ...process.env, ...env },
  })
  if (status === 0) return
  console.error(
    `${file} ${error ? `did not start: ${error.message}` : `ended with ${signal ?? `code ${status}`}`}`,
  )
  process.exit(1)
}
