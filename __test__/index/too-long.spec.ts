// A string has at most 0x1fffffe8 characters, half a gigabyte: an index that needs more is refused in Node's words.

import { constants } from 'node:buffer'
import {
  closeSync,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { atomicIndexUpdate, readIndex, readIndexSync, recoverIndex } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import { writeJson } from '../helpers/index-file'
import { needs } from '../helpers/needs'
import { inProcess } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const testLarge = needs('four gigabytes of free memory')

const LIMIT = constants.MAX_STRING_LENGTH

/** Writes `{}` and so much white space that the file has `size` bytes. */
function writeSpaces(file: string, size: number) {
  const piece = Buffer.alloc(1 << 24, ' ')
  const fd = openSync(file, 'w')
  writeSync(fd, '{}')
  for (let at = 2; at < size; at += piece.length) writeSync(fd, piece, 0, Math.min(piece.length, size - at))
  closeSync(fd)
}

describe('an index that is longer than a string can be', () => {
  testLarge('is refused, with its size', async ({ dir, file }) => {
    writeSpaces(file, LIMIT + 1)
    const error = await rejection(atomicIndexUpdate(file, () => expect.fail('fn was called')))
    expect(error).toMatchObject({ name: 'Error', code: 'ERR_STRING_TOO_LONG', path: file, size: LIMIT + 1 })
    expect(error.message).toContain('Cannot create a string longer than 0x1fffffe8 characters')
    expect(error.message).toContain(`${LIMIT + 1} bytes`)
    expect(error.message).toContain(file)
    expect(statSync(file).size).toBe(LIMIT + 1)
    expect(names(dir)).toEqual(['index.json'])
  })

  testLarge('is read if it has just as many characters', async ({ file }) => {
    writeSpaces(file, LIMIT)
    const result = await inProcess(
      ({ atomicIndexUpdate }, file) => atomicIndexUpdate(file, (index) => index),
      [file],
    ).returned
    expect(result).toMatchObject({ written: false, bytes: LIMIT })
  })

  test('is not read at all if it is longer in any encoding', async ({ file }) => {
    const fd = openSync(file, 'w')
    ftruncateSync(fd, LIMIT * 3 + 3)
    closeSync(fd)
    const error = await rejection(atomicIndexUpdate(file, () => ({})))
    expect(error).toMatchObject({ code: 'ERR_STRING_TOO_LONG', path: file, size: LIMIT * 3 + 3 })
  })

  test('is a backup for which no older one is taken', async ({ dir, file }) => {
    writeFileSync(file, '{')
    writeFileSync(`${file}.backup`, '')
    truncateSync(`${file}.backup`, LIMIT * 3 + 3)
    writeJson(`${file}.backup.1`, {})
    for (const call of [
      () => readIndex(file, { fallback: 'backup' }),
      async () => readIndexSync(file, { fallback: 'backup' }),
      () => recoverIndex(file, { initial: {} }),
    ]) {
      expect(await rejection(call())).toMatchObject({ code: 'ERR_STRING_TOO_LONG', path: `${file}.backup` })
    }
    expect(readFileSync(file, 'utf8')).toBe('{')
    expect(names(dir)).toEqual(['index.json', 'index.json.backup', 'index.json.backup.1'])
  })
})

describe('a result that is longer than a string can be', () => {
  testLarge('is refused, and the file stays as it is', async ({ dir, file }) => {
    writeJson(file, { n: 1 })
    const error = await inProcess(
      ({ atomicIndexUpdate }, file) => {
        const part = 'x'.repeat(2 ** 28)
        const update = atomicIndexUpdate(file, () => [part, part, part])
        return update.catch(({ name, code, path, message }) => ({ name, code, path, message }))
      },
      [file],
    ).returned
    expect(error).toMatchObject({ name: 'Error', code: 'ERR_STRING_TOO_LONG', path: file })
    expect(error.message).toContain('Cannot create a string longer than 0x1fffffe8 characters')
    expect(readFileSync(file, 'utf8')).toBe('{"n":1}')
    expect(names(dir)).toEqual(['index.json'])
  })

  testLarge('because its lines end in two characters is refused as well', async ({ file }) => {
    writeFileSync(file, '[\r\n 1\r\n]')
    const code = await inProcess(
      ({ atomicIndexUpdate }, file, limit) => {
        const lines = Array.from({ length: 1000 }, () => 1)
        // Each line takes two characters more than it is long, and a third at its end.
        const text = 'x'.repeat(limit - JSON.stringify([...lines, ''], null, 1).length)
        const update = atomicIndexUpdate(file, () => [...lines, text])
        return update.then(
          () => 'resolved',
          ({ code }) => code,
        )
      },
      [file, LIMIT],
    ).returned
    expect(code).toBe('ERR_STRING_TOO_LONG')
    expect(readFileSync(file, 'utf8')).toBe('[\r\n 1\r\n]')
  })
})
