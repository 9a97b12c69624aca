/** Failure 1: one fixed temp name, so two publishers overwrite each other's temp file and publish a mixture. */

import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { serializeDocument, validateDocument } from '../../examples/pipeline/lib/content/document'
import { documentPath } from '../../examples/pipeline/lib/content/paths'
import { aDocument, cli, filesIn, inputFolder, leftoversIn, useWorkplace } from './support'

const place = useWorkplace()

const PROCESSES = 4
const VERSIONS = 12

test('four processes that publish the same document leave one of its versions whole, at every moment', async () => {
  const version = (process: number, n: number) =>
    aDocument({ title: `Version ${n} of process ${process}`, body: `${process}.${n} `.repeat(200 * n) })
  const versions = Array.from({ length: PROCESSES }, (_, p) =>
    Array.from({ length: VERSIONS }, (_, n) => version(p, n + 1)),
  )
  const texts = new Set(versions.flat().map((doc) => serializeDocument(validateDocument(doc))))
  const path = documentPath(aDocument())

  let done = false
  const seen = new Set<string>()
  const reader = (async () => {
    while (!done) {
      const text = await readFile(path, 'utf8').catch((error) =>
        seen.size === 0 ? undefined : Promise.reject(error),
      )
      if (text !== undefined) seen.add(text)
    }
  })()
  const runs = await Promise.all(
    versions.map((docs, p) => cli(['publish', '--jobs', '1', inputFolder(place, String(p), docs)])),
  )
  done = true
  await reader

  for (const run of runs) expect(run).toMatchObject({ code: 0, stderr: '' })
  expect([...seen].filter((text) => !texts.has(text)).map((text) => text.slice(0, 200))).toEqual([])
  expect(seen.size).toBeGreaterThan(1)
  expect(texts.has(await readFile(path, 'utf8'))).toBe(true)
  expect(await leftoversIn(place.content)).toEqual([])
  expect((await filesIn(place.content)).filter((file) => file.startsWith('blog'))).toEqual([
    'blog/red-oak.json',
  ])
})
