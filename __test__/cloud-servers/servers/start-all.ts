// Run by vitest before the specs against object stores; what it returns is run after them.

import { rmSync } from 'node:fs'
import type { TestProject } from 'vitest/node'
import { makeMade } from '../../helpers/addon-copy'
import { installPackages } from '../../helpers/package-copy.mjs'
import { absent, fauxqs, fit, gcsStub, given, type RunningStore, type Store } from './stores'

declare module 'vitest' {
  interface ProvidedContext {
    stores: Store[]
    /** The stub of GCS, for the specs of the fault proxy: it is there in every run. */
    stub: Store
    /** The one that ignores conditions. */
    unfit: Store
  }
}

export default async function startAll({ provide }: TestProject) {
  const addon = installPackages()
  const removeMade = makeMade(provide)
  const remove = () => {
    rmSync(addon, { recursive: true })
    removeMade()
  }
  const { ATOMIC_CLOUD_BUCKET: bucket, ATOMIC_CLOUD_ENDPOINT: endpoint = '' } = process.env
  if (bucket) {
    const stub = await gcsStub()
    provide('addon', addon)
    provide('stub', stub.store)
    provide('unfit', absent('fauxqs', 's3', 'only a run without --bucket starts it').store)
    provide('stores', [given(bucket, endpoint)])
    return async () => {
      await stub.stop()
      remove()
    }
  }
  const started = await Promise.allSettled([...fit, fauxqs].map((start) => start()))
  const running = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  const stop = async () => {
    await Promise.all(running.map((one) => one.stop()))
    remove()
  }
  const failed = started.find((one) => one.status === 'rejected')
  if (failed) {
    await stop()
    throw failed.reason
  }
  const stores = (running as RunningStore[]).map(({ store }) => store)
  provide('addon', addon)
  provide('stub', stores.find(({ scheme }) => scheme === 'gs') as Store)
  provide('unfit', stores.pop() as Store)
  provide('stores', stores)
  return stop
}
