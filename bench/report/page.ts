// docs/benchmarks.md: every group of suites owns what stands between its two marks, and writes nothing else.
// The rest is prose by hand, which is kept.

import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { atomicWrite } from '@pipeline/atomic'
import { root } from '../../scripts/tools.mjs'
import type { Report } from './markdown'

/** Replaces the part of `group` in `folder`/benchmarks.md, and its pictures. A page that is not there yet begins as ours. */
export async function updatePage(
  folder: string,
  group: string,
  { markdown, pictures }: Report,
): Promise<void> {
  const page = join(folder, 'benchmarks.md')
  const text = await readFile(page, 'utf8').catch(() => readFile(join(root, 'docs', 'benchmarks.md'), 'utf8'))
  const [begin, end] = [`<!-- ${group}:begin -->`, `<!-- ${group}:end -->`]
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`${page} has no marks ${begin} and ${end}`)
  const place = join(folder, 'benchmarks', group)
  await mkdir(place, { recursive: true })
  for (const stale of await readdir(place)) await rm(join(place, stale))
  for (const [name, svg] of pictures) await atomicWrite(join(place, name), svg)
  await atomicWrite(page, `${text.slice(0, from + begin.length)}\n${markdown}\n${text.slice(to)}`)
}
