import type { BackendName } from './op.js'

/** Something kernels learned at some time, and whether this one has it. */
export interface KernelFeature {
  /** What has it: openvswitch itself, or TC flower. */
  readonly backend: BackendName
  readonly name: string
  /** The first Linux that has it, unless a distribution took it over. */
  readonly since: string
  /** A sentence. */
  readonly doc: string
  /** Absent when this kernel cannot be asked. */
  readonly present?: boolean
}
