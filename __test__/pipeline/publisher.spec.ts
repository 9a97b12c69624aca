/** What a caller of `publishDoc` relies on: names that are safe, one owner an address, nothing done twice. */

import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { saveRebuiltIndex } from '../../examples/pipeline/lib/content/index-rebuild'
import { emptyContentIndex } from '../../examples/pipeline/lib/content/listing'
import { contentRoot, documentPath } from '../../examples/pipeline/lib/content/paths'
import {
  getMetrics,
  recordPublishAttempt,
  resetMetrics,
} from '../../examples/pipeline/scripts/pipeline/metrics'
import {
  loadContentIndex,
  PublishError,
  publishDoc,
} from '../../examples/pipeline/scripts/pipeline/publisher'
import {
  getAllPublishedTopics,
  getRecord,
  loadTopicIndex,
  saveTopicIndex,
  upsertRecord,
} from '../../examples/pipeline/scripts/pipeline/topicIndex'
import { aDocument, cli, filesIn, inputFolder, readJson, useWorkplace } from './support'

const place = useWorkplace()

const kinds = [
  [{ pageType: 'blog' }, '/blog/red-oak', 'blog::red-oak', 'blogPosts'],
  [{ pageType: 'species' }, '/species/red-oak', 'species::red-oak::global', 'species'],
  [{ pageType: 'how-to' }, '/how-to/red-oak', 'howto::red-oak', 'howTo'],
  [
    { pageType: 'location', stateSlug: 'ohio', citySlug: 'dayton' },
    '/locations/ohio/dayton',
    'location::ohio::dayton',
    'locations',
  ],
] as const

test.each(kinds)('publishes %o', async (fields, routePath, topicKey, section) => {
  const doc = aDocument(fields)
  expect(await publishDoc(doc)).toEqual({ routePath, slug: 'red-oak', changed: true })
  expect(await readJson(join(place.content, `${routePath}.json`))).toEqual(doc)
  expect(await getRecord(topicKey)).toMatchObject({
    status: 'published',
    slug: 'red-oak',
    sourcesUsed: ['https://example.org/trees'],
  })
  expect((await loadContentIndex())[section]).toMatchObject([
    { slug: 'red-oak', wordCount: 6, keywords: ['tree', 'forest', 'oak'] },
  ])
})

test('an entry holds listing data only', async () => {
  const many = Array.from({ length: 30 }, (_, i) => `word-${i}`)
  await publishDoc(aDocument({ secondaryKeywords: many, tags: many, heroImage: '/oak.jpg' }))
  const [entry] = (await loadContentIndex()).blogPosts
  expect(Object.keys(entry ?? {}).sort()).toEqual(
    'author category description flags heroImage keywords publishedAt slug tags title updatedAt wordCount'.split(
      ' ',
    ),
  )
  expect(entry?.keywords).toHaveLength(10)
  expect(entry?.tags).toHaveLength(5)
})

describe('validation', () => {
  const hostile = [
    '',
    '.',
    '..',
    '../escape',
    '../../etc/passwd',
    '/etc/passwd',
    'a/b',
    'a\\b',
    'a\0b',
    '.hidden',
    'UPPER',
    'ünïcode',
    'two--hyphens',
    '-edge',
    'con',
    'lpt1',
    'x'.repeat(121),
    'dot.json',
    ' space',
    null,
    42,
    ['a'],
  ]
  const places = ['slug', 'stateSlug', 'citySlug']
  test.each(places)('refuses every hostile %s and writes no document', async (field) => {
    for (const value of hostile) {
      const doc = {
        ...aDocument({ pageType: 'location', stateSlug: 'ohio', citySlug: 'dayton' }),
        [field]: value,
      }
      await expect(publishDoc(doc), String(value)).rejects.toMatchObject({ code: 'VALIDATION_ERROR' })
    }
    const files = await filesIn(join(place.content, '..'))
    expect(files.filter((file) => !file.startsWith(join('content', '_system')))).toEqual([])
    expect((await getMetrics()).failures.validation).toBe(hostile.length)
  })

  test.each([
    undefined,
    null,
    'text',
    [],
    {},
    { ...aDocument(), pageType: 'page' },
    { ...aDocument(), body: ' \n' },
  ])('refuses %o', async (input) => {
    const error = await publishDoc(input).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(PublishError)
    expect(error).toMatchObject({ code: 'VALIDATION_ERROR' })
  })

  test('keeps fields it does not know', async () => {
    await publishDoc({ ...aDocument(), seo: { score: 1 } })
    expect(await readJson(documentPath(aDocument()))).toMatchObject({ seo: { score: 1 } })
  })
})

