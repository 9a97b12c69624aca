// compat/write-file-atomic takes modes and owners as that package does, and refuses what is none before anything is written. What is different
// is as docs/migrate.md has it.

import { chownSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import writeFile from '@pipeline/atomic/compat/write-file-atomic'
import { describe, expect } from 'vitest'
import theirs from 'write-file-atomic'
import { names } from '../helpers/files'
import { needs } from '../helpers/needs'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'

/** The error of either form. */
async function errorsOf(write: typeof writeFile, file: string, options: object) {
  const blocking = async () => write.sync(file, 'a', options)
  return [await rejection(write(file, 'a', options)), await rejection(blocking())]
}

describe('write-file-atomic', () => {
  test.for([-1, 1.5, 2 ** 40])('%d is no mode', async (mode, { dir }) => {
    const file = join(dir, 'file')
    for (const error of await errorsOf(theirs as typeof writeFile, file, { mode })) {
      expect(error).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
    }
    for (const error of await errorsOf(writeFile, file, { mode })) {
      expect(error).toMatchObject({ message: expect.stringContaining(`'options.mode'`) })
    }
    expect(names(dir)).toEqual([])
  })

  test.for([-1, -2, 1.5, 2 ** 40])('%d is no mode either where an owner is set', async (mode, { dir }) => {
    const file = join(dir, 'file')
    writeFileSync(file, 'old', { mode: 0o640 })
    const { uid, gid, mode: before } = statSync(file)
    for (const error of await errorsOf(writeFile, file, { mode, chown: { uid, gid } })) {
      expect(error).toMatchObject({ message: expect.stringContaining(`'options.mode'`) })
    }
    expect([readFileSync(file, 'utf8'), statSync(file).mode]).toEqual(['old', before])
  })

  test.for([
    [{ uid: 1 }, 'ERR_INVALID_ARG_TYPE', 'options.chown.gid'],
    [true, 'ERR_INVALID_ARG_TYPE', 'options.chown.uid'],
    [{ uid: '0', gid: 0 }, 'ERR_INVALID_ARG_TYPE', 'options.chown.uid'],
    [{ uid: 0, gid: -2 }, 'ERR_OUT_OF_RANGE', 'options.chown.gid'],
    [{ uid: 0, gid: 0.5 }, 'ERR_OUT_OF_RANGE', 'options.chown.gid'],
  ] as const)(
    '%j is no owner, which is found out before the file is replaced',
    async ([chown, code, name], { dir }) => {
      const file = join(dir, 'file')
      writeFileSync(file, 'old')
      for (const error of await errorsOf(theirs as typeof writeFile, file, { chown })) {
        expect(error).toMatchObject({ code })
      }
      for (const error of await errorsOf(writeFile, file, { chown })) {
        expect(error).toMatchObject({ code, message: expect.stringContaining(name) })
      }
      expect([readFileSync(file, 'utf8'), names(dir)]).toEqual(['old', ['file']])
    },
  )

  needs('root')('an owner that is false is that of the replaced file', async ({ dir }) => {
    const file = join(dir, 'file')
    writeFileSync(file, '')
    chownSync(file, 42, 43)
    await writeFile(file, 'a', { chown: false })
    expect(statSync(file)).toMatchObject({ uid: 42, gid: 43 })
    writeFile.sync(file, 'b', { chown: false })
    expect(statSync(file)).toMatchObject({ uid: 42, gid: 43 })
  })

  test('an encoding that there is not is refused', async ({ dir }) => {
    for (const error of await errorsOf(writeFile, join(dir, 'file'), { encoding: 'nope' })) {
      expect(error).toMatchObject({ code: 'ERR_UNKNOWN_ENCODING' })
    }
    expect(names(dir)).toEqual([])
  })

  test('half a byte is refused, and no shorter file written', async ({ dir }) => {
    const file = join(dir, 'file')
    writeFileSync(file, 'old')
    for (const write of [theirs as typeof writeFile, writeFile]) {
      for (const error of [
        await rejection(write(file, 'abc', 'hex')),
        await rejection((async () => write.sync(file, 'abc', { encoding: 'hex' }))()),
      ]) {
        expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
        expect((error as Error).message).toContain('is invalid for data of length 3')
      }
    }
    expect([readFileSync(file, 'utf8'), names(dir)]).toEqual(['old', ['file']])
    await writeFile(file, '6162', 'hex')
    expect(readFileSync(file, 'utf8')).toBe('ab')
  })

  test('a link that leads nowhere is followed', async ({ dir }) => {
    const [link, target] = [join(dir, 'link'), join(dir, 'target')]
    symlinkSync(target, link)
    await writeFile(link, 'a')
    expect(readFileSync(target, 'utf8')).toBe('a')
    writeFile.sync(link, 'b')
    expect(readFileSync(target, 'utf8')).toBe('b')
    expect(names(dir)).toEqual(['link', 'target'])
  })
})
