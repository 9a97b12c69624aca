// An order of the calls of threads and processes that agrees with what they have seen, and with what is promised of it. `npm run soak:orders` is
// the long form.

import { describe, expect, inject } from 'vitest'
import { test } from '../helpers/test'
import { PROCESSES, type Step, THREADS, TRANSACTIONS } from './plan'
import { rounds, type Setting } from './rounds'

type Shape = Omit<Setting, 'addon' | 'dir'>

async function explained(dir: string, shape: Shape, isEnough: (calls: number) => boolean): Promise<void> {
  const report = await rounds({ addon: inject('addon'), dir, ...shape }, (sum) => isEnough(sum.calls))
  expect(report.wrong.join('\n')).toBe('')
  expect(report.calls).toBeGreaterThan(0)
}
