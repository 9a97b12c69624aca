// Writers that are killed while they patch one index as text.

import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { readJson, writeJson } from '../helpers/index-file'
import { inProcess, type Remote } from '../helpers/processes'
import { until } from '../helpers/promises'
import { test } from '../helpers/test'

const ROUNDS = 5
const WRITERS = 2
/** Calls at once of each writer. */
const AT_ONCE = 6

/** Patches for ever. Each call that has resolved is a byte in the file `acks`, which a kill cannot take back. */
async function patch({ atomicIndexPatch, require }: Remote, file: string, acks: string, atOnce: number) {
  const { appendFileSync } = require('node:fs')
  const once = async () => {
    const slug = `s${Math.floor(Math.random() * 100)}`
    const records = [{ slug, by: process.pid }]
    const upsert = { at: '/posts', key: 'slug', records }
    await atomicIndexPatch(file, { increment: { '/n': 1 }, append: { '/log': [process.pid] }, upsert })
    appendFileSync(acks, '.')
  }
  for (;;) await Promise.all(Array.from({ length: atOnce }, once))
}

test('killed at any moment: the index is whole, and each acknowledged patch is in it, once', async ({
  dir,
  file,
}) => {
  const acks = join(dir, 'acks')
  writeFileSync(acks, '')
  const acknowledged = () => statSync(acks).size
  writeJson(file, { n: 0, log: [], posts: [{ slug: 's0' }] })
  for (let round = 1; round <= ROUNDS; round++) {
    const before = acknowledged()
    const writers = Array.from({ length: WRITERS }, () => inProcess(patch, [file, acks, AT_ONCE]))
    await until(() => acknowledged() > before)
    await sleep(Math.random() * 30)
    for (const writer of writers) writer.kill()
    await Promise.all(writers.map(({ exit }) => exit))

    const { n, log, posts } = readJson(file)
    expect(n).toBeGreaterThanOrEqual(acknowledged())
    expect(n).toBeLessThanOrEqual(acknowledged() + round * WRITERS * AT_ONCE)
    expect(log).toHaveLength(n)
    const slugs = posts.map(({ slug }: { slug: string }) => slug)
    expect(new Set(slugs).size).toBe(slugs.length)
  }
})
