// A list of operations that is returned by `build` instead of given in its place would be done by nobody.

import { join } from 'node:path'
import { atomicTransaction } from '@pipeline/atomic'
import { expect } from 'vitest'
import { names } from '../helpers/files'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const lists = [
  [{ write: 'a', data: '1' }],
  [{ update: 'i.json', fn: () => ({}) }, { remove: 'b' }],
  [{ patch: 'i.json', change: { set: { a: 1 } } }],
  [{ rename: 'a', to: 'b' }, { mkdir: 'c' }],
]

test.for(lists.map((list) => [list]))('%j that build returns is refused', async ([list], { dir }) => {
  const root = join(dir, 'root')
  for (const build of [() => list, async () => list]) {
    expect(await rejection(atomicTransaction(root, build))).toMatchObject({
      name: 'TypeError',
      code: 'ERR_INVALID_RETURN_VALUE',
      message: expect.stringContaining('give the list in the place of build'),
      stack: expect.stringContaining('list-returned.spec.ts'),
    })
  }
  expect(names(dir)).toEqual([])
})

test('a value that is no such list, or of a build that has registered something, is a value', async ({
  dir,
}) => {
  const values = [
    [],
    ['a'],
    [{ write: true }],
    [{ write: 'a' }],
    [{ remove: true }],
    [...lists[0]!, {}],
    new Array(3),
    [{ remove: ['x'] }],
    [{ mkdir: new Date() }],
    [{ write: 'always', data: 1, remove: 'never' }],
    [
      {
        get write() {
          throw new Error('a getter')
        },
      },
    ],
    lists[0]?.[0],
  ]
  for (const value of values) expect((await atomicTransaction(dir, () => value)).value).toBe(value)
  const registers = atomicTransaction(dir, (tx) => {
    tx.write('own', '1')
    return lists[0]
  })
  expect((await registers).value).toBe(lists[0])
  expect(names(dir)).toEqual(['.atomic', 'own'])
})
