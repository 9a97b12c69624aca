/** Pages with their JSON and text outputs, assets and the front page: a builder is killed while it writes them. */

import { describe, expect, test } from 'vitest'
import { changedByTheDying } from './dying'
import { useWorkplace } from './support'

const place = useWorkplace()

const isPage = (name: string) => /^(?:page|only)-.*\/index\.(?:html|json|txt)$/.test(name)

describe('pages, with their JSON and text outputs', () => {
  // Three files a page: within the first page's, and within a later one's.
  test.each([1, 20])('killed when %i files were handed over: not one has changed', async (some) => {
    const changed = await changedByTheDying(place, { call: 'atomicWriteAll', nth: 2, when: 'inside', some })
    expect(changed.filter(isPage)).toEqual([])
    expect(changed.filter((name) => name.startsWith('assets/'))).toHaveLength(2)
  })

  test.each([0, 5])('killed %i ms after the last was handed over: each is old or new', async (ms) => {
    const changed = await changedByTheDying(place, { call: 'atomicWriteAll', nth: 2, when: 'during', ms })
    expect(changed).not.toContain('sitemap.xml')
  })
})

describe('assets: stylesheet, script and image', () => {
  test.each([
    { when: 'inside', some: 1 },
    { when: 'during', ms: 1 },
  ] as const)('killed $when writing them: pages have theirs', async (death) => {
    const changed = await changedByTheDying(place, { call: 'atomicWriteAll', nth: 1, ...death })
    expect(changed.filter(isPage)).toEqual([])
  })
})

test('the front page: killed while it is written, it is old or new and all it lists is there', async () => {
  const changed = await changedByTheDying(place, { call: 'atomicWrite', nth: 2, when: 'during', ms: 1 })
  expect(changed).toContain('page-003/index.html')
})
