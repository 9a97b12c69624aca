import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { atomicIndexUpdate, atomicWrite, atomicWriteAll, readIndexSync } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { inside, leftovers, loosely, makeDir, names } from '../helpers/files'
import { needs, OTHER_USER } from '../helpers/needs'
import { inProcess } from '../helpers/processes'
import { rejection, thrown } from '../helpers/promises'
import { test } from '../helpers/test'
import { random } from '../helpers/transaction-model'
import { NOBODY } from '../helpers/users'

describe('a path may be', () => {
  test('a Buffer', async ({ dir }) => {
    await atomicWrite(Buffer.from(join(dir, 'file')), 'x')
    expect(names(dir)).toStrictEqual(['file'])
  })

  needs('linux')('bytes that are no UTF-8', async ({ dir }) => {
    const name = Buffer.from([0x66, 0xff, 0xfe, 0x80])
    const path = Buffer.concat([Buffer.from(`${dir}/`), name])
    for (const content of ['new', 'replaced']) await atomicWrite(path, content)
    expect(readdirSync(dir, { encoding: 'buffer' })).toStrictEqual([name])
    expect(readFileSync(path, 'utf8')).toBe('replaced')
  })

  needs('linux')('bytes that are no UTF-8, as long as a name can be', async ({ dir }) => {
    const path = Buffer.concat([Buffer.from(`${dir}/`), Buffer.alloc(255, 0xfe)])
    for (const content of ['new', 'replaced']) await atomicWrite(path, content)
    expect(readFileSync(path, 'utf8')).toBe('replaced')
    expect(readdirSync(dir)).toHaveLength(1)
  })

  test('a file: URL, with what is escaped in it', async ({ dir }) => {
    const path = join(dir, 'a %41#?ü 漢.txt')
    await atomicWrite(pathToFileURL(path), 'x')
    expect(readFileSync(path, 'utf8')).toBe('x')
  })

  test('a file: URL of localhost', async ({ dir }) => {
    await atomicWrite(new URL(`file://localhost${dir}/file`), 'x')
    expect(names(dir)).toStrictEqual(['file'])
  })

  test('relative to the working directory', async ({ dir }) => {
    await inside(dir, () => atomicWrite('file', 'x'))
    await inside(makeDir(dir, 'sub'), () => atomicWrite('../other', 'x'))
    expect(names(dir)).toStrictEqual(['file', 'other', 'sub'])
  })

  test('relative, and means what it meant at the call when the working directory changes right after', async ({
    dir,
  }) => {
    const [here, there] = [makeDir(dir, 'here'), makeDir(dir, 'there')]
    const writing = await inside(here, () => ({ promise: atomicWrite('file', 'x') }))
    await inside(there, () => writing.promise)
    expect([names(here), names(there)]).toStrictEqual([['file'], []])
  })

  needs('linux')('relative to a working directory whose own path is too long to open', async ({ dir }) => {
    const name = 'x'.repeat(250)
    await inside(dir, async () => {
      for (let depth = 0; depth < 20; depth++) {
        mkdirSync(name)
        process.chdir(name)
      }
      for (const content of ['new', 'replaced']) await atomicWrite('file', content)
      await atomicWrite('sub/file', 'x')
      await atomicIndexUpdate('index.json', () => ({ n: 1 }), { backup: true })
      await atomicIndexUpdate('index.json', () => ({ n: 2 }), { backup: true })
      await atomicWriteAll([{ path: 'all', data: 'x' }])
      expect(readFileSync('file', 'utf8')).toBe('replaced')
      expect(readdirSync('.').sort()).toStrictEqual(['all', 'file', 'index.json', 'index.json.backup', 'sub'])
    })
    // Node removes by whole paths.
    execFileSync('rm', ['-r', join(dir, name)])
  })

  test('with dots and doubled slashes in it', async ({ dir }) => {
    makeDir(dir, 'sub')
    await atomicWrite(`${dir}//./sub/..///file`, 'x')
    expect(names(dir)).toStrictEqual(['file', 'sub'])
  })

  for (const name of [' ', '\n', "'", '-rf', '.hidden', '...', '漢字😀', 'a\\b', '%41', '*']) {
    test(`one with the odd name ${JSON.stringify(name)}`, async ({ dir }) => {
      for (const content of ['new', 'replaced']) await atomicWrite(join(dir, name), content)
      expect(names(dir)).toStrictEqual([name])
      expect(readFileSync(join(dir, name), 'utf8')).toBe('replaced')
    })
  }

  for (const [what, name] of [
    ['255 one-byte characters', 'x'.repeat(255)],
    ['85 three-byte characters, 255 bytes', '漢'.repeat(85)],
    ['63 four-byte characters, 252 bytes', '😀'.repeat(63)],
  ] as const) {
    test(`one with a name of ${what}, new and replaced`, async ({ dir }) => {
      for (const content of ['new', 'replaced']) await atomicWrite(join(dir, name), content)
      expect(names(dir)).toStrictEqual([name])
      expect(readFileSync(join(dir, name), 'utf8')).toBe('replaced')
    })
  }

  test('as long as the system takes', async ({ dir }) => {
    const deep = join(dir, ...Array.from({ length: 16 }, () => 'd'.repeat(200)))
    const path = join(deep, 'f'.repeat(Math.min(4095 - deep.length - 1, 255)))
    await atomicWrite(path, 'x')
    expect(statSync(path).size).toBe(1)
  })
})

