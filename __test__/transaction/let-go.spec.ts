// What a transaction has open is let go when it is over, and not when garbage is collected.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { atomicTransaction, type Transaction } from '@pipeline/atomic'
import { expect } from 'vitest'
import { openBelow } from '../helpers/descriptors'
import { rejection, until } from '../helpers/promises'
import { test } from '../helpers/test'

interface Count {
  n: number
}

const count = (tx: Transaction) => {
  for (const file of ['one.json', 'two.json']) {
    tx.update<Count>(file, ({ n }) => ({ n: n + 1 }), { initial: { n: 0 } })
  }
}

/** But for the mark that the process lives, which it keeps. */
const open = (dir: string) => openBelow(dir).filter((path) => !path.endsWith('.live'))

const obstacles: [string, (path: string) => void][] = [
  ['is no JSON', (path) => writeFileSync(path, '{"n":')],
  ['is no text', (path) => writeFileSync(path, Buffer.from([0xff]))],
  ['is a directory', (path) => mkdirSync(path)],
]

test.skipIf(process.platform !== 'linux').each(obstacles)('an index beside one that %s', async (_, put) => {
  const dir = mkdtempSync(join(tmpdir(), 'atomic-let-go-'))
  try {
    await atomicTransaction(dir, count)
    await until(() => open(dir).length === 0)
    rmSync(join(dir, 'two.json'))
    put(join(dir, 'two.json'))
    await rejection(atomicTransaction(dir, count))
    expect(open(dir)).toEqual([])
  } finally {
    rmSync(dir, { recursive: true })
  }
})
