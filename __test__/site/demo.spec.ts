/** The demo is what a newcomer runs first: it must pass on a small scale, and see what is wrong when something is. */

import { spawnSync } from 'node:child_process'
import { readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, expect, test, vi } from 'vitest'
import { copySources } from '../../examples/site/demo/corpus'
import {
  changesBetween,
  differences,
  identities,
  leftoversIn,
  siteFiles,
} from '../../examples/site/demo/inspect'
import { visit, visitOnce } from '../../examples/site/demo/reader'
import { build, namesIn, putPages, useWorkplace } from './support'

const place = useWorkplace()

/** A demo takes seconds, and minutes on a machine that is busy. */
const HANGS_MS = 15 * 60_000
vi.setConfig({ testTimeout: HANGS_MS + 60_000 })
afterAll(() => vi.resetConfig())

test('builds, kills and finds everything whole, and removes what it made', () => {
  const demo = resolve(__dirname, '../../examples/site/demo.ts')
  const args = ['--require', require.resolve('tsx/cjs'), demo, '--limit', '12', '--seconds', '0']
  const env = { ...process.env, TMPDIR: place.root }
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    timeout: HANGS_MS,
    env,
  })
  expect(stderr).toBe('')
  expect(stdout).toMatch(/Every file read was complete, and with --atomic all pages came from one build/)
  expect(status).toBe(0)
  expect(readdirSync(place.root).filter((name) => name.startsWith('site-demo'))).toEqual([])
  expect(tmpdir()).not.toBe(place.root)
})

test('a limit leaves out the large images, but none of a kind, of which a large drawing becomes a plain one', async () => {
  for (const name of ['a.md', 'b.md', 'c.md']) place.put(name, `# ${name}`)
  const bytes = {
    'small.png': 10,
    'other.PNG': 20,
    'large.png': 20_000,
    'large.svg': 20_000,
    'larger.svg': 30_000,
  }
  for (const [name, size] of Object.entries(bytes)) place.put(name, Buffer.alloc(size))
  const copy = join(place.root, 'copy')
  expect(await copySources(place.source, copy, 2)).toEqual(['a.md', 'b.md'])
  expect(readdirSync(copy).sort()).toEqual(['a.md', 'b.md', 'large.svg', 'other.PNG', 'small.png'])
  expect(statSync(join(copy, 'large.svg')).size).toBeLessThan(100)
  await copySources(place.source, copy, 3)
  expect(readdirSync(copy)).toHaveLength(8)
  expect(statSync(join(copy, 'large.svg')).size).toBe(20_000)
})

test('its visitors see a cut off file of every kind, one that is missing, and pages of two builds', async () => {
  putPages(place, 'one')
  place.put('picture.png', Buffer.from(PNG, 'base64'))
  await build(place, { stamp: true })
  const files = await siteFiles(place.out)
  expect(await visitOnce(place.out, files)).toEqual([])

  const sound = visit(place.out, files, { stamped: true })
  await sound.pass()
  expect(await sound.stop()).toMatchObject({ torn: 0, mixed: 0, faults: [] })

  const victims = files.filter((name) => !name.startsWith('page') || name.startsWith('page-003'))
  for (const name of victims) truncateSync(join(place.out, name), 40)
  rmSync(join(place.out, 'page-004/index.html'))
  const faults = await visitOnce(place.out, files)
  expect(faults.map((fault) => fault.split(' ')[0]).sort()).toEqual(
    [...victims, 'page-004/index.html'].sort(),
  )

  await build(place, { stamp: true })
  writeFileSync(
    join(place.out, 'page-005/index.html'),
    place.read('page-005/index.html').replace(/(content=")\w+(">\n<title)/, '$1other$2'),
  )
  const mixed = visit(place.out, files, { stamped: true })
  for (let i = 0; i < 8; i++) await mixed.pass()
  expect((await mixed.stop()).mixed).toBeGreaterThan(0)

  rmSync(join(place.out, 'index.html'))
  const missing = visit(place.out, ['page-006/index.html'], { stamped: true })
  await missing.pass()
  const { torn, faults: missed } = await missing.stop()
  expect(torn).toBeGreaterThan(0)
  expect(missed[0]).toMatch(/^a page ENOENT.*index\.html/)
})

test('its inspection sees what was rewritten, what is unlike, and what was left over', async () => {
  putPages(place, 'one')
  await build(place)
  const before = await identities(place.out)
  const twin = join(place.root, 'twin')
  await build(place, { out: twin })
  expect(await differences(place.out, twin)).toEqual([])
  writeFileSync(join(place.out, 'page-003/index.txt'), 'other')
  expect(changesBetween(before, await identities(place.out))).toEqual(['page-003/index.txt'])
  expect(await differences(place.out, twin)).toEqual(['page-003/index.txt'])
  expect(await leftoversIn(place.root)).toEqual([])
  for (const name of ['.a.0123456789aB.atomic-tmp', '.a.lock', '.out.site.pid'])
    writeFileSync(join(place.root, name), '')
  expect(await leftoversIn(place.root)).toHaveLength(3)
  expect(namesIn(place.root)).toContain('.a.lock')
})

/** A red dot. */
const PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4//8/w38GIAXDIBKE0DHxgljNBAAO9TXL0Y4OHwAAAABJRU5ErkJggg=='