describe('a name of 256 bytes is refused', () => {
  for (const name of ['x'.repeat(256), `${'漢'.repeat(85)}x`]) {
    test(`${name.slice(0, 3)}…`, async ({ dir }) => {
      expect(await rejection(atomicWrite(join(dir, name), 'x'))).toMatchObject({ code: 'ENAMETOOLONG' })
      expect(names(dir)).toStrictEqual([])
    })
  }
})

describe('a file: URL is read as node:fs reads it', () => {
  const words =
    '/ // %2f %2F %5C % %00 .. %2e localhost host C: | ? # \\ ä %c3%a4 %ff %C3 %41 %25 \t " : @ [ 漢 \u{1f600} a b'
  const parts = [' ', ...words.split(' ')]

  /** What is in it is on no way out of `file`. */
  const below = (file: string, text: string) => {
    if (!URL.canParse(`file:${text}`)) return
    const url = new URL(`file:${text}`)
    url.pathname = `${file}/x${url.pathname}`
    return url
  }

  test.skipIf(process.platform === 'win32')('whatever is in it', ({ file }) => {
    // A path below a file leads nowhere, and the error tells the path.
    writeFileSync(file, '{}')
    const next = random(1)
    const refusals = new Set<string | undefined>()
    /** Of other errors only the path counts: one that ends with a slash is a folder's, says `readIndexSync`. */
    const told = ({ code, path }: NodeJS.ErrnoException) =>
      code?.startsWith('ERR_') ? { code, path } : { code: undefined, path }
    for (let made = 0; made < 5000; made++) {
      const text = Array.from({ length: next(12) }, () => parts[next(parts.length)]).join('')
      const url = below(file, `${['', '/', '//', '///'][next(4)]}${text}`)
      if (!url) continue
      const [expected, found] = [thrown(() => readFileSync(url)), told(thrown(() => readIndexSync(url)))]
      // Names are bytes: what is no UTF-8 is no error here, as it is none in a Buffer.
      if (expected instanceof URIError) expect(found.code ?? '', url.href).not.toMatch('URL')
      else expect(found, url.href).toEqual(told(expected))
      refusals.add(expected instanceof URIError ? 'URIError' : found.code)
    }
    expect([...refusals].sort()).toEqual([
      ...['ERR_INVALID_ARG_VALUE', 'ERR_INVALID_FILE_URL_HOST', 'ERR_INVALID_FILE_URL_PATH', 'URIError'],
      undefined,
    ])
  })
})

