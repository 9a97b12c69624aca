/** Pages with the lists of them, and assets: a builder is killed while it writes them. */

import { describe, expect, test } from 'vitest'
import { changedByTheDying } from './dying'
import { useWorkplace } from './support'

const place = useWorkplace()

const isPage = (name: string) => /^(?:page|only)-.*\/index\.(?:html|json|txt)$/.test(name)
const isList = (name: string) => ['index.html', 'sitemap.xml', 'rss.xml'].includes(name)

describe('pages, with the lists of them', () => {
  test.each(['before', 'inside'] as const)('killed %s the transaction: not one has changed', async (when) => {
    const changed = await changedByTheDying(place, { call: 'atomicTransaction', nth: 1, when })
    expect(changed.filter((name) => isPage(name) || isList(name))).toEqual([])
    expect(changed.filter((name) => name.startsWith('assets/'))).toHaveLength(2)
  })

  test.each([0, 20, 100])('killed %i ms after it began: all are new, or none is', async (ms) => {
    const changed = await changedByTheDying(place, { call: 'atomicTransaction', nth: 1, when: 'during', ms })
    const [pages, lists] = [changed.filter(isPage), changed.filter(isList)]
    expect([0, 3]).toContain(lists.length)
    expect(pages.length > 0).toBe(lists.length > 0)
    // The pages of both versions, and one of a version each.
    if (pages.length > 0) expect(pages).toHaveLength(3 * 13)
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
