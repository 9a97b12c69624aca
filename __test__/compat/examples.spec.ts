// examples/: a store of settings, and adapters for what others have places for, each in the real package.

import { mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicIndexUpdate, stats } from '@pipeline/atomic'
import Keyv from 'keyv'
import { createStorage } from 'unstorage'
import fsLite from 'unstorage/drivers/fs-lite'
import { build, type InlineConfig } from 'vite'
import { describe, expect } from 'vitest'
import { z } from 'zod'
import { ConfStore } from '../../examples/conf-store/store'
import { AtomicStore } from '../../examples/keyv/store'
import atomicDriver from '../../examples/unstorage/driver'
import { atomicOutput } from '../../examples/vite/atomic-output'
import { leftovers, names } from '../helpers/files'
import { readJson } from '../helpers/index-file'
import { rejection } from '../helpers/promises'
import { test } from '../helpers/test'
import { treeOf } from '../helpers/trees'

test('conf-store: settings are there at once, and keys that others set stay', async ({ dir }) => {
  const path = join(dir, 'settings.json')
  const schema = z.object({ theme: z.string().optional(), size: z.number().optional() })
  const defaults = { theme: 'light' }
  const [one, other] = [0, 1].map(() => new ConfStore(path, { defaults, schema })) as [
    ConfStore<z.infer<typeof schema>>,
    ConfStore<z.infer<typeof schema>>,
  ]
  expect([one.get('theme'), one.get('size'), one.get('toString' as 'theme')]).toEqual([
    'light',
    undefined,
    undefined,
  ])
  await Promise.all([one.set('theme', 'dark'), other.set('size', 3)])
  expect(readJson(path)).toEqual({ theme: 'dark', size: 3 })
  expect(statSync(path).mode & 0o777).toBe(0o600)
  await one.reload()
  expect(one.all).toEqual({ theme: 'dark', size: 3 })
  expect(await rejection(one.set('size', 'x' as never))).toMatchObject({ code: 'ERR_ATOMIC_SCHEMA' })
  expect(one.get('size')).toBe(3)
  await other.delete('size')
  writeFileSync(path, '{"theme":')
  expect(new ConfStore<z.infer<typeof schema>>(path, { schema }).get('theme')).toBe('dark')

  const recovering = new ConfStore<z.infer<typeof schema>>(path, { schema })
  const { theme, ...rest } = recovering.all
  await recovering.set('size', 4)
  expect(readJson(path)).toEqual({ theme, ...rest, size: 4 })

  const old = { schema: z.object({ v: z.literal(2), n: z.number() }), migrate: ({ n }: any) => ({ v: 2, n }) }
  const migrated = new ConfStore<{ v: number; n: number }>(join(dir, 'old.json'), old as object)
  const until = new AbortController()
  const told = new Promise((resolve) => {
    void migrated.onDidChange((settings) => {
      resolve(settings)
      until.abort()
    }, until.signal)
  })
  await atomicIndexUpdate(join(dir, 'old.json'), () => ({ v: 1, n: 3 }))
  expect([await told, migrated.all]).toEqual([
    { v: 2, n: 3 },
    { v: 2, n: 3 },
  ])

  const watched = new ConfStore<{ n?: number }>(join(dir, 'watched.json'))
  const stop = new AbortController()
  const heard = new Promise((resolve) => {
    void watched.onDidChange((settings) => {
      resolve(settings)
      stop.abort()
    }, stop.signal)
  })
  await atomicIndexUpdate(join(dir, 'watched.json'), () => ({ n: 1 }))
  expect([await heard, watched.get('n')]).toEqual([{ n: 1 }, 1])
})

