import { built } from './built.js'
import { host } from './host.js'
import { qemu } from './qemu.js'
import type { Target, TargetName } from './target.js'
import { uml } from './uml.js'

/** The nearest kernel first. */
export const targets: Record<TargetName, Target> = { host, uml, built, qemu }
