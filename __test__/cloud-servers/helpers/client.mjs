// A program that uses the package, in a process of its own: `node client.mjs PACKAGE`. It does what its parent asks for
// and tells of each update at once, so that the parent knows what was acknowledged when it kills it.

import { createRequire } from 'node:module'
import { inspect } from 'node:util'

const send = (/** @type {unknown} */ message) => process.send?.(message)
const atomic = createRequire(import.meta.url)(process.argv[2] ?? '')

/** An error as the parent looks at it; `seen` is everything that a log would show. */
const described = (/** @type {any} */ error) => {
  const { name, code, message, status, requestId, committed, path } = error
  return {
    name,
    code,
    message,
    status,
    requestId,
    committed,
    path,
    seen: `${inspect(error, { depth: 5 })}\n${error.stack}`,
  }
}

/** What an update adds to an index: its number, in the list of its writer. */
const adding = (/** @type {string} */ writer, /** @type {number} */ number) => (/** @type {any} */ index) => {
  index[writer] ??= []
  index[writer].push(number)
  return index
}

const tasks = {
  /** Updates `from` to `from + times - 1`, that many of them under way at once. */
  async update(/** @type {any} */ { url, writer, from = 0, times, parallel = 1, options }) {
    const sums = { attempts: 0, conflicts: 0, recovered: 0, batched: 0 }
    let next = from
    const work = async () => {
      while (next < from + times) {
        const number = next++
        try {
          const result = await atomic.atomicIndexUpdate(url, adding(writer, number), {
            initial: {},
            ...options,
          })
          sums.attempts += result.attempts ?? 0
          sums.conflicts += result.conflicts ?? 0
          sums.recovered += result.recovered ? 1 : 0
          sums.batched += result.batchSize > 1 ? 1 : 0
          send({ acknowledged: number })
        } catch (/** @type {any} */ error) {
          if (error.code === 'ERR_ATOMIC_UNKNOWN_OUTCOME') send({ unknown: number })
          else throw error
        }
      }
    }
    await Promise.all(Array.from({ length: parallel }, work))
    return sums
  },

  /** Adds each of `steps` to the number in an index. @returns the sum of what was acknowledged, and how many are unknown */
  async adjust(/** @type {any} */ { url, steps, options }) {
    const outcome = { sum: 0, unknown: 0 }
    for (const step of steps) {
      try {
        await atomic.atomicIndexUpdate(url, (/** @type {any} */ { n }) => ({ n: n + step }), {
          initial: { n: 0 },
          ...options,
        })
        outcome.sum += step
      } catch (/** @type {any} */ error) {
        if (error.code !== 'ERR_ATOMIC_UNKNOWN_OUTCOME') throw error
        outcome.unknown++
      }
    }
    return outcome
  },

  /**
   * Patches an index for ever, that many of them under way at once. Each patch sets a key with its number, and deletes that of the one
   * before: so one key is left, unless a patch was left out or applied once more, after later ones.
   */
  async patch(/** @type {any} */ { url, writer, parallel, options }) {
    let next = 0
    const work = async () => {
      for (;;) {
        const number = next++
        const change = { set: { [`${writer}:${number}`]: number }, delete: [`${writer}:${number - 1}`] }
        await atomic.atomicIndexPatch(url, change, options)
        send({ acknowledged: number })
      }
    }
    await Promise.all(Array.from({ length: parallel }, work))
  },

  /** @returns the URLs that begin with a prefix */
  async list(/** @type {any} */ { url, options }) {
    const paths = []
    for await (const { path } of atomic.list(url, options)) paths.push(path)
    return paths
  },

  /** Publishes sets of files, one after another, in which every file has the number of its set. */
  async publish(/** @type {any} */ { url, from, times, files, options }) {
    for (let number = from; number < from + times; number++) {
      const entries = Array.from({ length: files }, (_, file) => ({
        path: `folder/${file}.json`,
        data: JSON.stringify({ number }),
      }))
      await atomic.atomicPublish(url, entries, options)
      send({ acknowledged: number })
    }
  },

  /** Reads a release with all of its files. @returns the number of each, or nothing if it was removed meanwhile */
  async release(/** @type {any} */ { url, options }) {
    const { release, files } = await atomic.readRelease(url, options)
    const read = (/** @type {{ url: string }} */ file) => atomic.readIndex(file.url, options)
    const numbers = (await Promise.all(files.map(read))).map(({ value }) => value?.number)
    if (!numbers.includes(undefined)) return { release, numbers }
    // A release that is two behind is removed: then the reader is to look again, and finds another one.
    const now = await atomic.readRelease(url, options)
    return now.release === release ? { release, numbers } : undefined
  },

  /** Calls a function of the package. */
  call: (/** @type {string} */ name, /** @type {unknown[]} */ ...args) => atomic[name](...args),

  /** Calls it, and tells how it failed. */
  fail: (/** @type {string} */ name, /** @type {unknown[]} */ ...args) =>
    atomic[name](...args).then(
      (/** @type {unknown} */ value) => ({ resolved: value }),
      (/** @type {unknown} */ error) => described(error),
    ),
}

process.on(
  'message',
  async (/** @type {{ id: number, task: keyof typeof tasks, args: unknown[] }} */ message) => {
    const { id, task, args } = message
    try {
      // @ts-expect-error: the parent gives each task its own arguments.
      send({ id, result: await tasks[task](...args) })
    } catch (error) {
      send({ id, error: described(error) })
    }
  },
)
// The parent has ended.
process.on('disconnect', () => process.exit())
