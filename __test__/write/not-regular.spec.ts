import { execFileSync } from 'node:child_process'
import { lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicWrite } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { leftovers, names, shape } from '../helpers/files'
import { needs } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { socketAt } from '../helpers/socket'
import { test } from '../helpers/test'

describe('what is no regular file is refused and stays what it is', () => {
  const refused = (path: string, what: string) => ({
    ...shape({ name: 'Error', code: 'ERR_ATOMIC_NOT_REGULAR', path }),
    message: `ERR_ATOMIC_NOT_REGULAR: the target is ${what}, not a regular file; node:fs can write to it, '${path}'`,
  })

  needs('linux')('a FIFO, without waiting for its reader', async ({ dir }) => {
    const path = join(dir, 'fifo')
    execFileSync('mkfifo', [path])
    expect(shape(await rejection(atomicWrite(path, 'x')))).toStrictEqual(refused(path, 'a FIFO'))
    expect(lstatSync(path).isFIFO()).toBe(true)
    expect(names(dir)).toStrictEqual(['fifo'])
  })

  needs('linux')('a FIFO behind a link', async ({ dir }) => {
    const path = join(dir, 'link')
    execFileSync('mkfifo', [join(dir, 'fifo')])
    symlinkSync('fifo', path)
    expect(shape(await rejection(atomicWrite(path, 'x')))).toStrictEqual(refused(path, 'a FIFO'))
  })

  needs('linux')('a FIFO, with any options', async ({ dir }) => {
    const path = join(dir, 'fifo')
    execFileSync('mkfifo', [path])
    for (const options of [
      { ifChanged: true },
      { verify: 'device' },
      { flush: false, verify: false },
    ] as const) {
      expect(await rejection(atomicWrite(path, '', options))).toMatchObject({
        code: 'ERR_ATOMIC_NOT_REGULAR',
      })
    }
  })

  needs('linux')('a socket', async ({ dir }) => {
    const path = join(dir, 'socket')
    const server = await socketAt(path)
    expect(shape(await rejection(atomicWrite(path, 'x')))).toStrictEqual(refused(path, 'a socket'))
    expect(lstatSync(path).isSocket()).toBe(true)
    server.close()
  })

  needs('linux')('/dev/null', async ({ dir }) => {
    const error = await rejection(atomicWrite('/dev/null', 'x'))
    expect(shape(error)).toStrictEqual(refused('/dev/null', 'a character device'))
    expect(lstatSync('/dev/null').isCharacterDevice()).toBe(true)
    expect(leftovers(dir)).toStrictEqual([])
  })

  const redirected = ({ atomicWrite }: Remote, path: string) =>
    atomicWrite(path, 'x').then(
      () => 'written',
      ({ code, message }) => ({ code, message }),
    )
  for (const path of ['/dev/stdout', '/proc/self/fd/1', '/dev/fd/1']) {
    needs('linux')(`${path}, whatever the shell has sent there`, async ({ dir }) => {
      const log = join(dir, 'log')
      const message = `ERR_ATOMIC_NOT_REGULAR: the target is an open file, by its link in /proc, not a regular file; node:fs can write to it, '${path}'`
      for (const before of [
        `set -- sh -c 'echo before; "$@" >>${log}' sh "$@"; exec >${log}; echo kept`,
        'true',
      ]) {
        const writer = inProcess(redirected, [path], { before })
        expect(await writer.returned).toStrictEqual({ code: 'ERR_ATOMIC_NOT_REGULAR', message })
      }
      expect(readFileSync(log, 'utf8')).toBe('kept\nbefore\n')
      expect(names(dir)).toStrictEqual(['log'])
    })
  }

  needs('linux', 'root')('a block device', async ({ dir }) => {
    const path = join(dir, 'disk')
    execFileSync('mknod', [path, 'b', '259', '4095'])
    expect(shape(await rejection(atomicWrite(path, 'x')))).toStrictEqual(refused(path, 'a block device'))
  })

  test('a folder: EISDIR, with all that is in it', async ({ dir }) => {
    const path = join(dir, 'folder')
    mkdirSync(path)
    writeFileSync(join(path, 'inside'), 'x')
    expect(await rejection(atomicWrite(path, 'x'))).toMatchObject({ code: 'EISDIR', syscall: 'open', path })
    expect(names(path)).toStrictEqual(['inside'])
  })

  test('an empty folder: EISDIR too', async ({ dir }) => {
    mkdirSync(join(dir, 'folder'))
    expect(await rejection(atomicWrite(join(dir, 'folder'), 'x'))).toMatchObject({ code: 'EISDIR' })
    expect(names(dir)).toStrictEqual(['folder'])
  })
})
