// The benchmarks' pages and charts are what the committed results and bench/report give. And what their programs say to a mistake.

import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { docs, drawPages } from '../bench/report/page'
import { root } from '../scripts/tools.mjs'

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

const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href

const mistakes: [program: string, args: string[], says: string][] = [
  ['main.ts', ['--non'], "Unknown option '--non'"],
  ['main.ts', ['--suite', 'none'], '--suite must be one of reach, '],
  ['compare/main.ts', ['nothing'], 'No row is about nothing'],
  ['cloud/main.ts', ['--calm=1'], "Option '--calm' does not take an argument"],
]
for (const [program, args, says] of mistakes) {
  test(`bench/${program} ${args.join(' ')}: one line, and the exit code 2`, () => {
    const node = ['--import', tsx, join(root, 'bench', program), ...args]
    const { status, stdout, stderr } = spawnSync(process.execPath, node, { encoding: 'utf8' })
    expect(stderr.trimEnd().split('\n')).toEqual([expect.stringContaining(says)])
    expect(stdout).toBe('')
    expect(status).toBe(2)
  })
}
