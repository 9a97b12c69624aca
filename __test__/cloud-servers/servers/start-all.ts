// Run by vitest before the specs against object stores; what it returns is run after them.

import type { TestProject } from 'vitest/node'
import { fauxqs, fit, type RunningStore, type Store } from './stores'

declare module 'vitest' {
  interface ProvidedContext {
    stores: Store[]
    /** The one that ignores conditions. */
    unfit: Store
  }
}

export default async function startAll({ provide }: TestProject) {
  const started = await Promise.allSettled([...fit, fauxqs].map((start) => start()))
  const running = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  const stop = async () => {
    await Promise.all(running.map((one) => one.stop()))
  }
  const failed = started.find((one) => one.status === 'rejected')
  if (failed) {
    await stop()
    throw failed.reason
  }
  const stores = (running as RunningStore[]).map(({ store }) => store)
  provide('unfit', stores.pop() as Store)
  provide('stores', stores)
  return stop
}
