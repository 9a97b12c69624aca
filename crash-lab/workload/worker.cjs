// One of the threads that workers.mjs terminates: it writes and updates until then. It is CommonJS because Node 20
// itself aborts when a thread is terminated while it evaluates an ES module.

const { writeFileSync } = require('node:fs')
const { join } = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { isMainThread, workerData } = require('node:worker_threads')
const { AtomicFile, atomicDirectory, atomicIndexUpdate, atomicWrite, atomicWriteAll } = require('../..')

const FILES = 6
const SITE = ['a', 'b']

/** A page that shows whether it is whole: its own name, over and over. */
const page = (id) => Buffer.alloc(50_000, `${id};`)
const increment = (index) => ({ n: (index?.n ?? 0) + 1 })
/** A thread that is terminated in here holds the lock, and waits for a timer that never fires. */
const slowly = async (index) => {
  await sleep(3)
  return increment(index)
}

async function pieces(path, id) {
  const file = await AtomicFile.open(path)
  const content = page(id)
  for (let at = 0; at < content.length; at += 10_000) await file.write(content.subarray(at, at + 10_000))
  return file.commit()
}

const build = (id) => (staging) => {
  for (const name of SITE) writeFileSync(join(staging, name), id)
}

async function work({ folder, id, acknowledged }) {
  for (let i = 0; ; i++) {
    await Promise.all([
      atomicWrite(join(folder, `page-${(id + i) % FILES}`), page(`${id}-${i}`)),
      ...others[i % others.length](folder, `${id}-${i}`),
      atomicIndexUpdate(join(folder, 'index.json'), i % 3 === 0 ? slowly : increment, {
        backup: id % 2 === 0,
        timeout: 600_000,
      }).then(() => Atomics.add(acknowledged, 0, 1)),
    ])
  }
}

/** One of them at a time, as each takes longer than a write. */
const others = [
  (folder, id) => [pieces(join(folder, 'page-pieces'), id)],
  (folder, id) => [
    atomicWriteAll(
      ['a', 'b', 'c', 'd', 'e'].map((name) => ({ path: join(folder, `page-${name}`), data: page(id) })),
    ),
  ],
  (folder, id) => [atomicDirectory(join(folder, 'site'), build(id), { flush: false })],
]

if (!isMainThread) work(workerData)

module.exports = { FILES, SITE, increment, page }
