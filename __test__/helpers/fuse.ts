// What specs need of `poor-fs`, built ahead of their tests: a build takes as long as it takes, and is in no test's time.

import { beforeAll } from 'vitest'
import { builtOnce } from './built-once'
import { isHere } from './needs'
import { POOR_FS_ENV, usePoorFs } from './poor-fs'
import { NO_TIMEOUT } from './program'

export { type Call, onPoorFs, type Poverty } from './poor-fs'

beforeAll(async () => {
  if (!isHere('root that may mount FUSE')) return
  const given = process.env[POOR_FS_ENV]
  const built = given ? Promise.resolve(given) : builtOnce('poor-fs')
  usePoorFs(built)
  // A test that needs it says what is wrong.
  await built.catch(() => undefined)
}, NO_TIMEOUT)
