// The jobs that a worker is given.

import { createHook } from 'node:async_hooks'

/** How many jobs the addon gives to workers while `calls` are made and until they are over. */
export async function jobsOf(calls: () => Promise<unknown>[]): Promise<number> {
  let jobs = 0
  const hook = createHook({
    init(_, type) {
      if (type === 'atomic work') jobs++
    },
  }).enable()
  try {
    await Promise.all(calls())
  } finally {
    hook.disable()
  }
  return jobs
}