describe('a document that is published already', () => {
  test('is not written again, nor is any index', async () => {
    await publishDoc(aDocument())
    const files = (await filesIn(place.content)).filter((file) => !file.includes('lock-metrics'))
    const state = () =>
      files.map((file) => [
        file,
        statSync(join(place.content, file)).mtimeMs,
        statSync(join(place.content, file)).ino,
      ])
    const before = state()
    expect(await publishDoc(aDocument())).toMatchObject({ changed: false })
    expect(state()).toEqual(before)
  })

  const losses: Array<[string, () => unknown]> = [
    ['its document', () => rmSync(documentPath(aDocument()))],
    ['its entry', () => saveRebuiltIndex(emptyContentIndex())],
    ['its topic', () => saveTopicIndex([])],
  ]
  test.each(losses)('is completed when %s was lost, and not counted twice', async (_, lose) => {
    await publishDoc(aDocument())
    const entries = (await loadContentIndex()).blogPosts
    await lose()
    expect(await publishDoc(aDocument())).toMatchObject({ changed: true })
    expect(existsSync(documentPath(aDocument()))).toBe(true)
    expect(await getAllPublishedTopics()).toHaveLength(1)
    expect((await loadContentIndex()).blogPosts).toEqual(entries)
    expect((await getMetrics()).summary.totalSuccesses).toBe(1)
    expect(await publishDoc(aDocument())).toMatchObject({ changed: false })
  })

  test('keeps its file when an index is completed', async () => {
    await publishDoc(aDocument())
    const inode = () => statSync(documentPath(aDocument())).ino
    const before = inode()
    await saveTopicIndex([])
    await publishDoc(aDocument())
    expect(inode()).toBe(before)
  })

  test('is not counted again either when the metrics were reset', async () => {
    await publishDoc(aDocument())
    await resetMetrics()
    rmSync(documentPath(aDocument()))
    await publishDoc(aDocument())
    expect((await getMetrics()).summary.totalSuccesses).toBe(0)
  })

  test('keeps its time stamps when its record is put in place again', async () => {
    await publishDoc(aDocument())
    const record = await getRecord('blog::red-oak')
    if (record) await upsertRecord(record)
    expect(await getRecord('blog::red-oak')).toEqual(record)
    await upsertRecord({ ...record, attempts: 3 } as never)
    expect(await getRecord('blog::red-oak')).not.toMatchObject({ lastUpdatedAt: record?.lastUpdatedAt })
  })
})

