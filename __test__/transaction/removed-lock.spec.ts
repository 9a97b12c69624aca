// A root of which another program has removed a file that is locked, as one that removes all empty files does.

import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicTransaction } from '@pipeline/atomic'
import { expect } from 'vitest'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

for (const name of ['lock', 'turn']) {
  test(`without .atomic/${name} a transaction is refused, and says what to do`, async ({ dir }) => {
    const write = (data: string) => atomicTransaction(dir, [{ write: 'a', data }])
    await write('1')
    const path = join(dir, '.atomic', name)
    rmSync(path)
    expect(await rejection(write('2'))).toMatchObject({
      code: 'ENOENT',
      path,
      message: expect.stringContaining('make it again, empty'),
    })
    writeFileSync(path, '')
    await write('3')
  })
}
