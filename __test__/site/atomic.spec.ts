/** `--atomic`: a visitor gets the pages of one build, and no other files are swapped away. */

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { siteFiles } from '../../examples/site/demo/inspect'
import { visit } from '../../examples/site/demo/reader'
import { isHere, tmpfs } from '../helpers/needs'
import { socketAt } from '../helpers/socket'
import { plant, treeOf } from '../helpers/trees'
import {
  build,
  cliBuild,
  contents,
  digests,
  leftovers,
  namesIn,
  putPages,
  swapIn,
  useWorkplace,
} from './support'

const place = useWorkplace()

const swap = (more = {}) => swapIn(place, more)

const buildsIn = (folder: string) =>
  new Set(
    [...contents(folder)]
      .filter(([name]) => name.endsWith('.html'))
      .map(([, text]) => /name="build" content="(\w+)"/.exec(text)?.[1]),
  )

test('all pages carry one build id, which is that of their sources', async () => {
  putPages(place, 'one')
  const { build: first, written } = await swap()
  expect(written).toBe(12 * 3 + 4 + 3)
  expect(buildsIn(place.out)).toEqual(new Set([first]))
  expect(JSON.parse(place.read('page-003/index.json')).build).toBe(first)
  const before = digests(place.out)
  expect((await swap()).build).toBe(first)
  expect(digests(place.out)).toEqual(before)
  putPages(place, 'two')
  const { build: second } = await swap()
  expect(second).not.toBe(first)
  expect(buildsIn(place.out)).toEqual(new Set([second]))
  expect(await leftovers(place)).toEqual([])
})

test('visitors of a site that is swapped again and again find whole files, and pages of one build', async () => {
  putPages(place, 'version 0', 40)
  await swap()
  const files = await siteFiles(place.out)
  const visitor = visit(place.out, files, { stamped: true })
  for (let version = 1; version <= 8; version++) {
    putPages(place, `version ${version}`, 40)
    await swap()
  }
  await visitor.pass()
  const { reads, looks, ...found } = await visitor.stop()
  expect(found).toEqual({ torn: 0, mixed: 0, faults: [] })
  expect(reads).toBeGreaterThan(files.length)
  expect(looks).toBeGreaterThan(2)
})

test('--keep-previous keeps the old site', async () => {
  putPages(place, 'one')
  await swap()
  const old = digests(place.out)
  putPages(place, 'two')
  const run = await cliBuild(place, ['--atomic', '--keep-previous'])
  expect(run).toMatchObject({ code: 0, stderr: '' })
  const previous = /^the old site is (.*)$/m.exec(run.stdout)?.[1] as string
  expect(digests(previous)).toEqual(old)
  expect(place.read('page-003/index.html')).toContain('version two')
})

test('an incremental build goes on from a swapped site, and a swap from an incremental one', async () => {
  putPages(place, 'one')
  await swap()
  await build(place)
  expect(buildsIn(place.out)).toEqual(new Set([undefined]))
  expect(await build(place)).toMatchObject({ rendered: 0, written: 0 })
  const { build: id } = await swap()
  expect(buildsIn(place.out)).toEqual(new Set([id]))
})

/** Where nothing depends on how many pages there are. */
const FEW = 4

