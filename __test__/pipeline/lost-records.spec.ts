/** Failure 2: indexes changed without a lock, so concurrent publishers lose records. */

import { expect, test } from 'vitest'
import { getMetrics } from '../../examples/pipeline/scripts/pipeline/metrics'
import { loadContentIndex } from '../../examples/pipeline/scripts/pipeline/publisher'
import { getAllPublishedTopics } from '../../examples/pipeline/scripts/pipeline/topicIndex'
import { aDocument, cli, inputFolder, useWorkplace } from './support'

const place = useWorkplace()

test('four processes of twenty documents each leave eighty records in every index', async () => {
  const slugs = (process: number) => Array.from({ length: 20 }, (_, n) => `post-${process}-${n}`)
  const runs = await Promise.all(
    [0, 1, 2, 3].map((p) => {
      const docs = slugs(p).map((slug) => aDocument({ slug }))
      return cli(['publish', inputFolder(place, String(p), docs)])
    }),
  )
  const all = [0, 1, 2, 3].flatMap(slugs).sort()

  for (const run of runs) expect(run).toMatchObject({ code: 0, stderr: '' })
  expect((await loadContentIndex()).blogPosts.map(({ slug }) => slug)).toEqual(all)
  expect((await getAllPublishedTopics()).map(({ slug }) => slug).sort()).toEqual(all)
  const { summary, recentPublishes } = await getMetrics()
  expect(summary).toMatchObject({ totalAttempts: 80, totalSuccesses: 80, totalFailures: 0 })
  expect(recentPublishes.map(({ slug }) => slug).sort()).toEqual(all)
})
