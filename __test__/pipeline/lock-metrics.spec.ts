/** What the locks cost is written down without costing a publish anything. */

import { writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { lockCounters } from '../../examples/pipeline/lib/content/lock-metrics'
import {
  flushLockMetrics,
  getLockMetrics,
  observeTimeout,
  recordLockCleanup,
  resetLockMetrics,
} from '../../examples/pipeline/scripts/pipeline/lock-metrics'
import { publishDoc } from '../../examples/pipeline/scripts/pipeline/publisher'
import { aDocument, cli, inputFolder, useWorkplace } from './support'

const place = useWorkplace()

test('keeps the newest hundred cleanups, newest first', async () => {
  await resetLockMetrics()
  for (let i = 0; i < 103; i++) await recordLockCleanup(`${i}.lock`, i)
  const { totalCleanups, recentCleanups } = await getLockMetrics()
  expect(totalCleanups).toBe(103)
  expect(recentCleanups).toHaveLength(100)
  expect(recentCleanups[0]).toMatchObject({ lockPath: '102.lock', ageMs: 102 })
})

test('counts the transactions of every process, and the timeouts', async () => {
  const folders = [0, 1].map((p) =>
    inputFolder(
      place,
      String(p),
      Array.from({ length: 10 }, (_, n) => aDocument({ slug: `post-${p}-${n}` })),
    ),
  )
  await Promise.all(folders.map((folder) => cli(['publish', folder])))
  const { waits } = await getLockMetrics()
  expect(waits.updates).toBe(2 * 10)
  expect(waits.waited).toBeLessThanOrEqual(waits.updates)

  await observeTimeout()
  expect((await getLockMetrics()).totalTimeouts).toBe(1)
})

test('publish --locks prints what the locks of its process have cost', async () => {
  const folder = inputFolder(place, 'in', [aDocument(), aDocument({ slug: 'white-oak' })])
  const [quiet, told] = [await cli(['publish', folder]), await cli(['publish', '--locks', folder])]
  expect(quiet.stdout).not.toContain('locks')
  expect(told.stdout).toMatch(
    /^\d+ waits for locks, [\d.]+ ms together, none longer than [\d.]+ ms; 0 timeouts; /m,
  )

  const before = lockCounters()
  await publishDoc(aDocument({ slug: 'burr-oak' }))
  const after = lockCounters()
  expect(after.locked).toBeGreaterThan(before.locked)
  expect(after.calls - before.calls).toBeGreaterThanOrEqual(after.commits - before.commits)
  expect(after.totalMs).toBeLessThanOrEqual(after.locked * after.atMostMs)
})

test('a broken file of them does not keep a document from being published', async () => {
  await publishDoc(aDocument())
  await flushLockMetrics()
  writeFileSync(place.system('lock-metrics.json'), 'broken')
  await publishDoc(aDocument({ slug: 'white-oak' }))
  await flushLockMetrics()
  await expect(getLockMetrics()).rejects.toMatchObject({ code: 'INVALID_JSON' })
  await resetLockMetrics()
  expect((await getLockMetrics()).totalCleanups).toBe(0)
})