describe('SLUG_TOPICKEY_CONFLICT', () => {
  const location = (slug: string, citySlug: string, id = `${slug} in ${citySlug}`) =>
    aDocument({ id, slug, pageType: 'location', stateSlug: 'ohio', citySlug })

  test('another document with the same address', async () => {
    await publishDoc(aDocument({ id: 'first', title: 'The first' }))
    await expect(publishDoc(aDocument({ id: 'second' }))).rejects.toMatchObject({
      code: 'SLUG_TOPICKEY_CONFLICT',
    })
    expect((await readJson(documentPath(aDocument()))).title).toBe('The first')
    expect(await getRecord('blog::red-oak')).toMatchObject({ status: 'published', documentId: 'first' })
    expect(await getRecord('blog::red-oak')).not.toHaveProperty('lastError')
  })

  test('another document with the same address, when the topic index was lost', async () => {
    await publishDoc(aDocument({ id: 'first', title: 'The first' }))
    await saveTopicIndex([])
    await expect(publishDoc(aDocument({ id: 'second' }))).rejects.toMatchObject({
      code: 'SLUG_TOPICKEY_CONFLICT',
    })
    expect((await readJson(documentPath(aDocument()))).title).toBe('The first')
    await publishDoc(aDocument({ id: 'first', title: 'The first' }))
  })

  test('another document that came to its place by another way', async () => {
    const doc = aDocument({ id: 'first' })
    await publishDoc(doc)
    const theirs = JSON.stringify(aDocument({ id: 'second', title: 'By hand' }))
    writeFileSync(documentPath(doc), theirs)
    for (const title of [doc.title, 'A new version']) {
      await expect(publishDoc({ ...doc, title })).rejects.toMatchObject({
        code: 'SLUG_TOPICKEY_CONFLICT',
        message: expect.stringContaining('is taken by document second'),
      })
      expect(readFileSync(documentPath(doc), 'utf8')).toBe(theirs)
    }
  })

  test.each([
    ['with bytes that are no UTF-8', [0xff], true],
    ['with U+FFFD', Buffer.from('\ufffd'), false],
  ])('what is there %s is a document or not', async (_, bytes, isReplaced) => {
    const doc = aDocument({ id: 'first' })
    await publishDoc(doc)
    const [before, after] = JSON.stringify(aDocument({ id: 'second', title: 'By | hand' })).split('|')
    const parts = [Buffer.from(`${before}`), Buffer.from(bytes), Buffer.from(`${after}`)]
    writeFileSync(documentPath(doc), Buffer.concat(parts))
    const published = publishDoc({ ...doc, title: 'A new version' })
    if (isReplaced) await expect(published).resolves.toMatchObject({ changed: true })
    else await expect(published).rejects.toMatchObject({ code: 'SLUG_TOPICKEY_CONFLICT' })
  })

  test('another topic with the same slug, and the same topic with another slug', async () => {
    await publishDoc(location('main', 'dayton'))
    await expect(publishDoc(location('main', 'akron'))).rejects.toMatchObject({
      code: 'SLUG_TOPICKEY_CONFLICT',
    })
    await expect(publishDoc(location('other', 'dayton'))).rejects.toMatchObject({
      code: 'SLUG_TOPICKEY_CONFLICT',
    })
    expect(await loadTopicIndex()).toHaveLength(1)
  })

  test('the same slug on another kind of page is none', async () => {
    await publishDoc(aDocument({ id: 'post' }))
    await publishDoc(aDocument({ id: 'tree', pageType: 'species' }))
    expect(await getAllPublishedTopics()).toHaveLength(2)
  })

  test('of racing processes exactly one wins, and the file is its', async () => {
    const rivals = ['a', 'b', 'c', 'd'].map((id) => aDocument({ id, title: `By ${id}` }))
    const runs = await Promise.all(rivals.map((doc) => cli(['publish', inputFolder(place, doc.id, [doc])])))
    expect(runs.map(({ code }) => code).sort()).toEqual([0, 1, 1, 1])
    const winner = rivals[runs.findIndex(({ code }) => code === 0)]
    expect(await readJson(documentPath(aDocument()))).toEqual(winner)
    expect((await loadContentIndex()).blogPosts).toMatchObject([{ title: winner?.title }])
    expect(await loadTopicIndex()).toMatchObject([{ status: 'published', documentId: winner?.id }])
    for (const { code, stderr } of runs) if (code === 1) expect(stderr).toContain('[SLUG_TOPICKEY_CONFLICT]')
  })
})

describe('errors', () => {
  test('of the system keep their cause, and the earlier version stays published', async () => {
    await publishDoc(aDocument())
    const path = documentPath(aDocument({ slug: 'white-oak' }))
    mkdirSync(path) // a folder where the document should go
    const error = await publishDoc(aDocument({ slug: 'white-oak' })).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ name: 'PublishError', code: 'PUBLISH_FAILED', cause: { code: 'EISDIR' } })
    expect(await getRecord('blog::white-oak')).toMatchObject({ status: 'failed', attempts: 1 })
    expect((await getMetrics()).failures.write).toBe(1)
    expect(await getAllPublishedTopics()).toMatchObject([{ slug: 'red-oak' }])
  })

  test('of an update are INVALID_INDEX_UPDATE, and the index stays', async () => {
    await publishDoc(aDocument())
    for (const index of [undefined, 7, 'text', {}, [{ no: 'key' }]]) {
      await expect(saveTopicIndex(index as never)).rejects.toMatchObject({ code: 'INVALID_INDEX_UPDATE' })
    }
    expect(await loadTopicIndex()).toHaveLength(1)
  })
})

describe('metrics', () => {
  test('keep the newest hundred publishes, newest first', async () => {
    for (let i = 0; i < 103; i++)
      await recordPublishAttempt({ outcome: 'success', durationMs: i, slug: `s-${i}` })
    const { summary, recentPublishes } = await getMetrics()
    expect(recentPublishes).toHaveLength(100)
    expect(recentPublishes[0]?.slug).toBe('s-102')
    expect(summary.totalSuccesses).toBe(103)
    expect(summary.averagePublishTimeMs).toBeCloseTo(51)
  })

  test('start over when told to', async () => {
    await recordPublishAttempt({ outcome: 'quarantined', durationMs: 1 })
    expect((await getMetrics()).summary).toMatchObject({ totalAttempts: 1, totalQuarantined: 1 })
    await resetMetrics()
    expect((await getMetrics()).summary.totalAttempts).toBe(0)
    expect(contentRoot()).toBe(place.content)
  })
})
