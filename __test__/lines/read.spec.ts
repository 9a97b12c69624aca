// What readLines gives, skips and tells.

import { appendFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { appendLines, readLines, type SkippedLine } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { openBelow, untilClosed } from '../helpers/descriptors'
import { needs } from '../helpers/needs'
import { turns } from '../helpers/promises'
import { test } from '../helpers/test'

async function all<T>(lines: AsyncIterable<T>): Promise<T[]> {
  const read: T[] = []
  for await (const line of lines) read.push(line)
  return read
}

describe('readLines', () => {
  test('gives lines without their ends', async ({ file }) => {
    writeFileSync(file, '\ufeffa\n\nä 😀\r\n')
    expect(await all(readLines(file))).toEqual(['a', '', 'ä 😀\r'])
  })

  test('gives values, and passes over white space', async ({ file }) => {
    writeFileSync(file, '{"n":1}\n\n \n[2]\r\n"3"')
    expect(await all(readLines<unknown>(file, { json: true }))).toEqual([{ n: 1 }, [2], '3'])
  })

  test('skips what is no line, and tells where it is', async ({ file }) => {
    writeFileSync(file, Buffer.from('{}\n\0\0}\n{"a\n\xff\n[]\n12', 'latin1'))
    const torn: SkippedLine[] = []
    expect(await all(readLines(file, { json: true, onTorn: (line) => torn.push(line) }))).toEqual([{}, []])
    expect(torn).toEqual([
      { line: 2, offset: 3, bytes: 3, reason: 'nul' },
      { line: 3, offset: 7, bytes: 3, reason: 'json' },
      { line: 4, offset: 11, bytes: 1, reason: 'utf8' },
      { line: 6, offset: 16, bytes: 2, reason: 'unfinished' },
    ])
  })

  describe('without onTorn', () => {
    async function warnings(read: () => Promise<unknown>) {
      const told: unknown[] = []
      const hear = ({ code, message }: Error & { code?: string }) => told.push([code, message])
      process.on('warning', hear)
      await read()
      // They are told in the next turn.
      await turns()
      process.off('warning', hear)
      return told
    }

    test('what a crash may have left is skipped silently', async ({ file }) => {
      writeFileSync(file, '{}\n\0\0}\n[]\n{"half')
      expect(await warnings(() => all(readLines(file, { json: true })))).toEqual([])
      expect(await warnings(() => all(readLines(file)))).toEqual([])
    })

    test('a file of other lines is, with one warning that says which file', async ({ file }) => {
      writeFileSync(file, '{}\nplain\ntext\n')
      const told = await warnings(() => all(readLines(file, { json: true })))
      const which = 'are not JSON or not UTF-8; the first is line 2'
      const message = `readLines has skipped 2 lines of '${file}' that ${which}: give onTorn to hear of each`
      expect(told).toEqual([['ATOMIC_LINES_SKIPPED', message]])
      const other = `${file}.1`
      writeFileSync(other, Buffer.from('a\n\xe4\n', 'latin1'))
      expect(await warnings(() => all(readLines(other, { onTorn: () => {} })))).toEqual([])
      const one = `skipped 1 line of '${other}' that is not JSON or not UTF-8; the first is line 2: `
      expect(await warnings(() => all(readLines(other)))).toEqual([
        ['ATOMIC_LINES_SKIPPED', expect.stringContaining(one)],
      ])
    })

    test('a file that is read again and again is warned of once', async ({ file }) => {
      writeFileSync(file, 'plain\n')
      const read = () => all(readLines(file, { json: true }))
      expect(await warnings(async () => [await read(), await read()])).toHaveLength(1)
      expect(await warnings(read)).toEqual([])
    })

    test('so it is when the loop is left', async ({ file }) => {
      writeFileSync(file, 'plain\n{}\n{}\n')
      const read = async () => {
        for await (const _ of readLines(file, { json: true })) break
      }
      expect(await warnings(read)).toHaveLength(1)
    })
  })

  test('gives what was appended, however much', async ({ file }) => {
    const values = Array.from({ length: 20_000 }, (_, n) => ({ n, pad: 'ü'.repeat(n % 50) }))
    await appendLines(file, values, { json: true })
    expect(await all(readLines(file, { json: true }))).toEqual(values)
  })

  test('reads on in the file that it has opened', async ({ file }) => {
    await appendLines(file, Array(50_000).fill('first'))
    const lines = readLines(file)
    await lines.next()
    renameSync(file, `${file}.1`)
    writeFileSync(file, 'other\n')
    appendFileSync(`${file}.1`, 'last\n')
    const rest = await all(lines)
    expect(rest).toHaveLength(50_000)
    expect(rest.at(-1)).toBe('last')
  })

  test('reads what is behind a pause as it is then', async ({ file }) => {
    writeFileSync(file, 'first\nhalf')
    const lines = readLines(file)
    await lines.next()
    await appendLines(file, ['a', 'b'])
    expect(await all(lines)).toEqual(['a', 'b'])
  })

  test('ends where a file was made shorter meanwhile, and tells it', async ({ file }) => {
    writeFileSync(file, 'first\nsecond\n')
    const torn: SkippedLine[] = []
    const lines = readLines(file, { onTorn: (line) => torn.push(line) })
    await lines.next()
    writeFileSync(file, 'a\n')
    expect(await all(lines)).toEqual(['second'])
    expect(torn).toEqual([{ line: 3, offset: 13, bytes: 0, reason: 'changed' }])
  })

  needs('linux')('closes the file when the loop is left, or ends', async ({ dir, file }) => {
    writeFileSync(file, 'a\nb\n')
    const lines = readLines(file)
    await lines.next()
    expect(openBelow(dir)).toHaveLength(1)
    await lines.return()
    await untilClosed(dir)
    await all(readLines(file))
    await untilClosed(dir)
  })

  test('rejects the first step with what is wrong', async ({ dir, file }) => {
    await expect(readLines(file).next()).rejects.toMatchObject({ code: 'ENOENT', path: file })
    await expect(readLines(dir).next()).rejects.toMatchObject({ code: 'EISDIR' })
    await expect(all(readLines('s3://b/k'))).rejects.toMatchObject({ code: 'ERR_ATOMIC_UNSUPPORTED' })
    await expect(all(readLines(1 as never))).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
    const onTorn = 1 as never
    await expect(all(readLines(file, { onTorn }))).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
  })

  test('rejects with what onTorn throws', async ({ file }) => {
    writeFileSync(file, 'a\nb')
    const error = new Error('torn')
    const lines = readLines(file, {
      onTorn: () => {
        throw error
      },
    })
    await expect(all(lines)).rejects.toBe(error)
    expect(readFileSync(file, 'utf8')).toBe('a\nb')
  })
})