describe('unstorage', () => {
  test('items are where its driver for files has them', async ({ dir }) => {
    const base = join(dir, 'data')
    const driver = atomicDriver({ base })
    const storage = createStorage({ driver })
    expect([await storage.getKeys(), await storage.getItem('none')]).toEqual([[], null])
    await storage.setItem('users:1', { name: 'Ann' })
    await storage.setItem('text', 'plain')
    await storage.setItemRaw('raw', Buffer.from([0, 255]))
    const writes = stats().writes
    await storage.setItems([
      { key: 'users:2', value: { name: 'Bea' } },
      { key: 'users:3', value: { name: 'Cem' } },
    ])
    expect(stats().writes).toBe(writes + 2)
    const theirs = createStorage({ driver: fsLite({ base }) })
    for (const key of ['users:1', 'users:2', 'users:3', 'text', 'none']) {
      expect(await storage.getItem(key)).toEqual(await theirs.getItem(key))
      expect(await storage.hasItem(key)).toBe(await theirs.hasItem(key))
    }
    expect(await storage.getItemRaw('raw')).toEqual(Buffer.from([0, 255]))
    expect((await storage.getKeys()).sort()).toEqual((await theirs.getKeys()).sort())
    expect(await storage.getMeta('text')).toEqual(await theirs.getMeta('text'))
    // What a killed process or one at work has there is no item.
    writeFileSync(join(base, '.text.0123456789ab.atomic-tmp'), '')
    expect((await storage.getKeys()).sort()).toEqual(['raw', 'text', 'users:1', 'users:2', 'users:3'])
    await storage.removeItem('text')
    await storage.removeItem('text')
    await driver.clear?.('users:', {})
    expect(await storage.getKeys()).toEqual(['raw'])
    await storage.clear()
    expect([await storage.getKeys(), await theirs.getKeys()]).toEqual([[], expect.any(Array)])
  })

  test('all that can be set is listed, and of two values for a key the last one counts', async ({ dir }) => {
    const storage = createStorage({ driver: atomicDriver({ base: dir }) })
    const keys = ['.yarn.lock', 'k:.env.lock', 'a']
    for (const key of keys) await storage.setItem(key, 1)
    await storage.setItems([
      { key: 'a', value: 2 },
      { key: 'a', value: 3 },
    ])
    expect([(await storage.getKeys()).sort(), await storage.getItem('a')]).toEqual([keys.sort(), 3])
    for (const key of ['.a.0123456789ab.atomic-tmp', 'k:.a.atomic-tree:b']) {
      expect((await rejection(storage.setItem(key, 1))).message).toContain('temp file')
    }
  })

  test('no key leads out of the folder, and a failure is told', async ({ dir }) => {
    const driver = atomicDriver({ base: join(dir, 'data') })
    for (const key of ['..:x', 'a:..:..:x', '']) {
      expect(() => driver.getItem(key)).toThrow('leads out of')
    }
    await driver.setItem?.('a', '1', {})
    expect(await rejection(Promise.resolve(driver.setItem?.('a:b', '2', {})))).toMatchObject({
      code: 'ENOTDIR',
    })
    expect(await driver.getItem('a:b')).toBe(null)
  })
})

