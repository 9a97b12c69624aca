/**
 * Failure 6 in the figures: a publisher that dies leaves a document that is published and counted, or neither. Whenever it
 * comes again it is one success; a changed document is another.
 */

import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { getMetrics, recordPublishAttempt } from '../../examples/pipeline/scripts/pipeline/metrics'
import { publishDoc } from '../../examples/pipeline/scripts/pipeline/publisher'
import { getRecord, saveTopicIndex } from '../../examples/pipeline/scripts/pipeline/topicIndex'
import { aDocument, publishAndDie, useWorkplace, whereIs } from './support'

const place = useWorkplace()

const first = () => aDocument()
const second = () => aDocument({ title: 'The second version', body: 'More words about a tree.' })

/** More than the metrics keep of recent publishes. */
const OTHERS = 101

/** All at once: their index updates share commits. */
async function publishOthers() {
  await Promise.all(Array.from({ length: OTHERS }, (_, n) => publishDoc(aDocument({ slug: `other-${n}` }))))
}

/** One of each kind; `interrupted.spec.ts` has all of them. */
const MOMENTS = ['before', 'inside 3', 'during 2', 'during 8', 'during 32']

async function summary() {
  return (await getMetrics()).summary
}

test.each(MOMENTS)('killed %s, and published again after a hundred others', async (when) => {
  expect(await publishAndDie(place, first(), when)).toMatchObject({ signal: 'SIGKILL' })
  await publishOthers()
  await publishDoc(first())
  expect(await summary()).toMatchObject({ totalAttempts: OTHERS + 1, totalSuccesses: OTHERS + 1 })
  expect((await getMetrics()).recentPublishes).toHaveLength(100)
})

test.each(MOMENTS)(
  'a new version killed %s, taken back, and published again after a hundred others',
  async (when) => {
    await publishDoc(first())
    expect(await publishAndDie(place, second(), when)).toMatchObject({ signal: 'SIGKILL' })
    // Where the second version was published, the first one takes it back, and each of these is a change.
    const changes = (await whereIs(second())) === 'all' ? 4 : 2
    await publishDoc(first())
    await publishOthers()
    await publishDoc(second())
    expect(await summary()).toMatchObject({
      totalAttempts: OTHERS + changes,
      totalSuccesses: OTHERS + changes,
    })
  },
)

test('killed in the last function, failed, and published again', async () => {
  expect(await publishAndDie(place, first(), 'inside 3')).toMatchObject({ signal: 'SIGKILL' })
  mkdirSync(place.system(''), { recursive: true })
  writeFileSync(place.system('contentIndex.json'), '{')
  await expect(publishDoc(first())).rejects.toMatchObject({ code: 'INVALID_JSON' })
  rmSync(place.system('contentIndex.json'))
  await publishDoc(first())
  expect(await summary()).toMatchObject({ totalAttempts: 2, totalSuccesses: 1, totalFailures: 1 })
  expect(await getRecord('blog::red-oak')).toMatchObject({ status: 'published' })
})

test('published again after the topic index was lost', async () => {
  await publishDoc(first())
  await publishOthers()
  await saveTopicIndex([])
  await publishDoc(first())
  expect((await summary()).totalSuccesses).toBe(OTHERS + 1)
})

test('published by several at once', async () => {
  await Promise.all(Array.from({ length: 8 }, () => publishDoc(first())))
  expect(await summary()).toMatchObject({ totalAttempts: 1, totalSuccesses: 1 })
})

test('each change is another success, also the one back to an earlier version', async () => {
  for (const doc of [first(), second(), second(), first(), first(), second()]) await publishDoc(doc)
  expect(await summary()).toMatchObject({ totalAttempts: 4, totalSuccesses: 4 })
})

test('an attempt that names no version is always another', async () => {
  for (let i = 0; i < 3; i++)
    await recordPublishAttempt({ outcome: 'success', durationMs: 1, topicKey: 'blog::x' })
  expect((await summary()).totalSuccesses).toBe(3)
})