describe('a path of the wrong kind is refused', () => {
  for (const path of [
    undefined,
    null,
    1,
    1n,
    true,
    {},
    [],
    () => {},
    Symbol('s'),
    ['file'],
    new ArrayBuffer(4),
  ]) {
    test(`such as ${typeof path} ${String(path)}`, async () => {
      const error = await rejection(loosely(path, 'x'))
      expect(error).toBeInstanceOf(TypeError)
      expect(error).toMatchObject({
        code: 'ERR_INVALID_ARG_TYPE',
        message: expect.stringMatching(
          /^The "path" argument must be of type string or an instance of Buffer or URL\. Received /,
        ),
      })
    })
  }

  test('such as an object that only looks like a URL', async ({ dir }) => {
    const error = await rejection(loosely({ pathname: join(dir, 'file') }, 'x'))
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
  })

  for (const [url, code] of [
    ['http://localhost/file', 'ERR_INVALID_URL_SCHEME'],
    ['file://elsewhere/file', 'ERR_INVALID_FILE_URL_HOST'],
    ['file:///a%2fb', 'ERR_INVALID_FILE_URL_PATH'],
  ] as const) {
    test(`such as ${url}, as node:fs refuses it`, async () => {
      const error = await rejection(atomicWrite(new URL(url), 'x'))
      expect(error).toBeInstanceOf(TypeError)
      expect(error.code).toBe(code)
    })
  }

  for (const make of [
    (path: string) => path,
    (path: string) => Buffer.from(path),
    (path: string) => new URL(`file://${path.replace('\0', '%00')}`),
  ]) {
    test(`such as one with a NUL in it, by ${make}`, async ({ dir }) => {
      writeFileSync(join(dir, 'file'), 'old')
      const error = await rejection(atomicWrite(make(`${join(dir, 'file')}\0.txt`), 'new'))
      expect(error).toBeInstanceOf(TypeError)
      expect(error.code).toBe('ERR_INVALID_ARG_VALUE')
      expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('old')
    })
  }
})

describe('the folder may be', () => {
  needs('linux', ...OTHER_USER)('one that this user may write to and not list', async ({ dir }) => {
    chmodSync(dir, 0o777)
    const drop = makeDir(dir, 'drop')
    chmodSync(drop, 0o333)
    const writer = inProcess(({ atomicWrite }, path) => atomicWrite(path, 'x'), [join(drop, 'file')], {
      uid: NOBODY,
    })
    expect(await writer.returned).toMatchObject({ written: true, durable: false })
    expect(names(drop)).toStrictEqual(['file'])
  })

  test('gone, with the working directory: ENOENT', async ({ dir }) => {
    const gone = makeDir(dir, 'gone')
    const writing = await inside(gone, () => {
      rmdirSync(gone)
      return { promise: atomicWrite('file', 'x', { mkdir: false }) }
    })
    expect(await rejection(writing.promise)).toMatchObject({ code: 'ENOENT', path: 'file' })
  })

  test('full of other files', async ({ dir }) => {
    for (let i = 0; i < 2000; i++) writeFileSync(join(dir, `other-${i}`), '')
    await atomicWrite(join(dir, 'file'), 'x')
    expect(leftovers(dir)).toStrictEqual([])
    expect(names(dir)).toHaveLength(2001)
  })
})

describe('a new folder', () => {
  test('is made with all that is missing above it', async ({ dir }) => {
    await atomicWrite(join(dir, 'a', 'b', 'c', 'file'), 'x')
    expect(readFileSync(join(dir, 'a/b/c/file'), 'utf8')).toBe('x')
  })

  test('has the mode that mkdir gives', async ({ dir }) => {
    await atomicWrite(join(dir, 'ours', 'file'), 'x')
    mkdirSync(join(dir, 'theirs'))
    expect(statSync(join(dir, 'ours')).mode).toBe(statSync(join(dir, 'theirs')).mode)
  })

  test('is not made with mkdir: false', async ({ dir }) => {
    const error = await rejection(atomicWrite(join(dir, 'a', 'file'), 'x', { mkdir: false }))
    expect(error).toMatchObject({ code: 'ENOENT', syscall: 'open', path: join(dir, 'a', 'file') })
    expect(names(dir)).toStrictEqual([])
  })

  test('is made once by many calls that all need it', async ({ dir }) => {
    const files = Array.from({ length: 50 }, (_, i) => join(dir, 'a', 'b', `${i % 5}`, `${i}`))
    await Promise.all(files.map((file) => atomicWrite(file, 'x')))
    for (const file of files) expect(readFileSync(file, 'utf8')).toBe('x')
  })

  test('cannot be made below a file', async ({ dir }) => {
    writeFileSync(join(dir, 'file'), 'old')
    expect(await rejection(atomicWrite(join(dir, 'file', 'a', 'b'), 'x'))).toMatchObject({ code: 'ENOTDIR' })
    expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('old')
  })

  test('is not made for a path that leads through a missing folder and back', async ({ dir }) => {
    expect(await rejection(atomicWrite(`${dir}/missing/../file`, 'x', { mkdir: false }))).toMatchObject({
      code: 'ENOENT',
    })
  })
})
