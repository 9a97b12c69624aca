/** Failure 3: a loader takes broken JSON for an empty index, and the next save wipes what was there. */

import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { loadBackupIndex } from '../../examples/pipeline/lib/content/index-recovery'
import { updateContentIndex } from '../../examples/pipeline/scripts/pipeline/internalLinks'
import { getLockMetrics, recordLockCleanup } from '../../examples/pipeline/scripts/pipeline/lock-metrics'
import { getMetrics, recordPublishAttempt } from '../../examples/pipeline/scripts/pipeline/metrics'
import { loadContentIndex, publishDoc } from '../../examples/pipeline/scripts/pipeline/publisher'
import { loadTopicIndex, upsertRecord } from '../../examples/pipeline/scripts/pipeline/topicIndex'
import { aDocument, cli, inputFolder, useWorkplace } from './support'

const place = useWorkplace()

const record: Parameters<typeof upsertRecord>[0] = {
  topicKey: 'blog::x',
  pageType: 'blog',
  slug: 'x',
  status: 'failed',
  contentHash: '',
  sourcesUsed: [],
}

const files = [
  ['contentIndex.json', loadContentIndex, () => updateContentIndex(aDocument())],
  ['topicIndex.json', loadTopicIndex, () => upsertRecord(record)],
  ['publish-metrics.json', getMetrics, () => recordPublishAttempt({ outcome: 'success', durationMs: 1 })],
  ['lock-metrics.json', getLockMetrics, () => recordLockCleanup('x.lock', 1)],
  ['contentIndex.json.backup', loadBackupIndex, undefined],
] as const

const damages = [
  ['cut off in the middle', (text: string) => text.slice(0, text.length / 2)],
  ['empty', () => ''],
  ['full of NUL', (text: string) => '\0'.repeat(text.length)],
  ['of another shape', () => '"hello"'],
  [
    'not UTF-8',
    (text: string) =>
      Buffer.concat([Buffer.from(text.slice(0, 20)), Buffer.from([0xff]), Buffer.from(text.slice(20))]),
  ],
] as const

describe.each(files)('%s', (name, load, change) => {
  test('that does not exist is the empty default', async () => {
    await expect(load()).resolves.not.toThrow()
  })

  test.each(damages)('that is %s is refused by load and save, and its bytes stay', async (_, damage) => {
    await publishDoc(aDocument())
    await publishDoc(aDocument({ slug: 'white-oak' }))
    await recordLockCleanup('x.lock', 1)
    const path = place.system(name)
    writeFileSync(path, damage(readFileSync(path, 'utf8')))
    const broken = readFileSync(path)

    await expect(load()).rejects.toMatchObject({ name: 'PublishError', code: 'INVALID_JSON' })
    if (change) await expect(change()).rejects.toMatchObject({ name: 'PublishError', code: 'INVALID_JSON' })
    expect(readFileSync(path)).toEqual(broken)
  })
})

test.each([
  ['topicIndex.json', {}],
  ['topicIndex.json', { 'blog::x': { topicKey: 'blog::x', slug: 'x' } }],
  ['topicIndex.json', [{ topicKey: 'blog::red-oak', slug: 'red-oak' }]],
  ['contentIndex.json', []],
  [
    'contentIndex.json',
    { version: '1.0.0', lastUpdated: '', species: [], howTo: [], locations: [], blogPosts: {} },
  ],
  [
    'contentIndex.json',
    { version: '1.0.0', lastUpdated: '', species: [], howTo: [], locations: [], blogPosts: [{ title: 'x' }] },
  ],
])(
  '%s that is JSON of another shape is refused by publishes, alone and at once, and its bytes stay',
  async (name, index) => {
    await publishDoc(aDocument({ slug: 'grey-oak' }))
    const path = place.system(name)
    writeFileSync(path, JSON.stringify(index))
    const publish = () => publishDoc(aDocument())
    await expect(publish()).rejects.toMatchObject({ code: 'INVALID_JSON' })
    const others = Array.from({ length: 12 }, (_, n) => publishDoc(aDocument({ slug: `oak-${n}` })))
    const settled = await Promise.allSettled([...others, publish()])
    expect(settled.at(-1)).toMatchObject({ reason: { code: 'INVALID_JSON' } })
    if (!Array.isArray(index) || index.length === 0) {
      expect(settled.every(({ status }) => status === 'rejected')).toBe(true)
      expect(readFileSync(path, 'utf8')).toBe(JSON.stringify(index))
    }
  },
)

test('a publish that meets a broken content index rejects, and publishes after the recovery', async () => {
  await publishDoc(aDocument())
  writeFileSync(place.system('contentIndex.json'), '{"version": "1.0.0", "blogPo')
  const next = aDocument({ slug: 'white-oak' })

  await expect(publishDoc(next)).rejects.toMatchObject({ code: 'INVALID_JSON' })
  expect(await cli(['recover-index'])).toMatchObject({ code: 0 })
  await expect(publishDoc(next)).resolves.toMatchObject({ changed: true })
  expect((await loadContentIndex()).blogPosts.map(({ slug }) => slug)).toEqual(['red-oak', 'white-oak'])
})

test('broken metrics do not keep a document from being published', async () => {
  await publishDoc(aDocument())
  writeFileSync(place.system('publish-metrics.json'), '{')
  const folder = inputFolder(place, 'a', [aDocument({ slug: 'white-oak' })])

  const run = await cli(['publish', folder])
  expect(run.code).toBe(0)
  expect(run.stderr).toMatch(/A publish was not counted: .*publish-metrics\.json/)
  expect(readFileSync(place.system('publish-metrics.json'), 'utf8')).toBe('{')
})
