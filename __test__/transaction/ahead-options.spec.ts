// Functions that run ahead are given what a reader would get, whatever the index looks like: then its text is what was expected.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { atomicTransaction, type Transaction, type UpdateOptions } from '@pipeline/atomic'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { first, whileHeld } from '../helpers/held-commit'
import { until } from '../helpers/promises'

interface List {
  all: number[]
}

const lines = {
  name: 'lines',
  parse: (text: string): List => ({ all: text.split('\n').filter(Boolean).map(Number) }),
  stringify: (list: List) => `${list.all.join('\n')}\n`,
}

const cases: [string, before: string, options: UpdateOptions<List>, after: string][] = [
  [
    'with tabs, a mark and a line end',
    '\ufeff{\n\t"all": [0]\n}\n',
    {},
    '\ufeff{\n\t"all": [\n\t\t0,\n\t\t1,\n\t\t2\n\t]\n}\n',
  ],
  ['with an indentation that is given', '{"all":[0]}', { space: 1 }, '{\n "all": [\n  0,\n  1,\n  2\n ]\n}'],
  ['with a schema', '{"all":[0]}', { schema: z.object({ all: z.array(z.number()) }) }, '{"all":[0,1,2]}'],
  ['with a backup', '{"all":[0]}', { backup: true }, '{"all":[0,1,2]}'],
  ['with a codec', '0\n', { codec: lines }, '0\n1\n2\n'],
]

test.each(cases)('an index %s', async (_, before, options, after) => {
  const dir = mkdtempSync(join(tmpdir(), 'atomic-ahead-'))
  const runs: number[][] = []
  const add = (tx: Transaction, at: number) =>
    tx.update<List>(
      'index',
      (index) => {
        runs.push([...(index?.all ?? [])])
        return { all: [...(index?.all ?? []), at] }
      },
      options,
    )
  try {
    writeFileSync(join(dir, 'index'), before)
    await whileHeld(dir, async (release) => {
      const held = first(dir, (tx) => add(tx, 1))
      const behind = atomicTransaction(dir, (tx) => add(tx, 2))
      await until(() => runs.length === 2)
      release()
      await Promise.all([held, behind])
    })
    // Not run again.
    expect(runs).toEqual([[0], [0, 1]])
    expect(readFileSync(join(dir, 'index'), 'utf8')).toBe(after)
  } finally {
    rmSync(dir, { recursive: true })
  }
})
