// The workload of the power cuts: every way of writing that promises something, several at a time.
// It announces each operation to the recorder with its bytes before it starts, and reports it when its
// promise has resolved, so that the lab knows what may and what must be on the disk at any moment.
//
// node power.mjs FOLDER CONTROL SIZE ROUNDS

import { mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const {
  AtomicFile,
  appendLines,
  atomicDirectory,
  atomicIndexPatch,
  atomicIndexUpdate,
  atomicWrite,
  atomicWriteAll,
} = createRequire(import.meta.url)('../..')
const [folder, control, size, rounds] = [process.argv[2], process.argv[3], +process.argv[4], +process.argv[5]]
const recorder = openSync(control, 'w')
let operations = 0
/** No machine is so slow. */
const timeout = 600_000
/** @type {Set<string>} */
const indexes = new Set()

/** One message: a line of JSON with the length of the bytes, and the bytes. It is in the recorder's log when this returns. */
function report(/** @type {object} */ message, /** @type {Uint8Array} */ bytes = Buffer.alloc(0)) {
  const head = `${JSON.stringify({ ...message, bytes: bytes.length })}\n`
  const frame = Buffer.concat([Buffer.from(head), bytes])
  for (let done = 0; done < frame.length; ) done += writeSync(recorder, frame, done)
}

/** Bytes that belong to this operation alone, and look different on every page. */
function content(/** @type {number} */ id, length = size) {
  const bytes = Buffer.alloc(length)
  for (let i = 0, word = id * 2654435761; i + 4 <= length; i += 4) {
    word = (Math.imul(word ^ (word >>> 15), 2246822519) + i) | 0
    bytes.writeInt32LE(word, i)
  }
  bytes.write(`operation ${id}\n`)
  return bytes
}

const times = (/** @type {number} */ count, /** @type {(i: number) => Promise<void>} */ run) =>
  Array.from({ length: count }, (_, i) => run(i))

async function write(/** @type {string} */ path, /** @type {object} */ options = {}, length = size) {
  const id = operations++
  const bytes = content(id, length)
  report({ write: id, path }, bytes)
  const { durable } = await atomicWrite(join(folder, path), bytes, options)
  report({ done: id, durable })
}

/** The same, in pieces of growing size. */
async function stream(/** @type {string} */ path, /** @type {object} */ options = {}) {
  const id = operations++
  const bytes = content(id)
  report({ write: id, path }, bytes)
  const file = await AtomicFile.open(join(folder, path), options)
  for (let at = 0, some = 1; at < size; at += some, some *= 7) await file.write(bytes.subarray(at, at + some))
  const { durable } = await file.commit()
  report({ done: id, durable })
}

/** Several files behind one barrier. */
async function writeAll(/** @type {string[]} */ paths, /** @type {object} */ options = {}) {
  const entries = paths.map((path) => {
    const id = operations++
    const data = content(id)
    report({ write: id, path }, data)
    return { id, path: join(folder, path), data }
  })
  const results = await atomicWriteAll(entries, options)
  for (const [at, { durable }] of results.entries()) report({ done: entries[at].id, durable })
}

/** A whole directory, whose files are written without the library. */
async function tree(/** @type {string} */ path, /** @type {object} */ options = {}) {
  const id = operations++
  const files = ['index.html', 'pages/a.html', 'pages/deep/b.html'].map((name, at) => ({
    name,
    bytes: content(id, at === 1 ? size >> 1 : size),
  }))
  for (const { name, bytes } of files) report({ tree: id, path, file: name }, bytes)
  const build = (/** @type {string} */ staging) => {
    mkdirSync(join(staging, 'pages/deep'), { recursive: true })
    for (const { name, bytes } of files) writeFileSync(join(staging, name), bytes)
  }
  const { durable } = await atomicDirectory(join(folder, path), build, options)
  report({ done: id, durable })
}

async function update(/** @type {string} */ path, /** @type {object} */ options = {}) {
  const id = operations++
  indexes.add(path)
  const entry = `${id} ${'x'.repeat(40)}`
  report({ update: id, path, entry, backup: Boolean(options.backup) })
  const add = (/** @type {{ entries: string[] }} */ index) => {
    index.entries.push(entry)
    return index
  }
  const initial = { filler: content(id, Math.max(0, size - 100) >> 1).toString('hex'), entries: [] }
  const { durable, batchSize } = await atomicIndexUpdate(join(folder, path), add, {
    initial,
    timeout,
    ...options,
  })
  report({ done: id, durable, batch: batchSize })
}

/** The same by a patch, of an index that is there. */
async function patch(/** @type {string} */ path, /** @type {object} */ options = {}) {
  const id = operations++
  const entry = `${id} ${'x'.repeat(40)}`
  report({ update: id, path, entry, backup: Boolean(options.backup) })
  const { durable, batchSize } = await atomicIndexPatch(
    join(folder, path),
    { append: { '/entries': [entry] } },
    { timeout, ...options },
  )
  report({ done: id, durable, batch: batchSize })
}

/** Lines that no other operation appends, some of them longer than a page. */
async function append(
  /** @type {string} */ path,
  /** @type {number} */ count,
  /** @type {object} */ options = {},
) {
  const id = operations++
  const lines = Array.from({ length: count }, (_, at) => `${id}.${at} ${'line '.repeat((at * 389) % 1700)}`)
  report({ lines: id, path }, Buffer.from(lines.map((line) => `${line}\n`).join('')))
  const { durable, batchSize } = await appendLines(join(folder, path), lines, { timeout, ...options })
  report({ done: id, durable, batch: batchSize })
}

/** The entries in the order in which they were added: every earlier version of the index is a beginning of these. */
function last(/** @type {string} */ path) {
  const { filler, entries } = JSON.parse(readFileSync(join(folder, path), 'utf8'))
  report({ index: path, entries, filler })
}

for (let round = 0; round < rounds; round++) {
  // New files, in a directory that is there, and in new ones; two at once in the same new ones.
  await write(`new-${round % 3}-${round}`)
  await Promise.all([
    write(`made-${round}/here/a`),
    write(`made-${round}/here/b`, { verify: 'device' }),
    write(`made-${round}/c`),
  ])
  // Replacements, one after the other, and several at once of one file.
  await write('steady', { ifChanged: true })
  await Promise.all([write('busy'), write('busy'), write('other', { verify: false }), write('busy')])
  await write(`exclusive-${round}`, { flag: 'wx' }, size >> 1)
  await write(`renamed-${round}`, { publish: 'rename' }, size >> 1)
  // What is mounted on itself is overwritten.
  await write('in-place', { fallback: 'in-place' })
  await Promise.all([
    write('in-place', { fallback: 'in-place' }),
    update('in-place.json', { fallback: 'in-place', backup: true }),
    update('in-place.json', { fallback: 'in-place', backup: true }),
  ])
  // Piece by piece: new, replaced, and beside a write in the same folder.
  await stream(`streamed-${round}`)
  await Promise.all([
    stream('streamed'),
    stream('below/streamed', { verify: 'device' }),
    write('below/other'),
  ])
  // Behind one barrier: new files and replacements, in directories that are there and in new ones.
  await writeAll([`set-${round}/a`, 'set/a', 'set/b', `set-${round}/b`, 'steady'])
  // Whole directories: new, replaced, with the previous version kept, and beside another.
  await tree('site', { keepPrevious: true })
  await Promise.all([
    tree('site', { keepPrevious: true }),
    tree(`site-${round}`),
    writeAll(['set/a', 'set/c']),
  ])
  await tree(`site-${round}`)
  // Indexes: alone, and as a group that shares a commit.
  await update('index.json', { backup: true })
  await Promise.all([
    update('index.json', { backup: true }),
    update('index.json', { backup: true }),
    update(`made-${round % 2}/index.json`),
    write('steady'),
  ])
  // Patches: alone, at once, and with functions among them.
  await (round === 0 ? update : patch)('patched.json', { backup: true })
  await Promise.all(times(6, () => patch('patched.json', { backup: true })))
  await Promise.all([
    ...times(3, () => patch('patched.json', { backup: true })),
    update('patched.json', { backup: true }),
    ...times(3, () => patch('patched.json', { backup: true })),
  ])
  // Lines: one, several at once, many pages of them, and into a file that is rotated.
  await append('log', 1)
  await Promise.all([append('log', 2), append('log', 1), append(`made-${round}/log`, 6), append('log', 5)])
  await append('rotated', 4, { rotate: { size: 15_000, keep: 9 } })
  // Many at once, none waiting for another: updates that may share a commit, files that may share their folder's flush.
  await Promise.all([
    ...times(8, () => update('group.json')),
    ...times(16, (i) => write(`crowd/${i}`, {}, Math.min(size, 10_000))),
    write('below/deep'),
  ])
}
for (const path of indexes) last(path)
