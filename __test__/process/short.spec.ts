// Small writes share works of libuv's pool.

import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { atomicWrite } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { times } from '../helpers/group'
import { test } from '../helpers/test'

describe('many small writes at once', () => {
  test('let other work of the program have its turn among them', async ({ dir }) => {
    let written = 0
    const writes = times(2000, async (at) => {
      await atomicWrite(join(dir, `file-${at}`), 'new')
      written++
    })
    await writes[0]
    const before = written
    await stat(dir)
    const between = written - before
    await Promise.all(writes)
    expect(written).toBe(2000)
    expect(between).toBeLessThan(1000)
  })

  test('each of them is told of its own failure', async ({ dir }) => {
    const outcomes = times(100, (at) =>
      atomicWrite(join(dir, at % 2 ? `file-${at}` : 'missing/', `${at}`), 'new', { mkdir: false }).then(
        () => 'written',
        (error) => error.code,
      ),
    )
    expect(await Promise.all(outcomes)).toStrictEqual(times(100, () => 'ENOENT'))
  })
})
