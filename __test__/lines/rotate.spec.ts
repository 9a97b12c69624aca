// A new file for what comes next, and what becomes of the old ones, whenever a process is killed.

import { chmodSync, existsSync, linkSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { appendLines } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { names } from '../helpers/files'
import { needs, withAttribute } from '../helpers/needs'
import { inProcess } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

const read = (file: string) => readFileSync(file, 'utf8')
const rotate = { size: 4, keep: 3 }

describe('rotation', () => {
  test('begins a new file when this one is large enough, and keeps so many', async ({ dir }) => {
    const file = join(dir, 'log')
    const rotated: boolean[] = []
    for (const line of ['aa', 'b', 'c', 'dddd', 'eeee', 'ffff']) {
      rotated.push((await appendLines(file, line, { rotate })).rotated)
    }
    expect(rotated).toEqual([false, false, true, false, true, true])
    expect(names(dir)).toEqual(['log', 'log.1', 'log.2', 'log.3'])
    expect(['log', 'log.1', 'log.2', 'log.3'].map((name) => read(join(dir, name)))).toEqual([
      ...['ffff\n', 'eeee\n', 'c\ndddd\n', 'aa\nb\n'],
    ])
    await appendLines(file, 'gggg', { rotate })
    expect(names(dir)).toHaveLength(4)
    expect(read(join(dir, 'log.3'))).toBe('c\ndddd\n')
  })

  test('fills the gap of one that was interrupted, and gives up no file for it', async ({ dir }) => {
    const file = join(dir, 'log')
    writeFileSync(file, 'new\n')
    writeFileSync(`${file}.1`, 'old\n')
    writeFileSync(`${file}.3`, 'older\n')
    await appendLines(file, 'next', { rotate })
    expect(['', '.1', '.2', '.3'].map((number) => read(file + number))).toEqual([
      ...['next\n', 'new\n', 'old\n', 'older\n'],
    ])
  })

  test('gives the new file the mode of the old one', async ({ dir }) => {
    const file = join(dir, 'log')
    writeFileSync(file, 'secret\n')
    chmodSync(file, 0o600)
    await appendLines(file, 'next', { rotate })
    expect(statSync(file).mode & 0o777).toBe(0o600)
    // As a kill between the two steps leaves it.
    chmodSync(`${file}.1`, 0o640)
    writeFileSync(`${file}.2`, '')
    const { rmSync } = await import('node:fs')
    rmSync(file)
    await appendLines(file, 'next', { rotate })
    expect(statSync(file).mode & 0o777).toBe(0o640)
  })

  test('that is not possible leaves the file as it is', async ({ dir }) => {
    const file = join(dir, 'log')
    writeFileSync(file, 'old\n')
    mkdirSync(`${file}.1`)
    writeFileSync(join(`${file}.1`, 'x'), '')
    const appending = appendLines(file, 'next', { rotate: { size: 4, keep: 1 } })
    await expect(appending).rejects.toMatchObject({ syscall: 'rename', dest: `${file}.1` })
    expect(read(file)).toBe('old\n')
  })

  test('of a file that has the name of an old one as well begins a new one', async ({ dir }) => {
    const file = join(dir, 'log')
    writeFileSync(file, 'old\n')
    linkSync(file, `${file}.1`)
    const appended = await appendLines(file, 'next', { rotate: { size: 4, keep: 1 } })
    expect(appended).toMatchObject({ rotated: true, offset: 0 })
    expect([read(`${file}.1`), read(file)]).toEqual(['old\n', 'next\n'])
    expect(names(dir)).toEqual(['log', 'log.1'])
  })

  needs('linux', 'root that may set immutable')(
    'of an append-only file says why it is not possible',
    async ({ dir }) => {
      const file = join(dir, 'log')
      writeFileSync(file, 'old\n')
      await withAttribute('a', file, async () => {
        const error = await rejection(appendLines(file, 'next', { rotate }))
        expect(error).toMatchObject({ code: 'EPERM', syscall: 'rename', path: file, dest: `${file}.1` })
        expect(error.message).toContain('immutable or append-only')
      })
      expect(read(file)).toBe('old\n')
    },
  )

  test('sets a torn line aside first', async ({ dir }) => {
    const file = join(dir, 'log')
    writeFileSync(file, 'whole\ntorn')
    expect(await appendLines(file, 'next', { rotate })).toMatchObject({ rotated: true, torn: { bytes: 4 } })
    expect([read(`${file}.1`), read(file)]).toEqual(['whole\n', 'next\n'])
  })

  needs('strace that may attach')(
    'that is killed at any of its steps loses no line and doubles none',
    async ({ dir }) => {
      let killed = 0
      for (const fault of [
        ...[1, 2, 3].map((when) => `renameat:signal=KILL:when=${when}`),
        ...[1, 2].map((when) => `fsync:signal=KILL:when=${when}`),
        'write:error=EIO:signal=KILL:when=1',
      ]) {
        const place = join(dir, fault)
        mkdirSync(place)
        const file = join(place, 'log')
        const lines = ['three', 'two', 'one', 'zero']
        lines.forEach((line, at) => {
          writeFileSync(`${file}${at === 3 ? '' : `.${3 - at}`}`, `${line}\n`)
        })
        const append = async (
          { appendLines }: typeof import('@pipeline/atomic'),
          file: string,
          rotate: { size: number; keep: number },
        ) => {
          await appendLines(file, 'next', { rotate })
          return true
        }
        const before = `set -- strace -f -qq -o /dev/null -P '${file}' -P '${file}.1' -P '${file}.2' -P '${file}.3' -P '${place}' -e inject=${fault} "$@"`
        const child = inProcess(append, [file, { size: 4, keep: 4 }], { before })
        killed += (await child.returned.catch(() => false)) ? 0 : 1
        await child.exit
        await appendLines(file, 'after', { rotate: { size: 4, keep: 4 } })
        const found = [4, 3, 2, 1]
          .map((number) => `${file}.${number}`)
          .concat(file)
          .filter((path) => existsSync(path))
          .flatMap((path) => read(path).trimEnd().split('\n'))
        // The oldest may have gone with a second rotation.
        const kept = [...lines, 'next', 'after'].filter((line) => line !== 'next' || found.includes('next'))
        expect(found).toEqual(kept.slice(-found.length))
        expect(found.length).toBeGreaterThanOrEqual(5)
      }
      expect(killed).toBeGreaterThan(3)
    },
  )
})
