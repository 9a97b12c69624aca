/** The demo is what a newcomer runs first: it must pass on a small scale, and see what is wrong when something is. */

import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, expect, test, vi } from 'vitest'
import { bundle } from '../../examples/pipeline/demo/bundle'
import { inspect } from '../../examples/pipeline/demo/inspect'
import { takeSnapshot } from '../../examples/pipeline/demo/snapshot'
import { documentPath } from '../../examples/pipeline/lib/content/paths'
import { recordPublishAttempt } from '../../examples/pipeline/scripts/pipeline/metrics'
import { publishDoc } from '../../examples/pipeline/scripts/pipeline/publisher'
import { saveTopicIndex } from '../../examples/pipeline/scripts/pipeline/topicIndex'
import { bundled } from '../helpers/bundle'
import { aDocument, expected, FIXTURES, useWorkplace } from './support'

const place = useWorkplace()

/** A demo takes seconds, and a minute on a machine that is busy. */
const HANGS_MS = 15 * 60_000
vi.setConfig({ testTimeout: HANGS_MS + 60_000 })
afterAll(() => vi.resetConfig())

const DEMO = resolve(__dirname, '../../examples/pipeline/demo.ts')

function demo(limit: number | string, node: readonly string[]) {
  const args = [...node, '--content', place.content, '--limit', String(limit)]
  return spawnSync(process.execPath, args, { encoding: 'utf8', timeout: HANGS_MS })
}

test('publishes, kills, starts again and finds everything; it starts over when kills come too late', () => {
  const modules = ['tsx/cjs', join(FIXTURES, 'late-kill.ts')].map((module) => require.resolve(module))
  const { status, stdout, stderr } = demo(120, [...modules.flatMap((module) => ['--require', module]), DEMO])
  expect(stderr).toBe('')
  const [late = '', ...later] = stdout.split('finished before they could be killed: all start over\n')
  expect(late).toMatch(/^120 documents/)
  const inTime = later.at(-1) ?? ''
  expect(inTime.match(/killed with SIGKILL/g)?.length).toBeGreaterThanOrEqual(10)
  expect(inTime).toMatch(/Nothing lost, nothing torn, nothing left over/)
  expect(status).toBe(0)
})

test.each(['119', 'many'])('--limit %s is refused', async (limit) => {
  const { status, stdout, stderr } = demo(limit, [await bundled(DEMO)])
  expect({ status, stdout, stderr }).toEqual({
    status: 1,
    stdout: '',
    stderr: 'demo: --limit is a number of documents, at least 120\n',
  })
})

test('a program of a folder whatever its name knows that folder', async () => {
  const folder = join(place.content, "a$$b$'c", 'examples')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'own.ts'), 'process.stdout.write(__dirname)')
  const program = await bundle(join(folder, 'own.ts'), place.content)
  expect(spawnSync(process.execPath, [program], { encoding: 'utf8' }).stdout).toBe(folder)
})

test('its snapshot sees a document in some of its files, and one that is counted twice', async () => {
  const docs = ['a', 'b'].map((slug) => aDocument({ slug }))
  const all = docs.map(expected)
  const states = async () => Object.fromEntries((await takeSnapshot(all)).documents)
  await publishDoc(docs[0])
  expect(await takeSnapshot(all)).toMatchObject({ faults: [] })
  expect(await states()).toEqual({ '/blog/a': 'all', '/blog/b': 'none' })

  await publishDoc(docs[1])
  await recordPublishAttempt({ outcome: 'success', durationMs: 1 })
  expect((await takeSnapshot(all)).faults).toEqual([
    '3 successes in publish-metrics, but 2 documents are published',
  ])
  rmSync(documentPath(aDocument({ slug: 'b' })))
  expect(await states()).toEqual({ '/blog/a': 'all', '/blog/b': 'some' })
})

test('its inspection sees a lost record, a torn file, a stranger and a leftover', async () => {
  const docs = ['a', 'b'].map((slug) => aDocument({ slug }))
  for (const doc of docs) await publishDoc(doc)
  const all = docs.map(expected)
  expect(await inspect(all, place.content)).toMatchObject({
    documents: 2,
    lost: 0,
    torn: 0,
    leftovers: 0,
    faults: [],
  })

  await saveTopicIndex([])
  writeFileSync(join(place.content, 'blog', 'a.json'), '{"id": ')
  writeFileSync(join(place.content, 'blog', 'stranger.json'), '{}')
  writeFileSync(join(place.content, 'blog', '.b.json.0123456789aB.atomic-tmp'), '')
  expect(await inspect(all, place.content)).toMatchObject({ lost: 2, torn: 1, leftovers: 2 })
  expect(readdirSync(place.content)).toContain('_system')
})
