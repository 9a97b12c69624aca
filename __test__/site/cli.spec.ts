/** The command line: what it prints, what it returns, and that a user's mistake is a sentence and not a stack. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { cli, cliBuild, namesIn, putPages, useWorkplace } from './support'

const place = useWorkplace()

const LOGO = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><path d="M0 0h9v9"/></svg>'

test('--help tells the options and exit codes', async () => {
  const run = await cli(['--help'])
  expect(run.code).toBe(0)
  for (const word of ['build', '--atomic', '--keep-previous', '--no-flush', '--full', 'Exit codes']) {
    expect(run.stdout).toContain(word)
  }
})

test.each([
  [[], /a command is needed/],
  [['bulid'], /no command "bulid"/],
  [['build'], /two folders, SRC and OUT/],
  [['build', 'a', 'b', 'c'], /two folders/],
  [['build', 'a', 'b', '--keep-previous'], /needs --atomic/],
  [['build', 'a', 'b', '--url', 'example'], /--url/],
  [['build', 'a', 'b', '--url', 'javascript:alert(1)'], /--url/],
  [['build', 'a', 'b', '--title', ''], /--title/],
  [['--colour'], /--colour/],
])('wrong usage %j exits with 2 and says why', async (args, message) => {
  const run = await cli(args)
  expect(run).toMatchObject({ code: 2, stdout: '' })
  expect(run.stderr).toMatch(message)
  expect(run.stderr).toMatch(/Try: site --help\n$/)
})

test('a log gets a line at every quarter, and what was done', async () => {
  putPages(place, 'one', 8)
  const run = await cliBuild(place)
  expect(run).toMatchObject({ code: 0, stderr: '' })
  expect(run.stdout).toMatch(
    /^2 of 8 pages\n4 of 8 pages\n6 of 8 pages\n8 of 8 pages\n8 pages: 8 rendered, 31 files written, 0 unchanged in [\d.]+ s\n$/,
  )
  place.put('page-003.md', '# Changed\n')
  expect((await cliBuild(place, ['--no-flush'])).stdout).toMatch(
    /\n8 pages: 1 rendered, 6 files written, 0 unchanged in /,
  )
  expect((await cliBuild(place, ['--full'])).stdout).toMatch(
    /\n8 pages: 8 rendered, 0 files written, 31 unchanged in /,
  )
  writeFileSync(join(place.out, '.site-cache.json'), '{')
  const again = await cliBuild(place)
  expect(again).toMatchObject({ code: 0, stderr: expect.stringContaining('cache was damaged') })
})

test('the title is the name of the folder, unless one is given', async () => {
  putPages(place, 'one', 1)
  await cli(['build', place.source, place.out])
  expect(place.read('index.html')).toContain('<title>source</title>')
  expect(place.read('sitemap.xml')).toContain('<loc>http://localhost:8080/page-000/</loc>')
  await cli(['build', place.source, place.out, '--title', 'R&D', '--url', 'https://example.org/x'])
  expect(place.read('index.html')).toContain('<title>R&amp;D</title>')
  expect(place.read('sitemap.xml')).toContain('<loc>https://example.org/x/page-000/</loc>')
})

test.each([
  ['a folder that is not there', 'nowhere', /^site: ENOENT: .*nowhere.* \[ENOENT\]\n$/],
  ['a file', 'source/page-000.md', /is not a folder\n$/],
])('%s as SRC is one line on stderr and exit code 1', async (_, source, message) => {
  putPages(place, 'one', 1)
  const run = await cli(['build', join(place.root, source), place.out])
  expect(run.code).toBe(1)
  expect(run.stderr).toMatch(message)
  expect(namesIn(place.root)).toEqual(['source/page-000.md'])
})

test('sources that cannot be used are named, each on its line', async () => {
  putPages(place, 'one', 1)
  place.put('a.md', '---\ntitle: [\n---\n')
  place.put('b.md', '---\ndate: soon\n---\n')
  const run = await cliBuild(place)
  expect(run.code).toBe(1)
  expect(run.stderr).toMatch(
    /^site: nothing was written, because some sources cannot be used\na\.md: .*\nb\.md: .*\n$/,
  )
})

test.each([
  [
    'without a logo',
    { 'style.css': '', 'site.js': '' },
    /a theme needs style\.css, site\.js, logo\.svg: ENOENT/,
  ],
  ['with a script that is none', { 'style.css': '', 'site.js': 'let let', 'logo.svg': LOGO }, /site\.js: /],
])('a theme %s is named', async (_, files, message) => {
  putPages(place, 'one', 1)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(place.root, name), text)
  const run = await cliBuild(place, ['--theme', place.root])
  expect(run).toMatchObject({ code: 1 })
  expect(run.stderr).toMatch(message)
  expect(run.stderr).not.toMatch(/^ +at /m)
})
