/** Failure 4: the lock is a file, so after a kill every publisher waits for minutes or gives up. */

import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { getLockMetrics } from '../../examples/pipeline/scripts/pipeline/lock-metrics'
import { publishDoc } from '../../examples/pipeline/scripts/pipeline/publisher'
import { untilLockIsWaitedFor } from '../helpers/index-file'
import { aDocument, fixture, leftoversIn, useWorkplace } from './support'

const place = useWorkplace()

const indexes = ['contentIndex.json', 'topicIndex.json', 'publish-metrics.json']

async function holder(index: string) {
  const process = await fixture('hold-lock.ts', [place.system(index)])
  await once(process.child.stdout, 'data')
  expect(process.run).toMatchObject({ stdout: 'holding\n', stderr: '' })
  return process
}

test.each(indexes)(
  'after the holder of the lock of %s is killed the next publish goes ahead',
  async (index) => {
    await publishDoc(aDocument())
    const { child, ended } = await holder(index)
    child.kill('SIGKILL')
    expect(await ended).toMatchObject({ signal: 'SIGKILL' })

    await publishDoc(aDocument({ slug: 'white-oak' }))
    expect(await leftoversIn(place.content)).toEqual([])
  },
)

test('a publish that waits for a holder goes ahead when the holder is killed', async () => {
  await publishDoc(aDocument())
  const { child, ended } = await holder('contentIndex.json')
  const waiting = publishDoc(aDocument({ slug: 'white-oak' }))
  await untilLockIsWaitedFor(place.system('contentIndex.json'))
  child.kill('SIGKILL')
  await ended
  await waiting
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