describe('keyv', () => {
  test('keys are set, expire, and are listed by namespace', async ({ file }) => {
    const store = new AtomicStore(file, { backup: true })
    const keyv = new Keyv({ store, namespace: 'a' })
    const other = new Keyv({ store: new AtomicStore(file), namespace: 'b' })
    expect(await keyv.get('x')).toBe(undefined)
    const writes = stats().writes
    await Promise.all(Array.from({ length: 100 }, (_, i) => keyv.set(`${i}`, { i })))
    expect(stats().writes - writes).toBeLessThan(50)
    await other.set('__proto__', 'no prototype')
    expect([await other.get('__proto__'), await other.has('toString')]).toEqual(['no prototype', false])
    expect(await keyv.get(['5', 'none'])).toEqual([{ i: 5 }, undefined])
    await keyv.set('short', 1, 1)
    await expect.poll(() => keyv.get('short')).toBe(undefined)
    expect([await keyv.delete('5'), await keyv.delete('5'), await keyv.has('5')]).toEqual([
      true,
      false,
      false,
    ])
    const listed: unknown[] = []
    for await (const [key] of store.iterator()) listed.push(key)
    expect(listed).toHaveLength(99)
    await keyv.clear()
    expect([await keyv.get('1'), await other.get('__proto__')]).toEqual([undefined, 'no prototype'])
    expect(Object.keys(readJson(file))).toEqual(['b:__proto__'])
  })

  test('what has expired is not there, and several that are set are told one by one', async ({ file }) => {
    const store = new AtomicStore(file)
    const keyv = new Keyv({ store })
    const writes = stats().writes
    const entries = Array.from({ length: 50 }, (_, i) => ({ key: `${i}`, value: i, ttl: i === 7 ? 1 : 0 }))
    expect(await keyv.setMany(entries)).toEqual(entries.map(() => true))
    expect(stats().writes - writes).toBe(1)
    await expect.poll(() => keyv.has('7')).toBe(false)
    expect(await keyv.hasMany(['6', '7', 'none'])).toEqual([true, false, false])
    // An update for each entry would run a function for each.
    expect(await store.setMany([{ key: 'a', value: 1 }])).toEqual([true])
  })

  test('a file with an array in it is refused, and stays', async ({ file }) => {
    writeFileSync(file, '[]')
    const keyv = new Keyv({ store: new AtomicStore(file), throwOnErrors: true })
    keyv.on('error', () => {})
    for (const call of [() => keyv.set('a', 1), () => keyv.get('a')]) {
      expect((await rejection(call())).message).toContain('Give the store a path of its own')
    }
    expect(readFileSync(file, 'utf8')).toBe('[]')
  })

  test('a file that is broken is an error, and stays', async ({ file }) => {
    writeFileSync(file, '{')
    const keyv = new Keyv({ store: new AtomicStore(file), throwOnErrors: true })
    keyv.on('error', () => {})
    expect(await rejection(keyv.set('a', 1))).toMatchObject({ code: 'ERR_ATOMIC_CORRUPT_INDEX' })
    expect(readFileSync(file, 'utf8')).toBe('{')
  })
})

test('vite: the new build takes the place of the old one, or nothing changes', async ({ dir }) => {
  mkdirSync(join(dir, 'public'))
  writeFileSync(join(dir, 'public', 'robots.txt'), 'User-agent: *')
  writeFileSync(join(dir, 'index.html'), '<script type="module" src="/main.js"></script>')
  writeFileSync(join(dir, 'main.js'), 'import("./late.js"); document.title = "first"')
  writeFileSync(join(dir, 'late.js'), 'export default 1')
  const make = (outDir: string, plugins: ReturnType<typeof atomicOutput>[]) =>
    build({
      root: dir,
      configFile: false,
      logLevel: 'silent',
      build: { outDir, sourcemap: true },
      plugins,
    })
  await make('theirs', [])
  await make('dist', [atomicOutput()])
  expect(treeOf(join(dir, 'dist'))).toEqual(treeOf(join(dir, 'theirs')))
  const first = statSync(join(dir, 'dist')).ino
  writeFileSync(join(dir, 'main.js'), 'document.title = ')
  await rejection(make('dist', [atomicOutput()]))
  expect(statSync(join(dir, 'dist')).ino).toBe(first)
  expect(treeOf(join(dir, 'dist'))).toEqual(treeOf(join(dir, 'theirs')))
  writeFileSync(join(dir, 'main.js'), 'document.title = "second"')
  await make('dist', [atomicOutput({ keepPrevious: 'previous' })])
  expect(names(join(dir, 'dist', 'assets'))).toHaveLength(2)
  expect(readFileSync(join(dir, 'previous', MARK), 'utf8')).toContain('atomicOutput')
  rmSync(join(dir, 'previous', MARK))
  expect(treeOf(join(dir, 'previous'))).toEqual(treeOf(join(dir, 'theirs')))
  expect(leftovers(dir)).toEqual([])
})

