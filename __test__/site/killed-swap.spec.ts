/** `--atomic`: what happens to the builder decides which site a visitor gets, and nothing else. */

import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { cliBuild, type Death, digests, leftovers, namesIn, putPages, swapIn, useWorkplace } from './support'

const place = useWorkplace()

const swap = (more = {}) => swapIn(place, more)

describe('a builder that is killed', () => {
  const deaths: Death[] = [
    { call: 'atomicDirectory', nth: 1, when: 'before' },
    { call: 'atomicDirectory', nth: 1, when: 'inside' },
    ...[0, 3, 8].map((ms): Death => ({ call: 'atomicDirectory', nth: 1, when: 'during', ms })),
  ]
  test.each(deaths)('$when the swap ($ms): the whole site is old or new', async (die) => {
    putPages(place, 'one')
    await swap()
    const old = digests(place.out)
    putPages(place, 'two')
    const reference = join(place.root, 'reference')
    await swap({ out: reference })
    const run = await cliBuild(place, ['--atomic'], { die })
    expect(run, run.stderr).toMatchObject({ code: null, signal: 'SIGKILL' })
    const found = digests(place.out)
    if (die.when !== 'during') expect(found).toEqual(old)
    else expect([old, digests(reference)]).toContainEqual(found)

    expect(await cliBuild(place, ['--atomic'])).toMatchObject({ code: 0, stderr: '' })
    expect(digests(place.out)).toEqual(digests(reference))
    expect(await leftovers(place)).toEqual([])
    expect(namesIn(place.root).filter((name) => !/^(?:source|out|reference)\//.test(name))).toEqual([])
  })
})
