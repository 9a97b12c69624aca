// The codecs that print a file anew, and what all have in common.

import { readFileSync, writeFileSync } from 'node:fs'
import { atomicIndexUpdate, readIndex } from '@pipeline/atomic'
import { devalue } from '@pipeline/atomic/devalue'
import { toml } from '@pipeline/atomic/toml'
import { expect } from 'vitest'
import { inProcess } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

test('devalue keeps dates, maps, sets, BigInt and repeated references, also in initial', async ({ file }) => {
  const author = { name: 'A' }
  const initial = new Map<string, unknown>([
    ['at', new Date(0)],
    ['tags', new Set(['x'])],
    ['size', 2n ** 70n],
    ['none', undefined],
    ['by', [author, author]],
  ])
  await atomicIndexUpdate(file, (index) => index.set('more', /x/g), { codec: devalue, initial })
  const { value } = await readIndex(file, { codec: devalue })
  expect(value).toEqual(new Map([...initial, ['more', /x/g]]))
  const [one, other] = value.get('by')
  expect(one).toBe(other)
  const error = await rejection(
    atomicIndexUpdate(file, (index) => index.set('f', () => {}), { codec: devalue }),
  )
  expect(error).toMatchObject({ code: 'ERR_INVALID_RETURN_VALUE' })
  writeFileSync(file, readFileSync(file, 'utf8').slice(0, -5))
  expect(await rejection(readIndex(file, { codec: devalue }))).toMatchObject({
    code: 'ERR_ATOMIC_CORRUPT_INDEX',
  })
})

test('toml is updated, says where it is broken, and is never an empty file', async ({ file }) => {
  writeFileSync(file, 'title = "x"\n\n[owner]\nborn = 1979-05-27\n')
  const add = (index: any) => ({ ...index, list: [1.5, 'a'] })
  await atomicIndexUpdate(file, add, { codec: toml })
  const text = readFileSync(file, 'utf8')
  expect(text).toContain('born = 1979-05-27\n')
  expect(toml.parse(text)).toMatchObject({ title: 'x', list: [1.5, 'a'] })
  await atomicIndexUpdate(file, () => ({}), { codec: toml })
  expect((await readIndex(file, { codec: toml })).value).toEqual({})
  writeFileSync(file, 'a = 1\nb = \n')
  expect(await rejection(readIndex(file, { codec: toml }))).toMatchObject({
    code: 'ERR_ATOMIC_CORRUPT_INDEX',
    line: 2,
  })
})

test('without its library a codec says what to type, and the file is not taken for broken', async ({
  file,
}) => {
  writeFileSync(file, '{}')
  const names = { jsonc: 'jsonc-parser', yaml: 'yaml', toml: 'smol-toml', devalue: 'devalue' }
  // The copy of the package that other processes load has nothing beside it.
  const errors = await inProcess(
    async ({ atomicIndexUpdate, addon, require }, file, codecs) => {
      const told: unknown[] = []
      for (const name of codecs) {
        const codec = require(`${addon}/codecs/${name}.js`)[name]
        await atomicIndexUpdate(file, () => ({ a: 1 }), { codec, onCorrupt: 'recover' }).catch((error) =>
          told.push([error.code, error.message]),
        )
      }
      return told
    },
    [file, Object.keys(names)],
  ).returned
  expect(errors).toEqual(
    Object.values(names).map((name) => [
      'ERR_ATOMIC_NO_CODEC',
      `ERR_ATOMIC_NO_CODEC: this codec needs another package: npm install ${name}`,
    ]),
  )
  expect(readFileSync(file, 'utf8')).toBe('{}')
})
