/** A disk that fills up: what was there is there, nothing else is, and with room again the next build does the rest. */

import { appendFileSync, existsSync, rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { leftoversIn, siteFiles } from '../../examples/site/demo/inspect'
import { visitOnce } from '../../examples/site/demo/reader'
import { mounted, needs, tmpfs } from '../helpers/needs'
import { build, cliBuild, digests, namesIn, putPages, useWorkplace } from './support'

const place = useWorkplace()

/** Pages of which a disk of 1 MB holds two versions, and such as do not fit: 1.3 MB. */
const FEW = 6
const MANY = 30

/** Takes all room on a disk, but for so many KB. */
function leaveFree(ballast: string, kilobytes: number): void {
  try {
    for (;;) appendFileSync(ballast, Buffer.alloc(4096))
  } catch {
    truncateSync(ballast, Math.max(0, statSync(ballast).size - kilobytes * 1024))
  }
}

/** The cache of a build that failed may know more names than there are. */
function served(disk: string): Map<string, string> {
  return new Map([...digests(disk)].filter(([name]) => !name.endsWith('.site-cache.json')))
}

const onDisk = (disk: string, more: readonly string[]) =>
  cliBuild({ ...place, out: join(disk, 'site') }, more)

for (const more of [[], ['--atomic'], ['--no-flush']]) {
  const how = more.join() || 'incremental'
  needs('root that may mount')(`${how}: the site is as it was, and the room is free again`, () =>
    mounted(join(place.root, 'disk'), tmpfs('1m'), async (disk) => {
      putPages(place, 'one', FEW)
      expect(await onDisk(disk, more)).toMatchObject({ code: 0 })
      const before = served(disk)
      putPages(place, 'two', MANY)
      const run = await onDisk(disk, more)
      expect(run).toMatchObject({ code: 1 })
      expect(run.stderr).toMatch(/^site: ENOSPC: no space left on device, .*\[ENOSPC\]\n$/)
      expect(served(disk)).toEqual(before)
      expect(await leftoversIn(disk)).toEqual([])

      putPages(place, 'three', FEW)
      for (let i = FEW; i < MANY; i++) rmSync(join(place.source, `page-${String(i).padStart(3, '0')}.md`))
      expect(await onDisk(disk, more)).toMatchObject({ code: 0 })
    }),
  )

  needs('root that may mount')(`${how}: of a first build nothing is left`, () =>
    mounted(join(place.root, 'disk'), tmpfs('1m'), async (disk) => {
      putPages(place, 'one', MANY)
      expect(await onDisk(disk, more)).toMatchObject({ code: 1, stderr: expect.stringContaining('ENOSPC') })
      expect(namesIn(disk)).toEqual([])
      expect(existsSync(join(disk, 'site'))).toBe(false)
    }),
  )
}

needs('root that may mount')('with any number of free bytes: every file is old or new', () =>
  mounted(join(place.root, 'disk'), tmpfs('3m'), async (disk) => {
    const out = join(disk, 'site')
    putPages(place, 'one')
    await build(place, { out })
    const ballast = join(disk, 'ballast')
    const files = await siteFiles(out)
    let failures = 0
    for (let free = 0; free <= 1600; free += 80) {
      putPages(place, `with ${free} KB`)
      leaveFree(ballast, free)
      await build(place, { out }).catch((error) => {
        expect(error).toMatchObject({ code: 'ENOSPC' })
        failures += 1
      })
      expect(await visitOnce(out, files)).toEqual([])
      expect(await leftoversIn(disk)).toEqual([])
      rmSync(ballast)
    }
    expect(failures).toBeGreaterThan(3)
    await build(place, { out })
    await build(place)
    expect(digests(out)).toEqual(digests(place.out))
  }),
)
