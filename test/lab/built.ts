import { builtHeaders, builtKernel } from './built/build.js'
import { eswitchModule } from './eswitch/build.js'
import { packagesMissing } from './packages.js'
import { attempt, type Target } from './target.js'
import { provisionUserMode, startUserMode } from './user-mode.js'

/** User-mode Linux with what the packaged kernels lack: `built/config` says what that is. */
export const built: Target = {
  name: 'built',

  available: () =>
    attempt(packagesMissing('the source of Linux 6.1, flex, bison, bc, busybox-static'), () => {
      builtKernel()
      provisionUserMode()
    }),

  prepare: (job, dir) => startUserMode(builtKernel(), job, dir),

  eswitch: () => eswitchModule(builtKernel(), builtHeaders()),
}
