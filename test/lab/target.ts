/**
 * The kernel lab runs a command, or test files one after another, inside a kernel that has openvswitch and flower.
 *
 * Three ideas carry it. The guest sees this machine's own files (same paths, same node, same project) under an
 * overlay, so nothing is copied in and nothing is written back. A job is a shell script that talks over two
 * channels, stdout and stderr; marks in them, made unforgeable by a nonce, say where a file ends and with what exit
 * code, while the kernel's console is a third stream and never mixes in. And everything comes from the
 * distribution's packages, unpacked into a cache, be it as a kernel's source: no root, no installed kernel.
 *
 * `run.ts` is the door, `targets.ts` the list; each target only knows how to start its kernel.
 */
import type { Job } from './job.js'

export type TargetName = 'host' | 'uml' | 'built' | 'qemu'

export type Availability = { available: true } | { available: false; reason: string }

/** What a target starts: a process that gives us the console on 1 and 2 and the job's stdout and stderr on 3 and 4. */
export interface Launch {
  argv: string[]
  env: NodeJS.ProcessEnv
  /** Kernel messages that do not come by the console, asked for once the job has ended. */
  kernelLog?: () => string
}

export interface Target {
  name: TargetName
  /** Fetches what is missing, so the first call may take half a minute, and minutes where a kernel is built; later ones are instant. */
  available(): Availability
  /** Writes what its kernel needs into `dir`, a temporary directory of this run. */
  prepare(job: Job, dir: string): Launch
  /** Where its kernel can load our own e-switch: builds the module if need be; its path. */
  eswitch?(): string
}

/** Whether a target's provisioning succeeds. */
export function attempt(missing: string | undefined, provision: () => void): Availability {
  if (missing !== undefined) return { available: false, reason: missing }
  try {
    provision()
    return { available: true }
  } catch (error) {
    return { available: false, reason: error instanceof Error ? error.message : String(error) }
  }
}
