// One call of the addon, for a driver that traces it: prints which threads there are, waits until the tracer has
// attached, makes the call, prints what came of it, and makes it again on request.

import { existsSync, readdirSync, readFileSync, readSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { access, readlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { descriptors, leaked } from './rest.mjs'

const {
  AtomicFile,
  appendLines,
  atomicDirectory,
  atomicIndexPatch,
  atomicIndexUpdate,
  atomicTransaction,
  atomicWrite,
  atomicWriteAll,
  recover,
  snapshotRead,
} = createRequire(import.meta.url)('../..')

/** `group`: how many updates or patches at once are one call.
 * @type {{ op: 'write' | 'update' | 'patch' | 'file' | 'append' | 'all' | 'tree' | 'transaction' | 'recover' | 'snapshot' | 'control', path: string, fill: string, companions: string[], size: number, options: object,
 *   group: number, warm?: string, waits?: boolean, removes?: string, moves?: string[], makes?: string[], fills?: string, rooted?: boolean, survives?: string, calls: number, traced: boolean }} */
const spec = JSON.parse(process.argv[2])

const say = (line) => writeSync(1, `${JSON.stringify(line)}\n`)

/** Blocks the thread, so that no timer and no read of libuv runs beside the call. */
const waitForDriver = () => readSync(0, Buffer.alloc(1)) === 1

const initial = { n: 1, pad: 'x'.repeat(spec.size) }

function increment(index) {
  return { ...index, n: index.n + 1 }
}

async function call() {
  const data = () => Buffer.alloc(spec.size, spec.fill)
  if (spec.op === 'update') return atomicIndexUpdate(spec.path, increment, { initial, ...spec.options })
  if (spec.op === 'patch') return atomicIndexPatch(spec.path, { increment: { '/n': 1 } }, spec.options)
  if (spec.op === 'write') return atomicWrite(spec.path, data(), spec.options)
  if (spec.op === 'append') {
    return { written: true, ...(await appendLines(spec.path, 'x'.repeat(spec.size), spec.options)) }
  }
  if (spec.op === 'file') return pieceByPiece(data())
  if (spec.op === 'all') return together(data())
  if (spec.op === 'tree') return tree(data())
  if (spec.op === 'transaction') return transaction()
  if (spec.op === 'recover') return { durable: true, ...(await recover(root, spec.options)) }
  if (spec.op === 'snapshot') return { durable: true, versions: await versions() }
  // The lab must find faults with this.
  await writeFile(spec.path, data())
  return { written: true, durable: true, verified: 'cache' }
}

/** Each piece is large enough to be written by itself. A failure is not cleaned up here. */
async function pieceByPiece(/** @type {Buffer} */ data) {
  const file = await AtomicFile.open(spec.path, spec.options)
  for (let at = 0; at < data.length; at += 70_000) {
    await file.write(data.subarray(at, at + 70_000))
    await new Promise(setImmediate)
  }
  return file.commit()
}

/** One result for all. */
async function together(/** @type {Buffer} */ data) {
  const paths = [spec.path, ...spec.companions.map((name) => join(dirname(spec.path), name))]
  const results = await atomicWriteAll(
    paths.map((path) => ({ path, data })),
    spec.options,
  )
  const all = (key) => results.every((result) => result[key])
  return { ...results[0], written: all('written'), durable: all('durable') }
}

/** The files are written without the library, and on a thread that is not traced. */
async function tree(/** @type {Buffer} */ data) {
  const build = (/** @type {string} */ staging) => {
    for (const name of spec.companions) writeFileSync(join(staging, name), data)
  }
  const { durable, previous } = await atomicDirectory(spec.path, build, spec.options)
  return { written: true, durable, previous, verified: 'cache' }
}

/** Transactions that were made here. */
let calls = 0

/** The root of transactions. */
const root = dirname(spec.path)

/** Two indexes, posts of the version that the first of them gets, and a draft that goes, or a file that moves, once; folders are made for it. */
async function transaction() {
  const [from, to] = spec.moves ?? []
  // An interrupted transaction may have moved it already.
  if (spec.moves && (calls > 0 || !spec.traced)) await recover(root)
  calls++
  const [second, ...posts] = spec.companions
  let text = ''
  const { durable, recovered } = await atomicTransaction(
    root,
    (tx) => {
      const first = (index) => {
        const next = increment(index)
        text = JSON.stringify(next, null, 2)
        return next
      }
      tx.update(spec.path, first, { initial, backup: true })
      tx.update(second, increment, { initial })
      for (const folder of spec.makes ?? []) tx.mkdir(folder)
      for (const post of posts) tx.write(post, () => text)
      if (spec.fills) tx.write(spec.fills, () => text)
      if (from && to && existsSync(join(root, from))) tx.rename(from, to)
      if (spec.removes) tx.remove(spec.removes, { missing: 'ignore' })
    },
    spec.options,
  )
  return { written: true, durable, recovered, verified: 'cache' }
}

/** Of all files, at one moment. */
async function versions() {
  const texts = await snapshotRead(root, [basename(spec.path), ...spec.companions])
  return texts.map((text) => (text === null ? null : JSON.parse(text).n))
}

/** What came of it, for the driver. */
async function outcome(/** @type {Promise<object>} */ promise) {
  try {
    return { result: await promise }
  } catch (error) {
    const { name, code, errno, syscall, path, dest, committed, message, stack } = error
    return { error: { name, code, errno, syscall, path, dest, committed, message, stack } }
  }
}

/** None waits for another; each is reported as soon as its own promise resolves. */
function group() {
  const add = (id) => (index) => ({ ...increment(index), done: [...(index.done ?? []), id] })
  const change = (id) =>
    spec.op === 'patch'
      ? atomicIndexPatch(spec.path, { increment: { '/n': 1 }, append: { '/done': [id] } }, spec.options)
      : atomicIndexUpdate(spec.path, add(id), { initial, ...spec.options })
  const update = async (id) => {
    const came = await outcome(change(id))
    if (came.result) say({ resolved: id })
    return came
  }
  return Promise.all(Array.from({ length: spec.group }, (_, id) => update(id)))
}

async function mark(name) {
  if (spec.traced) await access(`/atomic-lab-${name}`).catch(() => {})
}

async function attempt() {
  const before = descriptors()
  await mark('begin')
  const waiting = spec.waits ? sayWhenWaiting() : undefined
  const came = spec.group > 0 ? { group: await group() } : await outcome(call())
  clearInterval(waiting)
  await mark('end')
  say({ ...came, leaked: await leaked(before) })
}

/** The thread that waits for locks, once there is one. */
function waiterThread() {
  return readdirSync('/proc/self/task').find((tid) => {
    try {
      return readFileSync(`/proc/self/task/${tid}/comm`, 'utf8').trim() === 'atomic-wait'
    } catch {
      return false // it has ended meanwhile
    }
  })
}

/** The driver holds the lock until this reports that the call waits. A call that waits makes the lock file longer, for the
 * holder to see. If that is the system call that fails here, this reports it after a second. */
function sayWhenWaiting() {
  const lock = join(dirname(spec.path), `.${basename(spec.path)}.lock`)
  let looks = 0
  const looking = setInterval(() => {
    looks++
    if ((statSync(lock, { throwIfNoEntry: false })?.size ?? 0) === 0 && looks < 200) return
    clearInterval(looking)
    say({ waiting: true })
  }, 5)
  return looking
}

/** The thread exists from the first wait on. The driver holds this lock until this reports that there is one. */
async function startWaiter(folder) {
  const looking = setInterval(() => {
    if (!waiterThread()) return
    clearInterval(looking)
    say({ waiting: true })
  }, 5)
  await atomicIndexUpdate(`${folder}/index.json`, () => ({ warm: true }), { timeout: 600_000 })
  clearInterval(looking)
  return Number(waiterThread())
}

const waiter = spec.warm ? await startWaiter(spec.warm) : undefined
// With UV_THREADPOOL_SIZE=1 this is the one worker's own id.
const worker = Number((await readlink('/proc/thread-self')).split('/').at(-1))

if (spec.rooted) await transaction()
// It has been here before what happens next.
if (spec.survives) await atomicIndexUpdate(join(root, spec.survives), increment, { initial })

say({ worker, waiter })
for (let i = 0; i < spec.calls; i++) {
  if ((spec.traced || spec.survives) && !waitForDriver()) break
  await attempt()
}
