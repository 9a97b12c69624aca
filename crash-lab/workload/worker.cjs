// One of the threads that workers.mjs terminates: it writes and updates until then. CommonJS: Node 20 itself
// aborts when it is terminated in the middle of evaluating an ES module.

const { join } = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { isMainThread, workerData } = require('node:worker_threads')
const { atomicIndexUpdate, atomicWrite } = require('../..')

const FILES = 6

/** A page that tells whether it is whole: its own name, over and over. */
const page = (id) => Buffer.alloc(50_000, `${id};`)
const increment = (index) => ({ n: (index?.n ?? 0) + 1 })
/** Who is terminated in here holds the lock, and waits for a timer that never comes. */
const slowly = async (index) => {
  await sleep(3)
  return increment(index)
}

async function work({ folder, id, acknowledged }) {
  for (let i = 0; ; i++) {
    await Promise.all([
      atomicWrite(join(folder, `page-${(id + i) % FILES}`), page(`${id}-${i}`)),
      atomicIndexUpdate(join(folder, 'index.json'), i % 3 === 0 ? slowly : increment, {
        backup: id % 2 === 0,
      }).then(() => Atomics.add(acknowledged, 0, 1)),
    ])
  }
}

if (!isMainThread) work(workerData)

module.exports = { FILES, increment, page }
