/** The way back: a content index restored from its backup or from the documents lists every one of them. */

import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  rebuildAndSaveIndex,
  rebuildIndexFromFiles,
  saveRebuiltIndex,
} from '../../examples/pipeline/lib/content/index-rebuild'
import {
  backupContentIndex,
  loadBackupIndex,
  recoverIndex,
} from '../../examples/pipeline/lib/content/index-recovery'
import { loadContentIndex, publishDoc } from '../../examples/pipeline/scripts/pipeline/publisher'
import { loadTopicIndex } from '../../examples/pipeline/scripts/pipeline/topicIndex'
import { aDocument, cli, FIXTURES, filesIn, useWorkplace } from './support'

const place = useWorkplace()

const slugs = ['a', 'b', 'c']

async function publishAll() {
  for (const slug of slugs) await publishDoc(aDocument({ slug }))
  await publishDoc(aDocument({ slug: 'here', pageType: 'location', stateSlug: 'ohio', citySlug: 'dayton' }))
  return loadContentIndex()
}

const withoutStamp = ({ lastUpdated: _, ...index }: Awaited<ReturnType<typeof loadContentIndex>>) => index

test('each change keeps the version before it as the backup', async () => {
  await publishDoc(aDocument({ slug: 'a' }))
  expect(await loadBackupIndex()).toBeNull()
  const first = await loadContentIndex()
  await publishDoc(aDocument({ slug: 'b' }))
  expect(await loadBackupIndex()).toEqual(first)
  expect(await backupContentIndex()).toBe(true)
  expect(await loadBackupIndex()).toEqual(await loadContentIndex())
})

test('an index in order is left alone', async () => {
  await publishAll()
  const before = statSync(place.system('contentIndex.json')).ino
  expect(await recoverIndex()).toEqual({ source: 'intact' })
  expect(statSync(place.system('contentIndex.json')).ino).toBe(before)
})

test('a broken index comes back from the backup, with the record that the backup lacks', async () => {
  const index = await publishAll()
  writeFileSync(place.system('contentIndex.json'), '{"half": ')
  const recovery = await recoverIndex()
  expect(recovery).toMatchObject({ source: 'backup', stats: { documents: 4, skipped: [] } })
  expect(withoutStamp(await loadContentIndex())).toEqual(withoutStamp(index))
  expect(readFileSync(place.system(recovery.brokenCopy as string), 'utf8')).toBe('{"half": ')
})

test('an index that lacks a document gets it', async () => {
  const index = await publishAll()
  await saveRebuiltIndex({ ...index, blogPosts: index.blogPosts.slice(1) })
  expect(await recoverIndex()).toMatchObject({ source: 'files' })
  expect(withoutStamp(await loadContentIndex())).toEqual(withoutStamp(index))
})

test.each(['broken', 'missing'])('with a %s backup it comes back from the documents', async (state) => {
  const index = await publishAll()
  writeFileSync(place.system('contentIndex.json'), '')
  rmSync(place.system('contentIndex.json.backup'))
  if (state === 'broken') writeFileSync(place.system('contentIndex.json.backup'), '{')
  expect(await recoverIndex()).toMatchObject({ source: 'files' })
  expect(withoutStamp(await loadContentIndex())).toEqual(withoutStamp(index))
})

test('a missing index comes back, too', async () => {
  const index = await publishAll()
  rmSync(place.system('contentIndex.json'))
  expect(await recoverIndex()).toMatchObject({ source: 'backup' })
  expect(withoutStamp(await loadContentIndex())).toEqual(withoutStamp(index))
})

const moments = ['before', 'inside 1', ...[0, 2, 4, 8, 16].map((ms) => `during ${ms}`)]
const deaths = ['broken', 'missing'].flatMap((state) => moments.map((when) => [state, when] as const))
test.each(deaths)('a recovery of a %s topic index that is killed %s is completed', async (state, when) => {
  await publishAll()
  const before = (await loadTopicIndex()).map(({ topicKey }) => topicKey)
  if (state === 'broken') writeFileSync(place.system('topicIndex.json'), '[{"half')
  else rmSync(place.system('topicIndex.json'))
  const dying = {
    preload: [join(FIXTURES, 'die-at-call.ts')],
    // The first lock is that of the content index.
    env: { DIE_AT: '2', DIE_WHEN: when },
  }
  expect(await cli(['recover-index'], dying)).toMatchObject({ signal: 'SIGKILL' })
  expect(await cli(['recover-index'])).toMatchObject({ code: 0 })
  const after = (await loadTopicIndex()).map(({ topicKey, status }) => [topicKey, status])
  expect(after.sort()).toEqual(before.sort().map((key) => [key, 'published']))
})

test('recoveries and publishers at the same time lose nothing', async () => {
  await publishAll()
  writeFileSync(place.system('contentIndex.json'), 'broken')
  const publishing = ['d', 'e', 'f'].map(async (slug) => {
    const doc = aDocument({ slug })
    while (
      !(await publishDoc(doc).then(
        () => true,
        () => false,
      ))
    );
  })
  await Promise.all([recoverIndex(), recoverIndex(), recoverIndex(), ...publishing])
  expect((await loadContentIndex()).blogPosts.map(({ slug }) => slug)).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
})

test('rebuilding an index that is in order changes no byte of it', async () => {
  await publishAll()
  const before = readFileSync(place.system('contentIndex.json'))
  await rebuildAndSaveIndex()
  expect(readFileSync(place.system('contentIndex.json'))).toEqual(before)
})

test('a rebuilt index lists what is on disk, and what is no document is reported and left', async () => {
  const index = await publishAll()
  await saveRebuiltIndex({ ...index, blogPosts: [] })
  writeFileSync(join(place.content, 'blog', 'torn.json'), '{"id": ')
  writeFileSync(join(place.content, 'blog', 'elsewhere.json'), JSON.stringify(aDocument({ slug: 'a' })))
  const { stats } = await rebuildAndSaveIndex()
  expect(withoutStamp(await loadContentIndex())).toEqual(withoutStamp(index))
  expect(stats.documents).toBe(4)
  expect(stats.skipped.map(({ file }) => file)).toEqual(['blog/elsewhere.json', 'blog/torn.json'])
  expect(await filesIn(place.content)).toContain('blog/torn.json')
  expect((await rebuildIndexFromFiles()).index.blogPosts).toHaveLength(3)
})
