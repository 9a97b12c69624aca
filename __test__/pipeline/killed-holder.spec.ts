/** Failure 4: the lock is a file, so after a kill every publisher waits for minutes or gives up. */

import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { getLockMetrics } from '../../examples/pipeline/scripts/pipeline/lock-metrics'
import { publishDoc } from '../../examples/pipeline/scripts/pipeline/publisher'
import { aDocument, fixture, leftoversIn, useWorkplace } from './support'

const place = useWorkplace()

/** Five durable commits, however busy the machine is. An update gives up after 30 s; a stale lock took minutes. */
const AT_ONCE_MS = 20_000

const indexes = ['contentIndex.json', 'topicIndex.json', 'publish-metrics.json']

async function holder(index: string) {
  const process = fixture('hold-lock.ts', [place.system(index)])
  await expect.poll(() => process.run.stdout + process.run.stderr, { timeout: 20_000 }).toBe('holding\n')
  return process
}

test.each(indexes)(
  'after the holder of the lock of %s is killed the next publish goes ahead at once',
  async (index) => {
    await publishDoc(aDocument())
    const { child, ended } = await holder(index)
    child.kill('SIGKILL')
    expect(await ended).toMatchObject({ signal: 'SIGKILL' })

    const started = Date.now()
    await publishDoc(aDocument({ slug: 'white-oak' }))
    expect(Date.now() - started).toBeLessThan(AT_ONCE_MS)
    expect(await leftoversIn(place.content)).toEqual([])
  },
)

test('a publish that waits for a holder goes ahead when the holder is killed', async () => {
  await publishDoc(aDocument())
  const { child, ended } = await holder('contentIndex.json')
  const waiting = publishDoc(aDocument({ slug: 'white-oak' }))
  const early = await Promise.race([waiting, new Promise((resolve) => setTimeout(resolve, 300, 'waits'))])
  expect(early).toBe('waits')

  const killed = Date.now()
  child.kill('SIGKILL')
  await ended
  await waiting
  expect(Date.now() - killed).toBeLessThan(AT_ONCE_MS)
})

test('a lock file whose holder was killed is recorded once, and one of a living holder never', async () => {
  await publishDoc(aDocument())
  const { child, ended } = await holder('contentIndex.json')
  child.kill('SIGKILL')
  await ended
  expect(existsSync(place.system('.contentIndex.json.lock'))).toBe(true)

  await Promise.all(['a', 'b', 'c', 'd'].map((slug) => publishDoc(aDocument({ slug }))))
  const { totalCleanups, recentCleanups } = await getLockMetrics()
  expect(totalCleanups).toBe(1)
  expect(recentCleanups).toMatchObject([{ lockPath: '_system/.contentIndex.json.lock' }])
  expect(recentCleanups[0]?.ageMs).toBeGreaterThanOrEqual(0)
})
