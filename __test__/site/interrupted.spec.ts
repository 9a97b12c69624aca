/** Ctrl-C and kill -9: the builder ends in order, or not; what was there is there, and nothing else for long. */

import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { siteFiles } from '../../examples/site/demo/inspect'
import { visitOnce } from '../../examples/site/demo/reader'
import {
  build,
  buildWords,
  cliBuild,
  digests,
  leftovers,
  namesIn,
  putPages,
  start,
  useWorkplace,
} from './support'

const place = useWorkplace()

const PAGES = 20

/** A builder that gets the signal when it has rendered a quarter of the pages. */
const interrupted = (interrupt: NodeJS.Signals, more: readonly string[] = []) =>
  cliBuild(place, more, { interrupt })

describe('SIGINT', () => {
  test.each([[[]], [['--atomic']]])(
    'with %j: the site is as it was, and nothing else is there',
    async (more) => {
      putPages(place, 'one', PAGES)
      await build(place, { stamp: more.length > 0 })
      const before = digests(place.out)
      putPages(place, 'two', PAGES)
      const run = await interrupted('SIGINT', more)
      expect(run).toMatchObject({
        code: 130,
        signal: null,
        stderr: 'site: interrupted; every file of the site is complete\n',
      })
      expect(digests(place.out)).toEqual(before)
      expect(await leftovers(place)).toEqual([])
    },
  )

  test.each([[[]], [['--atomic']]])(
    'with %j: of a first build nothing is left, not even a folder',
    async (more) => {
      putPages(place, 'one', PAGES)
      expect(await interrupted('SIGINT', more)).toMatchObject({ code: 130 })
      expect(existsSync(place.out)).toBe(false)
      expect(await leftovers(place)).toEqual([])
    },
  )
})

test('SIGTERM ends a build as SIGINT does, with its own exit code', async () => {
  putPages(place, 'one', PAGES)
  expect(await interrupted('SIGTERM')).toMatchObject({ code: 143 })
  expect(namesIn(place.root).filter((name) => !name.startsWith('source'))).toEqual([])
})

test('a build that is aborted beside files of others leaves those', async () => {
  putPages(place, 'one')
  mkdirSync(place.out)
  writeFileSync(join(place.out, 'CNAME'), 'example.org')
  const controller = new AbortController()
  const aborted = build(place, {
    signal: controller.signal,
    onProgress: (done) => done === 6 && controller.abort(),
  })
  await expect(aborted).rejects.toMatchObject({ code: 'ABORT_ERR' })
  expect(namesIn(place.out)).toEqual(['CNAME'])
})

test('a build without its cache that is aborted takes nothing of the site away', async () => {
  putPages(place, 'one')
  await build(place)
  rmSync(join(place.out, '.site-cache.json'))
  const before = digests(place.out)
  putPages(place, 'two')
  const controller = new AbortController()
  const aborted = build(place, {
    signal: controller.signal,
    onProgress: (done) => done === 6 && controller.abort(),
  })
  await expect(aborted).rejects.toMatchObject({ code: 'ABORT_ERR' })
  expect(digests(place.out)).toEqual(before)
})

test('SIGKILL again and again, at any moment: the site is whole, and the last build puts everything right', async () => {
  putPages(place, 'version 0', 60)
  await build(place)
  const files = await siteFiles(place.out)
  for (let round = 1; round <= 3; round++) {
    putPages(place, `version ${round}`, 60)
    const { child, ended } = await start(buildWords(place))
    child.stdout.once('data', () => setTimeout(() => child.kill('SIGKILL'), round * 20))
    expect((await ended).code === 0 || (await ended).signal === 'SIGKILL').toBe(true)
    expect(await visitOnce(place.out, files)).toEqual([])
  }
  expect(await cliBuild(place)).toMatchObject({ code: 0 })
  expect(await leftovers(place)).toEqual([])
  const after = digests(place.out)
  rmSync(place.out, { recursive: true })
  await build(place)
  expect(digests(place.out)).toEqual(after)
})
