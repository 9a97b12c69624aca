/**
 * Failure 6: a crash between the four files leaves a post that is published in one index and not in the
 * other. The publisher dies at its 1st call of the addon, at its 2nd, and so on, until it gets through;
 * each time the same document published again must make everything whole, once.
 */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { contentHash, serializeDocument } from '../../examples/pipeline/lib/content/document'
import { documentPath } from '../../examples/pipeline/lib/content/paths'
import { flushLockMetrics } from '../../examples/pipeline/scripts/pipeline/lock-metrics'
import { getMetrics } from '../../examples/pipeline/scripts/pipeline/metrics'
import { loadContentIndex, publishDoc } from '../../examples/pipeline/scripts/pipeline/publisher'
import { getRecord, loadTopicIndex } from '../../examples/pipeline/scripts/pipeline/topicIndex'
import {
  aDocument,
  COMMITS,
  cli,
  FIXTURES,
  inputFolder,
  leftoversIn,
  publishAndDie,
  useWorkplace,
} from './support'

const place = useWorkplace()

const cases = ['before', 'inside', 'during'].flatMap((when) =>
  Array.from({ length: COMMITS }, (_, i) => ({ when, at: i + 1 })),
)

/**
 * A lock file of the dead goes with the next update of its index, a temp file with the first write beside it of another
 * process: this one has looked for such files before the kill. A publisher that was to die during the last commit may
 * have died at the statistics after it.
 */
async function expectNothingLeftOver() {
  await publishDoc(aDocument({ slug: 'black-oak' }))
  await flushLockMetrics()
  const left = await leftoversIn(place.content)
  expect(left.filter((name) => !name.endsWith('.atomic-tmp'))).toEqual([])
  if (left.length === 0) return
  const next = inputFolder(place, 'next', [aDocument({ slug: 'bur-oak' })])
  expect(await cli(['publish', next])).toMatchObject({ code: 0 })
  expect(await leftoversIn(place.content)).toEqual([])
}

test.each(cases)(
  'killed $when commit $at, a first publish is completed by running it again',
  async ({ at, when }) => {
    await publishDoc(aDocument({ slug: 'white-oak' }))
    const doc = aDocument()
    const text = serializeDocument(doc)
    expect(await publishAndDie(place, doc, at, when)).toMatchObject({ signal: 'SIGKILL' })

    // Until then no index says more than the disk holds.
    const halfway = await loadContentIndex()
    if (halfway.blogPosts.some(({ slug }) => slug === 'red-oak'))
      expect(readFileSync(documentPath(doc), 'utf8')).toBe(text)
    if ((await getRecord('blog::red-oak'))?.status === 'published') expect(halfway.blogPosts).toHaveLength(2)

    await publishDoc(doc)
    expect(readFileSync(documentPath(doc), 'utf8')).toBe(text)
    expect((await loadContentIndex()).blogPosts.map(({ slug }) => slug)).toEqual(['red-oak', 'white-oak'])
    expect((await loadTopicIndex()).map(({ slug, status }) => [slug, status]).sort()).toEqual([
      ['red-oak', 'published'],
      ['white-oak', 'published'],
    ])
    expect(await getRecord('blog::red-oak')).toMatchObject({ contentHash: contentHash(text) })
    expect(await getRecord('blog::red-oak')).not.toHaveProperty('lastError')
    expect((await getMetrics()).summary).toMatchObject({ totalAttempts: 2, totalSuccesses: 2 })
    await expect(publishDoc(doc)).resolves.toMatchObject({ changed: false })
    await expectNothingLeftOver()
  },
)

test.each(cases)(
  'killed $when commit $at, a new version of a document is completed by running it again',
  async ({ at, when }) => {
    await publishDoc(aDocument())
    const doc = aDocument({ title: 'The second version', body: 'More words about a tree.' })
    expect(await publishAndDie(place, doc, at, when)).toMatchObject({ signal: 'SIGKILL' })

    await publishDoc(doc)
    expect(readFileSync(documentPath(doc), 'utf8')).toBe(serializeDocument(doc))
    expect((await loadContentIndex()).blogPosts).toMatchObject([{ title: 'The second version' }])
    expect(await loadTopicIndex()).toMatchObject([
      { status: 'published', contentHash: contentHash(serializeDocument(doc)) },
    ])
    expect((await getMetrics()).summary).toMatchObject({ totalAttempts: 2, totalSuccesses: 2 })
    await expectNothingLeftOver()
  },
)

test('without a kill a publish makes exactly the commits that the cases above go through', async () => {
  expect(await publishAndDie(place, aDocument(), COMMITS, 'before')).toMatchObject({ signal: 'SIGKILL' })
  const later = aDocument({ slug: 'white-oak' })
  const run = await cli(['publish', inputFolder(place, 'b', [later])], {
    preload: [join(FIXTURES, 'log-results.ts')],
  })
  const commits = run.stderr.split('\n').filter((line) => line && !line.includes('lock-metrics'))
  expect(commits).toHaveLength(COMMITS)
})
