// One process that makes a call now and then, as most programs do: what each costs its JS thread.

import { stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { atomicIndexPatch, atomicWrite } from '@pipeline/atomic'
import { PATCH_OPTIONS, patchOf } from '../contenders/patches'
import { threadTimeNow } from '../measure/clock'
import { serve } from './child'

export interface Question {
  /** The index that is patched. */
  path: string
  records: number
  calls: number
  /** For so long the program does nothing ahead of each call, in milliseconds. */
  pause: number
}

/** Milliseconds of the JS thread, of each call. */
export interface AfterPauses {
  /** What the clock costs. */
  nothing: number[]
  stat: number[]
  write: number[]
  patch: number[]
}

serve(async ({ path, records, calls, pause }: Question): Promise<AfterPauses> => {
  // What a call is given is made before it: that is the program's own work.
  const work: { [name in keyof AfterPauses]: (number: number) => () => Promise<unknown> } = {
    nothing: () => async () => undefined,
    stat: () => () => stat(path),
    write(number) {
      const [file, text] = [join(dirname(path), 'small'), String(number)]
      return () => atomicWrite(file, text)
    },
    patch(number) {
      const patch = patchOf(number, records)
      return () => atomicIndexPatch(path, patch, PATCH_OPTIONS)
    },
  }
  const costs: AfterPauses = { nothing: [], stat: [], write: [], patch: [] }
  const names = Object.keys(work) as (keyof AfterPauses)[]
  // The first calls read the index, and load code.
  for (let number = -2; number < calls; number++) {
    for (const name of names) {
      const call = work[name](Math.abs(number))
      await setTimeout(pause)
      const before = threadTimeNow()
      await call()
      const cost = threadTimeNow() - before
      if (number >= 0) costs[name].push(cost)
    }
  }
  return costs
})
