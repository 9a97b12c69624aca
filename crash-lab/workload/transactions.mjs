// The workload of power cuts in transactions: each of two processes changes four files in two directories together, beside plain
// writes and updates of the same files. As in power.mjs, each operation is announced to the recorder, and reported when its
// promise has resolved.
//
// node transactions.mjs FOLDER CONTROL SIZE ROUNDS NUMBER

import {
  closeSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  watch,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const { atomicIndexUpdate, atomicTransaction, atomicWrite } = createRequire(import.meta.url)('../..')
const [folder, control, size, rounds, number] = [
  process.argv[2],
  process.argv[3],
  +process.argv[4],
  +process.argv[5],
  +process.argv[6],
]
const recorder = openSync(control, 'w')
let operations = 0
/** No machine is so slow. */
const timeout = 600_000
const POSTS = 'blog/index.json'
const TOPICS = 'system/topics.json'

const nextId = () => number * 100_000 + ++operations

/** Short enough to be one write, or those of two processes would mix. */
function report(/** @type {object} */ message) {
  writeSync(recorder, `${JSON.stringify({ ...message, bytes: 0 })}\n`)
}

/** Bytes that belong to this operation alone, and look different on every page. The lab makes them again. */
function content(/** @type {number} */ id) {
  let text = ''
  for (let line = 0; text.length < size; line++) text += `operation ${id}, line ${line}\n`
  return text
}

const initial = () => ({ filler: 'x'.repeat(size >> 1), entries: [] })
const add = (/** @type {number} */ id) => (/** @type {{ entries: number[] }} */ index) => {
  index.entries.push(id)
  return index
}

/** A post and another file are written or a draft goes, and two indexes say so. */
async function publish(
  /** @type {string} */ post,
  /** @type {{ other?: string, draft?: string }} */ { other, draft } = {},
) {
  const id = nextId()
  const writes = [post, other].filter((path) => path !== undefined)
  report({ together: id, writes, removes: draft ?? null, indexes: [POSTS, TOPICS] })
  const { durable, batchSize } = await atomicTransaction(
    folder,
    (tx) => {
      tx.write(post, content(id))
      tx.update(POSTS, add(id), { initial: initial(), backup: true })
      if (other !== undefined) tx.write(other, content(id))
      tx.update(TOPICS, add(id), { initial: initial() })
      if (draft !== undefined) tx.remove(draft)
    },
    { timeout },
  )
  report({ done: id, durable, batch: batchSize })
}

async function write(/** @type {string} */ path) {
  const id = nextId()
  report({ together: id, writes: [path], removes: null, indexes: [] })
  const { durable } = await atomicWrite(join(folder, path), content(id), { mkdir: true })
  report({ done: id, durable })
}

async function update(/** @type {string} */ path) {
  const id = nextId()
  report({ together: id, writes: [], removes: null, indexes: [path] })
  const { durable } = await atomicIndexUpdate(join(folder, path), add(id), { initial: initial(), timeout })
  report({ done: id, durable })
}

function flush(/** @type {string} */ path) {
  const file = openSync(path, 'r')
  fsyncSync(file)
  closeSync(file)
}

/** Resolves when `path` is the file `ino`, or `ended` is fulfilled. A change of the directory is an event: looking again and again takes a processor.
 * @param {string} path
 * @param {number} ino
 * @param {Promise<void>} ended */
async function becomes(path, ino, ended) {
  let look = () => {}
  const watcher = watch(dirname(path), () => look())
  const is = new Promise((resolve) => {
    look = () => statSync(path).ino === ino && resolve()
  })
  look()
  await Promise.race([is, ended])
  watcher.close()
}

/** A file moves to another directory, over one that is there, and two indexes say so. Its own directory is flushed for nothing else. As soon as it
 * has its new name, a program without this library may replace the old one, or remove it.
 * @param {string} name
 * @param {'replaced' | 'removed'} [meanwhile] */
async function move(name, meanwhile) {
  const [from, to] = [`inbox/${name}/moved`, `system/${name}`]
  await Promise.all([write(from), write(to)])
  const [id, theirs] = [nextId(), nextId()]
  const [old, temp] = [join(folder, from), join(folder, `${from}.theirs`)]
  const { ino } = statSync(old)
  if (meanwhile === 'replaced') {
    writeFileSync(temp, content(theirs))
    flush(temp)
  }
  report({ together: id, writes: [], removes: null, moves: { from, to }, indexes: [POSTS, TOPICS] })
  const moving = atomicTransaction(
    folder,
    (tx) => {
      tx.rename(from, to)
      tx.update(POSTS, add(id), { initial: initial(), backup: true })
      tx.update(TOPICS, add(id), { initial: initial() })
    },
    { timeout },
  )
  const ended = moving.then(
    () => {},
    () => {},
  )
  if (meanwhile) await becomes(join(folder, to), ino, ended)
  if (meanwhile === 'replaced') {
    report({ together: theirs, writes: [from], removes: null, indexes: [] })
    renameSync(temp, old)
    flush(dirname(old))
    report({ done: theirs, durable: true })
  } else if (meanwhile === 'removed') {
    rmSync(old, { force: true })
  }
  const { durable, batchSize } = await moving
  report({ done: id, durable, batch: batchSize })
}

/** Folders are made, a file is written there and another one moves there, and two indexes say so. */
async function fill(/** @type {string} */ name) {
  const [from, made] = [`inbox/${name}/entry`, `made/${name}/below`]
  const [page, to] = [`${made}/page`, `${made}/entry`]
  await write(from)
  const id = nextId()
  const makes = [made, `made/${name}/empty`]
  report({
    together: id,
    writes: [page],
    removes: null,
    moves: { from, to },
    makes,
    indexes: [POSTS, TOPICS],
  })
  const { durable, batchSize } = await atomicTransaction(
    folder,
    (tx) => {
      for (const path of makes) tx.mkdir(path)
      tx.write(page, content(id))
      tx.rename(from, to)
      tx.update(POSTS, add(id), { initial: initial(), backup: true })
      tx.update(TOPICS, add(id), { initial: initial() })
    },
    { timeout },
  )
  report({ done: id, durable, batch: batchSize })
}

/** A folder and nothing else: no other flush takes it along. */
async function make(/** @type {string} */ path) {
  const id = nextId()
  report({ together: id, writes: [], removes: null, makes: [path], indexes: [] })
  const { durable } = await atomicTransaction(folder, [{ mkdir: path }], { timeout })
  report({ done: id, durable })
}

/** A transaction that fails leaves the folders that it has made, and nothing else. */
async function fail(/** @type {string} */ name) {
  const id = nextId()
  const [made, page] = [`failed/${name}/below`, `failed/${name}/page`]
  report({ together: id, writes: [page], removes: null, makes: [made], indexes: [POSTS, TOPICS] })
  const failing = atomicTransaction(
    folder,
    (tx) => {
      tx.mkdir(made)
      tx.write(page, content(id))
      tx.update(POSTS, add(id), { initial: initial(), backup: true })
      tx.update(TOPICS, () => {
        throw new Error('it is to fail')
      })
    },
    { timeout },
  )
  const message = await failing.then(
    () => 'it did not fail',
    (error) => error.message,
  )
  if (message !== 'it is to fail') throw new Error(message)
  report({ failed: id })
}

for (let round = 0; round < rounds; round++) {
  const draft = `system/draft-${number}-${round}`
  const folders = `folders/${number}-${round}`
  await make(`${folders}/first`)
  await Promise.all([write(draft), write(`blog/plain-${number}`)])
  await publish(`blog/post-${number}-${round % 2}`, { draft })
  await Promise.all([publish('blog/post', { other: 'system/metrics' }), update(TOPICS), write('blog/post')])
  await move(`moved-${number}-${round}`, round % 2 === number ? 'replaced' : 'removed')
  await make(`${folders}/second`)
  await move(`quiet-${number}-${round}`)
  await fill(`${number}-${round}`)
  await make(`${folders}/third`)
  await fail(`${number}-${round}`)
  await make(`${folders}/fourth`)
  // Some of these are committed together.
  await Promise.all(
    [0, 1, 2].map((at) => publish(`blog/post-${number}-${at}`, { other: `system/state-${at}` })),
  )
  await Promise.all([update(POSTS), publish(`blog/new-${number}-${round}`)])
}
