/** An incremental build makes what has changed, and leaves every other file alone: inode, time and all. */

import { rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { changesBetween, identities } from '../../examples/site/demo/inspect'
import { build, digests, namesIn, putPages, useWorkplace, type Workplace } from './support'

const place = useWorkplace()

/** What a build changes on disk, beside its cache. */
async function changesBy({ out }: Workplace, work: () => Promise<unknown>): Promise<string[]> {
  const before = await identities(out)
  await work()
  return changesBetween(before, await identities(out))
}

const PAGE_3 = ['page-003/index.html', 'page-003/index.json', 'page-003/index.txt']
const LISTS = ['index.html', 'rss.xml', 'sitemap.xml']

test('a build with nothing to do writes nothing, not even its cache', async () => {
  putPages(place, 'one')
  expect(await build(place)).toMatchObject({ pages: 12, rendered: 12, cache: 'missing' })
  const before = statSync(join(place.out, '.site-cache.json')).ino
  const changes = await changesBy(place, async () => {
    expect(await build(place)).toMatchObject({
      pages: 12,
      rendered: 0,
      written: 0,
      removed: 0,
      cache: 'read',
    })
  })
  expect(changes).toEqual([])
  expect(statSync(join(place.out, '.site-cache.json')).ino).toBe(before)
})

test('a changed source changes its page and the lists, and no other file', async () => {
  putPages(place, 'one')
  await build(place)
  const changes = await changesBy(place, async () => {
    place.put('page-003.md', '# Another title\n')
    expect(await build(place)).toMatchObject({ rendered: 1, written: 6 })
  })
  expect(changes).toEqual([...LISTS, ...PAGE_3].sort())
  expect(place.read('index.html')).toContain('Another title')
})

test('pages that a full build makes as they were keep inode and time', async () => {
  putPages(place, 'one')
  await build(place)
  const changes = await changesBy(place, async () => {
    expect(await build(place, { full: true })).toMatchObject({ rendered: 12, written: 0 })
  })
  expect(changes).toEqual([])
})

test('a new page is added and listed', async () => {
  putPages(place, 'one')
  await build(place)
  place.put('guide/new.md', '# Brand new\n')
  expect(await build(place)).toMatchObject({ pages: 13, rendered: 1 })
  expect(place.read('guide/new/index.html')).toContain('Brand new')
  for (const list of LISTS) expect(place.read(list)).toContain('guide/new/')
})

test('the page of a source that is gone goes, with its folders, and is listed no more', async () => {
  putPages(place, 'one')
  place.put('deep/er/page.md', '# Deep\n')
  place.put('deep/picture.svg', '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h1"/></svg>')
  await build(place)
  rmSync(join(place.source, 'deep'), { recursive: true })
  writeFileSync(join(place.out, 'CNAME'), 'not ours')
  expect(await build(place)).toMatchObject({ pages: 12, rendered: 0, removed: 4 })
  expect(namesIn(place.out).filter((name) => name.startsWith('deep'))).toEqual([])
  expect(() => statSync(join(place.out, 'deep'))).toThrow('ENOENT')
  for (const list of LISTS) expect(place.read(list)).not.toContain('deep')
  expect(place.read('CNAME')).toBe('not ours')
})

test('a draft is no page, and becomes one', async () => {
  place.put('idea.md', '---\ndraft: true\n---\n# Idea\n')
  expect(await build(place)).toMatchObject({ pages: 0 })
  expect(await build(place)).toMatchObject({ pages: 0, rendered: 0 })
  place.put('idea.md', '# Idea\n')
  expect(await build(place)).toMatchObject({ pages: 1, rendered: 1 })
  place.put('idea.md', '---\ndraft: true\n---\n# Idea\n')
  expect(await build(place)).toMatchObject({ pages: 0, removed: 3 })
})

describe('the cache only saves work', () => {
  const damages: Array<[string, string | undefined]> = [
    ['missing', undefined],
    ['empty', ''],
    ['half', '{"version": 1, "entries": ['],
    ['JSON of something else', '[1, 2, 3]'],
    ['of another version', '{"version": 2, "entries": [], "files": []}'],
    ['of the wrong shape', '{"version": 1, "entries": [{"source": 7}], "files": []}'],
  ]
  test.each(damages)(
    '%s: everything is built, and nothing is rewritten that need not be',
    async (_, cache) => {
      putPages(place, 'one')
      await build(place)
      const path = join(place.out, '.site-cache.json')
      rmSync(path)
      if (cache !== undefined) writeFileSync(path, cache)
      const changes = await changesBy(place, async () => {
        const state = cache === undefined ? 'missing' : 'damaged'
        expect(await build(place)).toMatchObject({ pages: 12, rendered: 12, written: 0, cache: state })
      })
      expect(changes).toEqual([])
      expect(await build(place)).toMatchObject({ rendered: 0, cache: 'read' })
    },
  )

  test('a file of the site that was removed or cut off comes back', async () => {
    putPages(place, 'one')
    await build(place)
    const before = digests(place.out)
    rmSync(join(place.out, 'page-003/index.json'))
    writeFileSync(join(place.out, 'page-004/index.html'), '<!doc')
    const [asset] = namesIn(place.out).filter((name) => name.startsWith('assets/style'))
    rmSync(join(place.out, asset as string))
    expect(await build(place)).toMatchObject({ rendered: 2, written: 3 })
    expect(digests(place.out)).toEqual(before)
  })

  test('another title or address of the site is in every page', async () => {
    putPages(place, 'one')
    await build(place)
    expect(await build(place, { title: 'Renamed' })).toMatchObject({ rendered: 12 })
    expect(place.read('page-003/index.html')).toContain('Renamed')
    expect(await build(place, { title: 'Renamed', url: 'https://example.com/' })).toMatchObject({
      rendered: 12,
    })
    expect(place.read('page-003/index.json')).toContain('https://example.com/page-003/')
  })
})

test('incremental builds end where a build from nothing does', async () => {
  putPages(place, 'one')
  await build(place)
  place.put('page-003.md', '# Other words\n')
  rmSync(join(place.source, 'page-005.md'))
  place.put('guide/README.md', '---\ntitle: "The guide"\n---\nSee [page 4](../page-004.md).\n')
  utimesSync(join(place.source, 'page-007.md'), 1, 1)
  await build(place)
  const incremental = digests(place.out)
  rmSync(place.out, { recursive: true })
  await build(place)
  expect(digests(place.out)).toEqual(incremental)
})
