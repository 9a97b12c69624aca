/** The build cache and the pid file: a builder is killed while it writes them. */

import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { changedByTheDying } from './dying'
import { build, cliBuild, namesIn, putPages, useWorkplace } from './support'

const place = useWorkplace()

describe('the build cache', () => {
  test.each([
    [1, 'inside', 'announcing what is to come'],
    [2, 'before', 'forgetting what was removed'],
    [2, 'during', 'forgetting what was removed'],
  ] as const)('update %i killed %s %s: the next build makes up for it', async (nth, when, _) => {
    const changed = await changedByTheDying(place, { call: 'atomicIndexUpdate', nth, when })
    expect(changed.includes('rss.xml')).toBe(nth > 1)
    expect(() => JSON.parse(readFileSync(join(place.out, '.site-cache.json'), 'utf8'))).not.toThrow()
  })
})

test('a page of a killed builder whose source is gone goes with the next build', async () => {
  putPages(place, 'one')
  await build(place)
  place.put('new.md', '# New\n')
  expect(await cliBuild(place)).toMatchObject({ code: 0 })
  rmSync(join(place.source, 'page-003.md'))
  place.put('page-004.md', '# Changed\n')
  const die = { call: 'atomicIndexUpdate', nth: 1, when: 'before' } as const
  expect(await cliBuild(place, [], { die })).toMatchObject({ signal: 'SIGKILL' })
  expect(namesIn(place.out)).toContain('new/index.html')
  rmSync(join(place.source, 'new.md'))
  expect(await build(place)).toMatchObject({ pages: 11, removed: 6 })
  expect(namesIn(place.out).filter((name) => name.startsWith('new'))).toEqual([])
})

test('the pid file: killed while it is written, the next builder goes on', async () => {
  expect(await changedByTheDying(place, { call: 'atomicWrite', nth: 1, when: 'during' })).toEqual([])
})
