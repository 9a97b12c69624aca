// Checks what the library promises, on the file system of the folder: a line for each check.

import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const { AtomicFile, atomicDirectory, atomicIndexUpdate, atomicWrite, atomicWriteAll } = createRequire(
  import.meta.url,
)('../..')

/** `durable`: what the results must say. `modes`: whether files have permission bits here. `old`: a file with
 * `{"n":1}` that is there already.
 * @type {{ folder: string, durable: boolean, modes: boolean, old?: string }} */
const { folder, durable, modes, old } = JSON.parse(process.argv[2])

const say = (line) => console.log(JSON.stringify(line))
const path = (name) => join(folder, name)
const read = (name) => readFileSync(path(name), 'utf8')
/** An error with the column of the tables in which it is counted. */
const harmed = (harm, message) => Object.assign(new Error(message), { harm })
const increment = (index) => ({ ...index, n: (index?.n ?? 0) + 1 })

function isTrue(result, written = true) {
  if (result.durable !== durable) throw harmed(durable ? 'false-failure' : 'false-success', 'durable')
  assert.equal(result.written, written, 'written')
  assert.ok(['cache', 'device'].includes(result.verified), 'verified')
}

const checks = {
  async 'a new file'() {
    isTrue(await atomicWrite(path('new'), 'one'))
    assert.equal(read('new'), 'one')
  },
  async 'an empty file'() {
    isTrue(await atomicWrite(path('empty'), ''))
    assert.equal(read('empty'), '')
  },
  async 'a file in new directories'() {
    isTrue(await atomicWrite(path('a/b/c/deep'), 'one'))
    isTrue(await atomicWrite(path('a/b/c/deep'), 'two'))
    assert.equal(read('a/b/c/deep'), 'two')
  },
  async 'a replacement keeps the mode'() {
    writeFileSync(path('mode'), 'one')
    if (modes) chmodSync(path('mode'), 0o640)
    const before = statSync(path('mode')).mode
    isTrue(await atomicWrite(path('mode'), 'two'))
    assert.equal(read('mode'), 'two')
    assert.equal(statSync(path('mode')).mode, before)
  },
  async '3 MB, read back from the device where that can be'() {
    const data = Buffer.alloc(3_000_000, 'three megabytes ')
    const result = await atomicWrite(path('large'), data, { verify: 'device' })
    isTrue(result)
    assert.ok(readFileSync(path('large')).equals(data))
    if (!durable) assert.equal(result.verified, 'cache', 'there is no device')
  },
  async 'exclusive creation'() {
    isTrue(await atomicWrite(path('once'), 'one', { flag: 'wx' }))
    await assert.rejects(atomicWrite(path('once'), 'two', { flag: 'wx' }), {
      code: 'EEXIST',
      syscall: 'open',
    })
    assert.equal(read('once'), 'one')
  },
  async 'identical bytes are left alone'() {
    isTrue(await atomicWrite(path('same'), 'one'))
    const { ino, mtimeMs } = statSync(path('same'))
    isTrue(await atomicWrite(path('same'), 'one', { ifChanged: true }), false)
    const after = statSync(path('same'))
    assert.deepEqual([after.ino, after.mtimeMs], [ino, mtimeMs])
  },
  async 'an index is made, changed and backed up'() {
    isTrue(await atomicIndexUpdate(path('index.json'), increment, { initial: { n: 0 } }))
    isTrue(await atomicIndexUpdate(path('index.json'), increment, { backup: true }))
    isTrue(await atomicIndexUpdate(path('index.json'), increment, { backup: true }))
    assert.equal(JSON.parse(read('index.json')).n, 3)
    assert.equal(JSON.parse(read('index.json.backup')).n, 2)
  },
  async 'fifty updates at once'() {
    const updates = Array.from({ length: 50 }, () => atomicIndexUpdate(path('many.json'), increment))
    for (const result of await Promise.all(updates)) isTrue(result)
    assert.equal(JSON.parse(read('many.json')).n, 50)
  },
  async 'a file piece by piece'() {
    for (const last of ['new', 'replaced']) {
      const file = await AtomicFile.open(path('pieces'))
      for (let i = 0; i < 50; i++) await file.write(`${i} `.repeat(1000))
      await file.write(last)
      isTrue(await file.commit())
      assert.ok(read('pieces').endsWith(`49 49 ${last}`))
    }
    const given = await AtomicFile.open(path('pieces'))
    await given.write('up')
    await given.abort()
    assert.ok(read('pieces').endsWith('replaced'))
  },
  async 'files behind one barrier'() {
    for (const data of ['new', 'replaced']) {
      const entries = ['together/a', 'together/b', 'c/together'].map((name) => ({ path: path(name), data }))
      for (const result of await atomicWriteAll(entries)) isTrue(result)
      for (const name of ['together/a', 'together/b', 'c/together']) assert.equal(read(name), data)
    }
    const bad = [
      { path: path('together/a'), data: 'never' },
      { path: path('.'), data: 'a directory' },
    ]
    await assert.rejects(atomicWriteAll(bad), { code: 'EISDIR', entry: 1 })
    assert.equal(read('together/a'), 'replaced')
  },
  async 'a whole directory'() {
    for (const version of ['1', '2', '3']) {
      const build = (staging) => {
        mkdirSync(join(staging, 'deep'))
        for (const name of ['page', 'deep/page']) writeFileSync(join(staging, name), version)
      }
      const result = await atomicDirectory(path('site'), build, { keepPrevious: version === '3' })
      if (result.durable !== durable) throw harmed(durable ? 'false-failure' : 'false-success', 'durable')
      assert.deepEqual([result.files, result.directories], [2, 1])
      assert.deepEqual([read('site/page'), read('site/deep/page')], [version, version])
    }
    assert.equal(read('site.previous/deep/page'), '2')
    await assert.rejects(
      atomicDirectory(path('site'), () => Promise.reject(new Error('no'))),
      { message: 'no' },
    )
    assert.equal(read('site/page'), '3')
  },
  async 'a file that was there before'() {
    if (!old) return
    isTrue(await atomicIndexUpdate(path(old), increment, { backup: true }))
    assert.equal(JSON.parse(read(old)).n, 2)
    assert.equal(JSON.parse(read(`${old}.backup`)).n, 1)
    isTrue(await atomicWrite(path(old), '{}'))
    assert.equal(read(old), '{}')
  },
  async 'nothing is left'() {
    for (const folder of [path('.'), dirname(path('a/b/c/deep'))]) {
      const left = readdirSync(folder).filter((name) => /^\.|atomic-tmp/.test(name))
      if (left.length > 0) throw harmed('leftover', `${folder}: ${left}`)
    }
    const open = readdirSync('/proc/self/fd').filter((fd) => existsSync(`/proc/self/fd/${fd}`))
    if (open.length >= 40) throw harmed('leftover', `${open.length} descriptors are open`)
  },
}

mkdirSync(folder, { recursive: true })
for (const [check, run] of Object.entries(checks)) {
  try {
    await run()
    say({ check })
  } catch (error) {
    // The call resolved and the result is wrong, or the call was rejected.
    const harm = error.harm ?? (error.code === 'ERR_ASSERTION' ? 'false-success' : 'false-failure')
    say({ check, problem: `${error.message} (${error.code})`, harm })
  }
}
say({ done: true })
