import { packagesMissing } from './packages.js'
import { umlKernel } from './provision.js'
import { attempt, type Target } from './target.js'
import { provisionUserMode, startUserMode } from './user-mode.js'

/** The distribution's user-mode Linux. */
export const uml: Target = {
  name: 'uml',

  available: () =>
    attempt(packagesMissing('user-mode-linux, busybox-static'), () => {
      umlKernel()
      provisionUserMode()
    }),

  prepare: (job, dir) => startUserMode(umlKernel(), job, dir),
}
