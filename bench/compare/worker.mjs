// A process that writes by one contender, and tells its parent what has been acknowledged. It ends with its parent.
//
// node worker.mjs CONTENDER

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { contenders } from './contenders.mjs'
import { makeDocument } from './document.mjs'

const contender = contenders[process.argv[2] ?? '']
if (!contender) throw new Error(`no contender ${process.argv[2]}`)
const { open } = contender

/** How big the index is that is replaced again and again, and a new file beside it. */
const INDEX = 1 << 20
const POST = 16 << 10

/** @type {import('./contenders.mjs').Store} */
let store

/** @type {Record<string, (question: any) => Promise<unknown>>} */
const tasks = {
  /** Replaces a file once. */
  async write({ path, version, bytes }) {
    await (await open(path)).write(makeDocument(version, bytes))
  },

  /** Replaces a file so often, each call awaited. */
  async replace({ path, times, bytes }) {
    const store = await open(path)
    for (let version = 2; version < times + 2; version++) {
      await store.write(makeDocument(version, bytes))
      // A package whose calls are synchronous leaves no room for anything else.
      await nextTurn()
    }
  },

  /** Opens a file for `increment`. */
  async open({ path }) {
    store = await open(path)
  },

  /** Adds 1 so often, each call awaited, and tells which of them failed. */
  async increment({ times }) {
    /** @type {string[]} */
    const errors = []
    for (let i = 0; i < times; i++) {
      await store
        .update((value) => {
          value.count++
        })
        .catch((error) => errors.push(String(error)))
      await nextTurn()
    }
    return errors
  },

  /** Replaces an index and adds a new file, again and again, until the process is killed. */
  async publish({ folder, from = 1 }) {
    await mkdir(folder, { recursive: true })
    const index = await open(join(folder, 'index.json'))
    for (let version = from; ; version++) {
      await index.write(makeDocument(version, INDEX))
      process.send?.({ index: version })
      const post = await open(join(folder, `post-${version}.json`))
      await post.write(makeDocument(version, POST))
      process.send?.({ post: version })
      await nextTurn()
    }
  },
}

process.on('disconnect', () => process.exit())
process.on('message', async (/** @type {{ task: string }} */ question) => {
  const answer = await tasks[question.task]?.(question).then(
    (value) => ({ value }),
    (error) => ({ error: { name: error.name, message: String(error.message), code: error.code } }),
  )
  process.send?.({ answer })
})
process.send?.({ ready: true })
