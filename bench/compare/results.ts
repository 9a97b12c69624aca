// What a run has seen, as it is kept in docs/compare/results.json: the pages are drawn from it.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicWrite } from '@pipeline/atomic'
import { contenders } from './contenders.mjs'
import type { Cell, Row } from './row'

export interface Results {
  command: string
  /** Versions, kernel and file system: a line each. */
  machine: string[]
  rows: RowResults[]
}

export interface RowResults extends Pick<Row, 'when' | 'method'> {
  cells: Record<string, Cell>
}

/** The contenders, ours last. */
export const names = Object.keys(contenders)

/** The packages that are compared with ours, each once. */
export const rivals = [...new Set(Object.values(contenders).flatMap(({ packages }) => packages))].filter(
  (name) => name !== names.at(-1),
)

const pathIn = (docs: string) => join(docs, 'compare', 'results.json')

export async function saveResults(docs: string, results: Results): Promise<void> {
  await atomicWrite(pathIn(docs), `${JSON.stringify(results, null, 2)}\n`, { mkdir: true })
}

export function loadResults(docs: string): Results {
  if (!existsSync(pathIn(docs))) throw new Error(`${pathIn(docs)} is missing: npm run compare -- --write`)
  return JSON.parse(readFileSync(pathIn(docs), 'utf8'))
}
