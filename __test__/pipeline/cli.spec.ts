/** The command line: what it prints, what it returns, and that a user's mistake is a sentence and not a stack. */

import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { aDocument, cli, inputFolder, readJson, useWorkplace } from './support'

const place = useWorkplace()

test('--help tells the commands, options and exit codes', async () => {
  const run = await cli(['--help'])
  expect(run.code).toBe(0)
  for (const word of ['publish', 'rebuild-index', 'recover-index', 'metrics', '--content', 'Exit codes']) {
    expect(run.stdout).toContain(word)
  }
})

test.each([
  [[], /a command is needed/],
  [['publsh'], /no command "publsh"/],
  [['publish'], /needs files/],
  [['publish', '--jobs', 'many', 'x.json'], /--jobs/],
  [['metrics', 'extra'], /takes no files/],
  [['--colour'], /--colour/],
])('wrong usage %j exits with 2 and says why', async (args, message) => {
  const run = await cli(args)
  expect(run).toMatchObject({ code: 2, stdout: '' })
  expect(run.stderr).toMatch(message)
  expect(run.stderr).not.toMatch(/^ +at /m)
})

test('each document gets a line, and those that fail do not stop the others', async () => {
  const folder = inputFolder(place, 'a', [
    aDocument(),
    { not: 'a document' },
    aDocument({ slug: 'white-oak' }),
  ])
  writeFileSync(join(folder, 'z.json'), '{"half": ')
  const run = await cli(['publish', '--jobs', '1', folder])
  expect(run.code).toBe(1)
  expect(run.stdout).toMatch(
    /^published +\/blog\/red-oak\npublished +\/blog\/white-oak\n2 published, 0 unchanged, 2 failed in /,
  )
  expect(run.stderr).toMatch(
    /^failed +.*0001\.json: .*\[VALIDATION_ERROR\]\nfailed +.*z\.json: .*not valid JSON.*\[VALIDATION_ERROR\]\n$/,
  )
  expect((await cli(['publish', join(folder, '0000.json')])).stdout).toMatch(/^unchanged +\/blog\/red-oak\n/)
})

test('publishes Markdown', async () => {
  mkdirSync(join(place.input, 'notes'))
  const markdown =
    '# On oaks\n\nOaks are trees that live for a very long time.\n\n## How old?\n\nOld.\n\n```\n# no heading?\n```\n'
  writeFileSync(join(place.input, 'notes', 'Red Oak.md'), markdown)
  const run = await cli(['publish', 'notes'], { cwd: place.input })
  expect(run).toMatchObject({ code: 0, stderr: '' })
  expect(await readJson(join(place.content, 'blog', 'notes-red-oak.json'))).toMatchObject({
    title: 'On oaks',
    description: 'Oaks are trees that live for a very long time.',
    headings: [
      { level: 1, text: 'On oaks' },
      { level: 2, text: 'How old?' },
    ],
    faqs: [{ question: 'How old?' }],
    body: markdown,
  })
})

test('publishes Markdown once, from whatever folder it is given', async () => {
  mkdirSync(join(place.input, 'notes'))
  writeFileSync(join(place.input, 'notes', 'oak.md'), '# On oaks\n\nOld.\n')
  await cli(['publish', 'notes/oak.md'], { cwd: place.input })
  const again = await cli(['publish', 'oak.md'], { cwd: join(place.input, 'notes') })
  expect(again).toMatchObject({ code: 0, stdout: expect.stringMatching(/^unchanged +\/blog\/notes-oak\n/) })
  writeFileSync(join(place.input, 'notes', 'oak.md'), '# On old oaks\n\nOld.\n')
  await cli(['publish', place.input], { cwd: '/' })
  expect(readdirSync(join(place.content, 'blog'))).toEqual(['notes-oak.json'])
  expect(await readJson(join(place.content, 'blog', 'notes-oak.json'))).toMatchObject({
    title: 'On old oaks',
  })
})

