/**
 * A publisher is killed again and again, at moments of chance, and simply started again. After each kill each document is in
 * all four files or in none, what the publisher said is published is there, and all of them are counted once.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { takeSnapshot } from '../../examples/pipeline/demo/snapshot'
import type { PipelineDocument } from '../../examples/pipeline/lib/content/document'
import { routePath } from '../../examples/pipeline/lib/content/paths'
import { publishDoc } from '../../examples/pipeline/scripts/pipeline/publisher'
import { aDocument, expected, inputFolder, leftoversIn, publisher, useWorkplace } from './support'

const place = useWorkplace()

const KILLS = 12
/** More than a publisher gets through before it is killed, on most machines. */
const DOCUMENTS = 60
/** About two commits. */
const MOMENT_MS = 40

test('killed a dozen times, a publisher leaves all of a document or nothing', async () => {
  const docs: PipelineDocument[] = []
  let folder = ''
  const addDocuments = () => {
    const more = Array.from({ length: DOCUMENTS }, (_, i) => aDocument({ slug: `post-${docs.length + i}` }))
    docs.push(...more)
    folder = inputFolder(place, `from-${docs.length}`, docs)
  }
  const check = async (told: readonly string[]) => {
    const { documents, faults } = await takeSnapshot(docs.map(expected))
    expect(faults).toEqual([])
    expect(told.filter((route) => documents.get(route) !== 'all')).toEqual([])
    return [...documents.values()].filter((where) => where === 'all').length
  }

  addDocuments()
  const told = new Set<string>()
  for (let kills = 0; kills < KILLS; ) {
    const run = await publisher(['publish', folder], (line) => {
      const route = /^(?:published|unchanged) +(\/.*)$/.exec(line)?.[1]
      if (route !== undefined) told.add(route)
      return line.startsWith('published')
    })
    await run.hasBegun
    await sleep(MOMENT_MS * Math.random())
    run.child.kill('SIGKILL')
    if ((await run.ended).signal === 'SIGKILL') kills += 1
    const published = await check([...told])
    // Those that follow need something to do.
    if (published === docs.length) addDocuments()
  }

  for (const doc of docs) await publishDoc(doc)
  expect(await check(docs.map(routePath))).toBe(docs.length)
  expect(await leftoversIn(place.content)).toEqual([])
})