test('vite: what Vite keeps is not replaced: sources, a folder that is not to be emptied, `.git`, a second output', async ({
  dir,
}) => {
  const root = join(dir, 'src')
  mkdirSync(join(root, 'dist', '.git'), { recursive: true })
  writeFileSync(join(root, 'dist', '.git', 'HEAD'), 'ref')
  writeFileSync(join(root, 'dist', 'old.txt'), 'old')
  writeFileSync(join(root, 'index.html'), '<h1>Hello</h1>')
  writeFileSync(join(root, 'late.js'), 'export default 1')
  symlinkSync('..', join(root, 'link'))
  const make = (options: object) =>
    build({ root, configFile: false, logLevel: 'silent', build: options, plugins: [atomicOutput()] })
  const before = treeOf(dir)
  const lib = { entry: 'late.js', name: 'late' }
  const refused: [options: object, reason: string][] = [
    [{ outDir: '..', emptyOutDir: true }, 'has the sources'],
    [{ outDir: '.', emptyOutDir: true }, 'has the sources'],
    [{ outDir: 'link', emptyOutDir: true }, 'has the sources'],
    [{ outDir: 'dist', emptyOutDir: false }, 'emptyOutDir'],
    [{ outDir: '../dist' }, 'emptyOutDir'],
    [{ lib }, 'one output'],
    [{ rollupOptions: { output: [{ format: 'es' }, { format: 'cjs' }] } }, 'one output'],
  ]
  for (const [options, reason] of refused) {
    expect((await rejection(make(options))).message).toContain(reason)
  }
  expect(treeOf(dir)).toEqual(before)
  await make({ outDir: 'dist' })
  expect(names(join(root, 'dist'))).toEqual(['.git', 'index.html'])
  expect(readFileSync(join(root, 'dist', '.git', 'HEAD'), 'utf8')).toBe('ref')
  await make({ outDir: '../dist', emptyOutDir: true, lib: { ...lib, formats: ['es'] } })
  expect(names(join(dir, 'dist'))).toHaveLength(1)
})

const MARK = '.atomic-previous'

/** A project with a build in `dist`, files that `given` names, and what builds it. */
function viteProject(root: string, given: string[] = []) {
  for (const path of ['dist/index.html', 'parts/main.js', 'public/robots.txt', ...given]) {
    mkdirSync(join(root, path, '..'), { recursive: true })
    writeFileSync(join(root, path), '')
  }
  writeFileSync(join(root, 'index.html'), '<script type="module" src="/parts/main.js"></script>')
  return (keepPrevious: string, config: InlineConfig = {}) => {
    const plugins = [atomicOutput({ keepPrevious })]
    return build({ root, configFile: false, logLevel: 'silent', plugins, ...config })
  }
}

test('vite: the build before is put in the place of an earlier one, and of nothing else', async ({ dir }) => {
  const root = join(dir, 'site')
  const make = viteProject(root, [
    'texts/title.txt',
    'img/a.svg',
    'kept/.git/HEAD',
    '.git/HEAD',
    `repository/${MARK}`,
  ])
  mkdirSync(join(root, 'repository/.git'))
  mkdirSync(join(root, 'public/files'))
  symlinkSync('parts', join(root, 'link'))
  const before = treeOf(dir)
  const refused = {
    '.': 'has the project in it',
    '..': 'has the project in it',
    public: 'has the public folder in it',
    'public/files': 'next build',
    'public/files/new': 'next build',
    parts: 'no build before',
    link: 'no build before',
    texts: 'no build before',
    img: 'no build before',
    kept: 'no build before',
    'index.html': 'no build before',
    '.git': 'a .git',
    '.git/previous': 'a .git',
    repository: 'a .git',
    dist: 'or around it',
    'dist/previous': 'or around it',
  }
  for (const [folder, reason] of Object.entries(refused)) {
    expect((await rejection(make(folder))).message).toContain(reason)
    expect(treeOf(dir)).toEqual(before)
  }
  expect(
    (await rejection(make('around', { build: { outDir: 'around/dist', emptyOutDir: true } }))).message,
  ).toContain('or around it')
  for (const count of [1, 2, 3]) {
    await make('previous')
    expect([count, names(join(root, 'previous')).includes('index.html')]).toEqual([count, true])
  }
})

test('vite: the build before may be in an empty folder, and in the public one where that is not copied', async ({
  dir,
}) => {
  const root = join(dir, 'site')
  const make = viteProject(root, ['public/build/index.html'])
  mkdirSync(join(root, 'empty'))
  await make('empty')
  expect(names(join(root, 'empty'))).toEqual([MARK, 'index.html'])
  await make('public/before', { build: { outDir: 'public/build', copyPublicDir: false } })
  expect(names(join(root, 'public/before'))).toEqual([MARK, 'index.html'])
  // Of a first build there is none before.
  await make('none', { build: { outDir: 'new' } })
  expect(names(root)).not.toContain('none')
})
