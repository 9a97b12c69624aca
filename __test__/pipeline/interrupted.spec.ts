/**
 * Failure 6: a crash between the four files leaves a post that is published in one index and not in the other. The
 * publisher dies before its transaction, inside each of its functions, and during the commit; each time the document is in
 * all four files or in none, and the same document published again makes everything whole, once.
 */

import { spawnSync } from 'node:child_process'
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
  cli,
  FIXTURES,
  inputFolder,
  leftoversIn,
  MOMENTS,
  publishAndDie,
  useWorkplace,
  whereIs,
} from './support'

const place = useWorkplace()

/** What the dead have left goes with the first transaction of another process: this one has looked there before. */
async function expectNothingLeftOver() {
  const folder = inputFolder(place, 'sweeper', [aDocument({ slug: 'black-oak' })])
  expect(await cli(['publish', folder])).toMatchObject({ code: 0 })
  await flushLockMetrics()
  expect(await leftoversIn(place.content)).toEqual([])
}

/** A first publish: all or nothing now, and all after another publish. */
async function expectWholeAndCompletable(whatIsThere: readonly string[]) {
  const doc = aDocument()
  const text = serializeDocument(doc)
  expect(whatIsThere).toContain(await whereIs(doc))

  await publishDoc(doc)
  expect(await whereIs(doc)).toBe('all')
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
}

/** Before the commit there is nothing yet. */
const wholeAfter = (when: string) => (when.startsWith('during') ? ['all', 'none'] : ['none'])

test.each(MOMENTS)('killed %s, a first publish is whole and completed by running it again', async (when) => {
  await publishDoc(aDocument({ slug: 'white-oak' }))
  expect(await publishAndDie(place, aDocument(), when)).toMatchObject({ signal: 'SIGKILL' })
  await expectWholeAndCompletable(wholeAfter(when))
})

test.each(MOMENTS)('killed %s, a new version of a document is whole and completed', async (when) => {
  const [first, second] = [aDocument(), aDocument({ title: 'The second version', body: 'More words.' })]
  await publishDoc(first)
  expect(await publishAndDie(place, second, when)).toMatchObject({ signal: 'SIGKILL' })
  // The other version is in the same places, so it is in some of them for the one that is not there.
  expect([await whereIs(first), await whereIs(second)].sort()).toEqual(['all', 'some'])

  await publishDoc(second)
  expect(readFileSync(documentPath(second), 'utf8')).toBe(serializeDocument(second))
  expect((await loadContentIndex()).blogPosts).toMatchObject([{ title: 'The second version' }])
  expect(await loadTopicIndex()).toMatchObject([
    { status: 'published', contentHash: contentHash(serializeDocument(second)) },
  ])
  expect((await getMetrics()).summary).toMatchObject({ totalAttempts: 2, totalSuccesses: 2 })
  await expectNothingLeftOver()
})

const canTrace = spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status === 0

/** The end of a commit: its record, the five names (one is the backup's), the locks. */
const calls = [
  ['fdatasync', 1, ['none', 'all']],
  ['renameat2', 1, ['all']],
  ['renameat', 1, ['all']],
  ['renameat', 2, ['all']],
  ['renameat', 3, ['all']],
  ['renameat2', 2, ['all']],
  ['unlinkat', 1, ['all']],
] as const

test.skipIf(!canTrace).each(calls)(
  'needs strace: killed at %s %i, a publish is whole and completed',
  async (call, n, whatIsThere) => {
    await publishDoc(aDocument({ slug: 'white-oak' }))
    const folder = inputFolder(place, 'dying', [aDocument()])
    const kill = ['-e', `trace=${call}`, '-e', `inject=${call}:signal=KILL:when=${n}`]
    const under = ['strace', '-f', '-o', '/dev/null', ...kill]
    const run = await cli(['publish', folder], { under })
    expect(run).toMatchObject({ signal: 'SIGKILL', stdout: '' })
    await expectWholeAndCompletable(whatIsThere)
  },
)

test('a publish is one call of the addon', async () => {
  const run = await cli(['publish', inputFolder(place, 'a', [aDocument()])], {
    preload: [join(FIXTURES, 'log-results.ts')],
  })
  const commits = run.stderr.split('\n').filter((line) => line && !line.includes('lock-metrics'))
  expect(commits).toHaveLength(1)
})
