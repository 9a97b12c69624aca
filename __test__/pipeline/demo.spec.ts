/** The demo is what a newcomer runs first: it must pass on a small scale, and see what is wrong when something is. */

import { spawnSync } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { inspect } from '../../examples/pipeline/demo/inspect'
import { serializeDocument } from '../../examples/pipeline/lib/content/document'
import { publishDoc } from '../../examples/pipeline/scripts/pipeline/publisher'
import { saveTopicIndex } from '../../examples/pipeline/scripts/pipeline/topicIndex'
import { aDocument, useWorkplace } from './support'

const place = useWorkplace()

test('publishes, kills, starts again and finds everything', () => {
  const demo = resolve(__dirname, '../../examples/pipeline/demo.ts')
  const args = ['--require', require.resolve('tsx/cjs'), demo, '--content', place.content, '--limit', '80']
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 50_000 })
  expect(stderr).toBe('')
  expect(stdout).toMatch(/killed with SIGKILL/)
  expect(stdout).toMatch(/Nothing lost, nothing torn, nothing left over/)
  expect(status).toBe(0)
})

test('its inspection sees a lost record, a torn file, a stranger and a leftover', async () => {
  const docs = ['a', 'b'].map((slug) => aDocument({ slug }))
  for (const doc of docs) await publishDoc(doc)
  const all = docs.map((doc) => ({ doc, text: serializeDocument(doc) }))
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
