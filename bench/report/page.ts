// The pages that are made from results: docs/benchmarks.md for users, docs/benchmarks-developer.md, and the chart of
// README.md. Each writes what stands between its marks; the rest is prose by hand, which is kept.

import { existsSync } from 'node:fs'
import { cp, mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { atomicWrite, atomicWriteAll } from '@pipeline/atomic'
import { root } from '../../scripts/tools.mjs'
import { type Page, writeAnswers } from './answers'
import { writeGroup } from './developer'
import { replaceBetweenMarks } from './marks'
import { type Group, groups } from './questions'
import { readmeChart } from './readme-chart'
import { loadResults, type Results, saveResults } from './results'

export const docs = join(root, 'docs')

/** Keeps a group's results in `folder` and draws its pages again. Pages that are not there yet begin as ours. */
export async function updatePages(folder: string, group: Group, results: Results): Promise<void> {
  if (!existsSync(join(folder, 'benchmarks.md'))) {
    await mkdir(folder, { recursive: true })
    const ours = (path: string) => /^benchmarks/.test(path.slice(docs.length + 1)) || path === docs
    await cp(docs, folder, { recursive: true, filter: ours })
  }
  await saveResults(join(folder, 'benchmarks', `${group}.json`), results)
  await drawPages(folder)
}

/** Draws all pages in `folder` from the results that are kept there. */
export async function drawPages(folder: string): Promise<void> {
  const loaded = await Promise.all(
    groups.map((group) => loadResults(join(folder, 'benchmarks', `${group}.json`))),
  )
  const results = Object.fromEntries(groups.map((group, index) => [group, loaded[index]])) as Record<
    Group,
    Results
  >
  await place(folder, 'benchmarks.md', 'answers', 'benchmarks/answers', writeAnswers(results, 'benchmarks'))
  for (const group of groups) {
    const page = writeGroup(results[group], `benchmarks/${group}`)
    await place(folder, 'benchmarks-developer.md', group, `benchmarks/${group}`, page)
  }
  await atomicWrite(join(folder, 'benchmarks', 'readme.svg'), readmeChart(results))
}

async function place(
  folder: string,
  file: string,
  mark: string,
  pictures: string,
  { markdown, pictures: drawn }: Page,
): Promise<void> {
  const path = join(folder, file)
  const place = join(folder, pictures)
  await mkdir(place, { recursive: true })
  for (const name of await readdir(place)) {
    if (name.endsWith('.svg') && !drawn.has(name)) await rm(join(place, name))
  }
  await atomicWriteAll([...drawn].map(([name, svg]) => ({ path: join(place, name), data: svg })))
  await atomicWrite(path, replaceBetweenMarks(await readFile(path, 'utf8'), mark, markdown))
}
