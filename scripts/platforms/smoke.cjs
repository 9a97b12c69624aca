// Run by `npm run test:platforms` in the Node.js of a platform: `node smoke.cjs ADDON FOLDER REPORT`. What the addon is for, once
// each, in order. The report is a file, because an emulated system may lack a standard output; it has a line for each.

const { strictEqual: equal, ok } = require('node:assert')
const { appendFileSync, chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } = require('node:fs')
const { open } = require('node:fs/promises')
const { join } = require('node:path')

const [addon = '', folder = '', report = ''] = process.argv.slice(2)
// The loader takes this one.
process.env.NAPI_RS_NATIVE_LIBRARY_PATH = addon
const atomic = require('../../index.js')
const at = (/** @type {string[]} */ ...names) => join(folder, ...names)
const read = (/** @type {string[]} */ ...names) => readFileSync(at(...names), 'utf8')

/** @type {Record<string, () => unknown>} */
const checks = {
  'a write': async () => {
    equal((await atomic.atomicWrite(at('a.txt'), 'first')).bytes, 5)
    await atomic.atomicWrite(at('a.txt'), 'second')
    equal(read('a.txt'), 'second')
  },
  'a write in a new directory': async () => {
    await atomic.atomicWrite(at('new', 'deep', 'b.txt'), 'b', { mkdir: true })
    equal(read('new', 'deep', 'b.txt'), 'b')
  },
  'a write that fails': async () => {
    const error = await atomic.atomicWrite(at('none', 'x'), 'x', { mkdir: false }).catch((error) => error)
    equal(error.code, 'ENOENT')
  },
  'updates of an index': async () => {
    const add = (/** @type {{ n?: number }} */ index) => ({ n: (index.n ?? 0) + 1 })
    await Promise.all(
      Array.from({ length: 50 }, () => atomic.atomicIndexUpdate(at('index.json'), add, { initial: {} })),
    )
    // One after the other: each replaces what the one before it has written.
    for (const _ of '12') await atomic.atomicIndexUpdate(at('index.json'), add, { initial: {} })
    equal(JSON.parse(read('index.json')).n, 52)
  },
  'a file': async () => {
    const file = await atomic.AtomicFile.open(at('file.bin'))
    await file.write(Buffer.alloc(100_000, 1))
    await file.write(Buffer.alloc(100_000, 2))
    await file.commit()
    equal(readFileSync(at('file.bin')).length, 200_000)
  },
  'a batch': async () => {
    await atomic.atomicWriteAll([
      { path: at('one'), data: '1' },
      { path: at('two'), data: '2' },
    ])
    equal(read('one') + read('two'), '12')
  },
  lines: async () => {
    await atomic.appendLines(at('log'), ['a', 'b'])
    await atomic.appendLines(at('log'), ['c'])
    equal(read('log'), 'a\nb\nc\n')
  },
  'a directory': async () => {
    const build = async (/** @type {string} */ dir) => writeFileSync(join(dir, 'page'), '1')
    await atomic.atomicDirectory(at('site'), build, { fallback: 'rename' })
    await atomic.atomicDirectory(at('site'), (dir) => writeFileSync(join(dir, 'page'), '2'), {
      fallback: 'rename',
    })
    equal(read('site', 'page'), '2')
  },
  'a transaction': async () => {
    await atomic.atomicTransaction(folder, async (tx) => {
      tx.write('t1', '1')
      tx.write('t2', '2')
    })
    equal(read('t1') + read('t2'), '12')
  },
  'an inspection': async () => ok((await atomic.inspectDirectory(folder)).traits.length > 5),
  'a file that is read by another handle': async () => {
    writeFileSync(at('held'), 'old')
    const handle = await open(at('held'))
    try {
      await atomic.atomicWrite(at('held'), 'new')
    } finally {
      await handle.close()
    }
    equal(read('held'), 'new')
  },
  'a read-only file': async () => {
    writeFileSync(at('readonly'), 'old')
    chmodSync(at('readonly'), 0o444)
    await atomic.atomicWrite(at('readonly'), 'new')
    equal(read('readonly'), 'new')
  },
  'a path of 400 characters': async () => {
    const deep = ['x'.repeat(100), 'y'.repeat(100), 'z'.repeat(100), 'w'.repeat(80)]
    await atomic.atomicWrite(at(...deep, 'long.txt'), 'long', { mkdir: true })
    equal(read(...deep, 'long.txt'), 'long')
  },
  'no leftovers': async () =>
    equal(
      readdirSync(folder)
        .filter((name) => /\.atomic-(tmp|old)/.test(name))
        .join(),
      '',
    ),
}

if (process.platform === 'win32') {
  checks['names that mean something else'] = async () => {
    for (const name of ['NUL', 'com1.txt', 'a.txt:stream', 'dot.', 'space ']) {
      const error = await atomic.atomicWrite(at(name), 'x').catch((error) => error)
      ok(error instanceof Error, `${name} was written`)
      equal('code' in error && error.code, 'EINVAL', name)
    }
    equal(read('a.txt'), 'second')
  }
}

async function main() {
  mkdirSync(folder, { recursive: true })
  for (const [name, check] of Object.entries(checks)) {
    const came = await Promise.resolve()
      .then(check)
      .then(
        () => ({ problem: '' }),
        (error) => ({
          problem: `${error?.code ?? ''} ${error?.message ?? error}`.trim().split('\n')[0],
          code: error?.code,
        }),
      )
    appendFileSync(report, `${JSON.stringify({ name, ...came })}\n`)
  }
  appendFileSync(report, `${JSON.stringify({ name: 'the end', problem: '' })}\n`)
}

main()
