// The benchmarks' pages and charts are what the committed results and bench/report give.

import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { docs, drawPages } from '../bench/report/page'

test('pages and charts are drawn from the results (else: npm run bench -- --draw)', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'atomic-benchmarks-'))
  try {
    const copy = join(folder, 'docs')
    cpSync(docs, copy, { recursive: true })
    await drawPages(copy)
    const files = (place: string) =>
      readdirSync(place, { recursive: true, encoding: 'utf8' })
        .filter((name) => /\.\w+$/.test(name))
        .sort()
    expect(files(copy)).toEqual(files(docs))
    const stale = files(docs).filter(
      (name) => !readFileSync(join(docs, name)).equals(readFileSync(join(copy, name))),
    )
    expect(stale).toEqual([])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