describe('what is not a site', () => {
  test('is not swapped away', async () => {
    putPages(place, 'one', FEW)
    mkdirSync(place.out)
    writeFileSync(join(place.out, 'thesis.doc'), 'ten years of work')
    const run = await cliBuild(place, ['--atomic'])
    expect(run).toMatchObject({ code: 1, stderr: expect.stringContaining('is not empty and holds no site') })
    expect(readFileSync(join(place.out, 'thesis.doc'), 'utf8')).toBe('ten years of work')
  })

  test.each([[[]], [['--atomic']]])('with %j the sources are never below the site', async (more) => {
    putPages(place, 'one', FEW)
    const run = await cliBuild({ ...place, out: place.root }, more)
    expect(run.code).toBe(1)
    expect(existsSync(join(place.source, 'page-003.md'))).toBe(true)
  })

  test('is carried over when it lies in the folder of a site', async () => {
    putPages(place, 'one', FEW)
    const foreign = {
      CNAME: 'docs.example.org',
      '.git/config': '[core]',
      '.git/refs/tags/': '',
      'page-003/notes.txt': 'mine',
      '.well-known/link': '->../CNAME',
    }
    for (const more of [[], ['--atomic'], ['--atomic'], ['--atomic', '--keep-previous']]) {
      if (more.length === 0) plant(place.out, foreign)
      else rmSync(join(place.source, 'page-002.md'), { force: true })
      expect(await cliBuild(place, more)).toMatchObject({ code: 0, stderr: '' })
      expect(treeOf(place.out)).toMatchObject(foreign)
    }
    // Pages without a source are not foreign.
    expect(existsSync(join(place.out, 'page-002'))).toBe(false)
  })

  test('is carried over into a folder that only the new site makes', async () => {
    putPages(place, 'one', FEW)
    await build(place)
    plant(place.out, { 'docs/mine.pdf': 'mine', 'docs/old/a.txt': 'a', 'docs/empty/': '' })
    place.put('docs/intro.md', '# Intro\n')
    place.put('docs/old.md', '# Old\n')
    expect(await cliBuild(place, ['--atomic'])).toMatchObject({ code: 0, stderr: '' })
    expect(treeOf(join(place.out, 'docs'))).toMatchObject({
      'mine.pdf': 'mine',
      'old/a.txt': 'a',
      'empty/': '',
      'intro/index.html': expect.any(String),
      'old/index.html': expect.any(String),
    })
  })

  test.each([
    ['a file where the new site has a folder', { docs: 'mine' }, 'docs'],
    ['a folder where the new site has a file', { 'docs/intro/index.html/': '' }, 'docs/intro/index.html'],
    ['a link where the new site has a folder', { docs: '->elsewhere' }, 'docs'],
  ])('is named when it is %s, and nothing is swapped', async (_, foreign, name) => {
    putPages(place, 'one', FEW)
    await build(place)
    plant(place.out, foreign)
    place.put('docs/intro.md', '# Intro\n')
    const run = await cliBuild(place, ['--atomic'])
    expect(run).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`${name} in the old site is your own`),
    })
    expect(treeOf(place.out)).toMatchObject(foreign)
  })

  test('is carried over when it is hidden and called a lock, but not what a killed build leaves', async () => {
    putPages(place, 'one', FEW)
    await build(place)
    plant(place.out, {
      '.hugo_build.lock': 'mine',
      'page-003/.notes.lock': 'mine',
      '..site-cache.json.lock': '',
      '.a.abcdefghij09.atomic-tmp': '',
    })
    expect(await cliBuild(place, ['--atomic'])).toMatchObject({ code: 0, stderr: '' })
    const hidden = namesIn(place.out).filter((name) => /lock$|tmp$/.test(name))
    expect(hidden.sort()).toEqual(['.hugo_build.lock', 'page-003/.notes.lock'])
  })

  test.skipIf(process.platform === 'win32')('is left out when it is a socket', async () => {
    putPages(place, 'one', FEW)
    await build(place)
    plant(place.out, { 'run/notes.txt': 'mine' })
    const servers = await Promise.all(['s', 'run/s'].map((name) => socketAt(join(place.out, name))))
    expect(await cliBuild(place, ['--atomic'])).toMatchObject({ code: 0, stderr: '' })
    for (const server of servers) server.close()
    expect(treeOf(join(place.out, 'run'))).toEqual({ 'notes.txt': 'mine' })
  })

  test('is named when the cache is lost, and nothing is swapped', async () => {
    putPages(place, 'one', FEW)
    await build(place)
    rmSync(join(place.out, '.site-cache.json'))
    await swap()
    rmSync(join(place.out, '.site-cache.json'))
    plant(place.out, { CNAME: 'docs.example.org' })
    const run = await cliBuild(place, ['--atomic'])
    expect(run).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is lost: CNAME. Build once without'),
    })
    expect(place.read('CNAME')).toBe('docs.example.org')
    // As it says.
    await build(place)
    await swap()
    expect(place.read('CNAME')).toBe('docs.example.org')
  })

  test.skipIf(!isHere('root that may mount'))(
    'is a mount point: the error says what to do (needs root that may mount)',
    async () => {
      putPages(place, 'one', FEW)
      mkdirSync(place.out)
      execFileSync('mount', [...tmpfs('4m'), place.out])
      const run = await cliBuild(place, ['--atomic'])
      execFileSync('umount', ['-l', place.out])
      expect(run).toMatchObject({ code: 1, stderr: expect.stringContaining('use a directory below it') })
    },
  )

  test('is replaced when it is empty', async () => {
    putPages(place, 'one', FEW)
    mkdirSync(place.out)
    await swap()
    expect(buildsIn(place.out).size).toBe(1)
  })

  test('a site below its sources is no source', async () => {
    putPages(place, 'one', FEW)
    place.put('picture.svg', '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h1"/></svg>')
    const inside = { ...place, out: join(place.source, 'public') }
    const expectNone = () => expect(namesIn(inside.out).filter((name) => name.includes('public'))).toEqual([])
    await build(inside)
    await swapIn(inside)
    expectNone()
    // The old site that is kept is none either: the command line knows where it is.
    for (const more of [['--atomic', '--keep-previous'], [], ['--atomic']]) {
      expect(await cliBuild(inside, more)).toMatchObject({ code: 0 })
      expectNone()
    }
  })
})