test('reads front matter, which is no part of the body', async () => {
  const front = '---\ntitle: Oaks\ndescription: All about them.\ndate: 2024-05-06\ndraft: true\n---\n'
  writeFileSync(join(place.input, 'oak.md'), `${front}# On oaks\n\nOld trees.\n`)
  writeFileSync(join(place.input, 'wrong.md'), '---\ndraft: perhaps\n---\n# Wrong\n')
  const run = await cli(['publish', '--jobs', '1', '.'], { cwd: place.input })
  expect(run.stderr).toMatch(/^failed +wrong\.md: front matter: draft .*\[VALIDATION_ERROR\]\n$/)
  expect(await readJson(join(place.content, 'blog', 'oak.json'))).toMatchObject({
    ...{ title: 'Oaks', description: 'All about them.', body: '# On oaks\n\nOld trees.\n' },
    dates: { publishedAt: '2024-05-06T00:00:00.000Z' },
    flags: { draft: true },
  })
})

test('a broken topic index is restored by what the error recommends', async () => {
  const docs = [aDocument(), aDocument({ slug: 'white-oak' })]
  const folder = inputFolder(place, 'a', docs)
  await cli(['publish', folder])
  const topics = await readJson(place.system('topicIndex.json'))
  writeFileSync(place.system('topicIndex.json'), '[{"half')
  const run = await cli(['publish', folder])
  expect(run).toMatchObject({ code: 1, stderr: expect.stringContaining('recover-index') })
  const recovery = await cli(['recover-index'])
  expect(recovery).toMatchObject({ code: 0, stderr: '' })
  expect(recovery.stdout).toMatch(
    /^topicIndex\.json: restored from the documents\nthe broken file is kept as /m,
  )
  const times = { lastPublishedAt: expect.anything(), lastUpdatedAt: expect.anything() }
  expect(await readJson(place.system('topicIndex.json'))).toEqual(
    expect.arrayContaining((topics as object[]).map((topic) => ({ ...topic, ...times }))),
  )
  expect((await cli(['publish', folder])).stdout).toMatch(/2 unchanged/)
  rmSync(place.system('topicIndex.json'))
  await cli(['recover-index'])
  expect((await cli(['publish', folder])).stdout).toMatch(/2 unchanged/)
})

test.each([
  ['a file that is not there', 'nowhere.json', /ENOENT/],
  ['an empty folder', '.', /no \.json or \.md files/],
])('%s is one line on stderr and exit code 1', async (_, path, message) => {
  const run = await cli(['publish', path], { cwd: place.input })
  expect(run.code).toBe(1)
  expect(run.stderr).toMatch(message)
  expect(run.stderr.trim().split('\n')).toHaveLength(1)
})

test('--content is stronger than the environment, and without both it is ./content', async () => {
  const folder = inputFolder(place, 'a', [aDocument()])
  const elsewhere = join(place.input, 'elsewhere')
  await cli(['--content', elsewhere, 'publish', folder])
  expect(await readJson(join(elsewhere, 'blog', 'red-oak.json'))).toEqual(aDocument())
  await cli(['publish', folder], { cwd: place.input, env: { PIPELINE_CONTENT: '' } })
  expect(await readJson(join(place.input, 'content', 'blog', 'red-oak.json'))).toEqual(aDocument())
})

test('a broken index ends the run with the way out', async () => {
  const docs = Array.from({ length: 20 }, (_, n) => aDocument({ slug: `post-${n}` }))
  await cli(['publish', inputFolder(place, 'a', docs)])
  writeFileSync(place.system('contentIndex.json'), '{')
  const run = await cli([
    'publish',
    '--jobs',
    '1',
    inputFolder(
      place,
      'b',
      docs.map((doc) => ({ ...doc, title: 'New' })),
    ),
  ])
  expect(run.code).toBe(1)
  expect(run.stdout).toMatch(/1 failed, 19 not started/)
  expect(run.stderr).toContain('recover-index')
  expect((await cli(['rebuild-index'])).stderr).toContain('[INVALID_JSON]')
  expect((await cli(['recover-index'])).stdout).toMatch(/^restored from the backup and the documents\n/)
})

test('metrics come as text and as JSON', async () => {
  await cli(['publish', inputFolder(place, 'a', [aDocument(), {}])])
  expect((await cli(['metrics'])).stdout).toMatch(/^attempts +2\npublished +1\nfailed +1\n +validation +1\n/)
  const { publishing, locks } = JSON.parse((await cli(['metrics', '--json'])).stdout)
  expect(publishing.summary.totalAttempts).toBe(2)
  expect(publishing).not.toHaveProperty('counted')
  expect(locks.waits.updates).toBeGreaterThan(0)
  expect((await cli(['metrics', '--reset'])).stdout).toMatch(/^attempts +0\n/)
})
