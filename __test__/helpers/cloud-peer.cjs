// A stand-in for the peer, in memory: it shows what the base package hands over, and fails on demand.
'use strict'

/** Each call: the name of the function and its arguments. @type {unknown[][]} */
const calls = []

/** The objects, by URL. @type {Map<string, { text: string, version: string }>} */
const objects = new Map()

const fake = {
  calls,
  objects,
  /** What functions reject with. @type {unknown} */
  failure: undefined,
  /** Runs before each read and each attempt to replace, and may wait or throw. @type {(what: string, signal: AbortSignal) => any} */
  before: () => {},
  /** What reads wait for first. @type {Promise<void> | undefined} */
  gate: undefined,
  /**
   * The outcomes of calls that share what they can: nothing is read before all of them are in the queue. One behind them
   * that may not wait shows when they are. The test is told how long it took from then on.
   *
   * @template T
   */
  async together(
    /** @type {(url: string, fn: (index: unknown) => unknown, options: object) => Promise<unknown>} */ update,
    /** @type {() => Promise<T>[]} */ start,
  ) {
    let open = () => {}
    fake.gate = new Promise((resolve) => {
      open = resolve
    })
    const calls = start()
    await update('s3://b/i', (index) => index, { timeout: 0 }).catch(() => {})
    const opened = performance.now()
    open()
    const outcomes = await Promise.allSettled(calls)
    process.send?.({ sent: performance.now() - opened })
    return outcomes
  },
  /** What `atomicWriteAll` makes of the entries. @type {(entries: AsyncIterable<unknown>) => Promise<unknown>} */
  async writeAll(entries) {
    const written = []
    for await (const entry of entries) written.push(entry)
    return written
  },
  /** Another writer. */
  put(/** @type {string} */ url, /** @type {string} */ text) {
    objects.set(url, { text, version: `v${++versions}` })
  },
  /** What a caller is told that does not wait for a write any longer. @type {Error | undefined} */
  doubt: undefined,
  count: (/** @type {string} */ name) => calls.filter(([called]) => called === name).length,
}

let versions = 0

const handOn =
  (/** @type {string} */ name) =>
  async (/** @type {unknown[]} */ ...args) => {
    calls.push([name, ...args])
    if (fake.failure) throw fake.failure
    return { by: name }
  }

/** Reads and replaces one object. */
function openIndex(/** @type {string | URL} */ url, /** @type {any} */ options) {
  calls.push(['openIndex', url, options])
  const key = String(url)
  /** @type {string | undefined} */
  let version
  let [attempts, conflicts] = [0, 0]
  return {
    key: `${key} at ${options.endpoint}`,
    get version() {
      return version
    },
    async read() {
      calls.push(['read'])
      await fake.gate
      await fake.before('read', options.signal)
      if (fake.failure) throw fake.failure
      version = objects.get(key)?.version
      return objects.get(key)?.text
    },
    get doubt() {
      return fake.doubt
    },
    async replaceIf(/** @type {string} */ text, /** @type {{ write: number, doubt: number }} */ times) {
      calls.push(['replaceIf', text, times])
      await fake.before('replaceIf', options.signal)
      if (fake.failure) throw fake.failure
      attempts++
      if (objects.get(key)?.version !== version) {
        conflicts++
        return { done: false }
      }
      fake.put(key, text)
      version = objects.get(key)?.version
      return {
        done: true,
        version,
        attempts,
        conflicts,
        recovered: false,
        verified: 'checksum',
        durable: true,
      }
    },
  }
}

module.exports = {
  fake,
  openIndex,
  atomicWrite: handOn('atomicWrite'),
  readIndex: handOn('readIndex'),
  remove: handOn('remove'),
  atomicIndexPatch: handOn('atomicIndexPatch'),
  atomicPublish: handOn('atomicPublish'),
  readRelease: handOn('readRelease'),
  async *list(/** @type {string | URL} */ prefix, /** @type {unknown} */ options) {
    calls.push(['list', prefix, options])
    yield { path: `${prefix}/1` }
  },
  async atomicWriteAll(/** @type {AsyncIterable<unknown>} */ entries, /** @type {unknown} */ options) {
    calls.push(['atomicWriteAll', options])
    if (fake.failure) throw fake.failure
    return fake.writeAll(entries)
  },
}
