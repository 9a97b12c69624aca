'use strict'
// Single objects: written, read, removed, listed.

const { isAnyArrayBuffer } = require('node:util/types')
const { Place } = require('../addon.js')
const { aborted, invalid, run, textOf, unsupported } = require('./call.js')

/** How many objects of one call are on their way at once. */
const AT_ONCE = 16

/** The content as the addon takes it. It copies what it gets before the call returns. */
function contentOf(data, encoding) {
  if (typeof data === 'string') {
    return encoding === undefined || /^utf-?8$/i.test(encoding) ? data : Buffer.from(data, encoding)
  }
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  if (isAnyArrayBuffer(data)) return new Uint8Array(data)
  if (data?.[Symbol.iterator] || data?.[Symbol.asyncIterator]) {
    throw unsupported(
      'an object is written from a string or from bytes, not from an iterable: collect it first',
    )
  }
  throw invalid(TypeError, 'ERR_INVALID_ARG_TYPE', '"data" must be a string, an ArrayBuffer or a view of one')
}

/** Where the version before is kept: nowhere, beside the object, or where the caller says. */
function backupOf(url, { backup, endpoint }) {
  if (backup === undefined || backup === null || backup === false) return undefined
  const text = backup === true ? `${textOf(url)}.backup` : textOf(backup, 'options.backup')
  return new Place(text, false, endpoint === undefined ? undefined : String(endpoint))
}

function optionsOf(options) {
  if (typeof options === 'string') return { encoding: options }
  if (options === undefined || options === null) return {}
  if (typeof options !== 'object') {
    throw invalid(TypeError, 'ERR_INVALID_ARG_TYPE', '"options" must be of type Object')
  }
  return options
}

const published = ({ verified, ...outcome }) => ({ ...outcome, durable: true, verified: verified ?? false })

async function atomicWrite(url, data, options) {
  const given = optionsOf(options)
  const { ifVersion, flag = 'w', ifChanged = false, encoding } = given
  if (flag !== 'w' && flag !== 'wx') {
    throw invalid(TypeError, 'ERR_INVALID_ARG_VALUE', "\"flag\" must be 'w' or 'wx'")
  }
  if (ifVersion !== undefined && typeof ifVersion !== 'string') {
    throw invalid(
      TypeError,
      'ERR_INVALID_ARG_TYPE',
      '"ifVersion" must be a string: the `version` of a result',
    )
  }
  const content = contentOf(data, encoding)
  const bytes = typeof content === 'string' ? Buffer.byteLength(content) : content.byteLength
  const outcome = await run('write', url, given, (place, call) =>
    place.write(call, content, ifVersion, flag === 'wx', Boolean(ifChanged), backupOf(url, given)),
  )
  const { written, ...rest } = published(outcome)
  return { written, bytes, atomic: true, ...rest }
}

/** Each object is complete at any time; they do not change together. */
async function atomicWriteAll(entries, options) {
  const shared = optionsOf(options)
  const { signal, onProgress } = shared
  const stop = new AbortController()
  const noMore = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal
  const results = []
  const running = new Set()
  const names = new Map()
  let failure
  let done = 0
  let position = 0
  const fail = (error) => {
    failure ??= { error }
    stop.abort()
  }
  const start = ({ path, data, ...own }, at) => {
    const name = textOf(path, 'entry.path')
    if (names.has(name)) throw duplicate(name, names.get(name))
    names.set(name, at)
    // Called now, so that the bytes are those that the entry has at this moment.
    const write = atomicWrite(path, data, { ...shared, ...own, signal }).then(
      (result) => {
        results[at] = result
        done++
      },
      (error) => fail(Object.assign(error, { entry: at })),
    )
    running.add(write)
    write.finally(() => running.delete(write))
  }
  try {
    for await (const entry of until(noMore, entries)) {
      try {
        start(entry, position)
      } catch (error) {
        fail(Object.assign(error, { entry: position }))
      }
      position++
      while (running.size >= AT_ONCE) await Promise.race(running)
      if (!failure) onProgress?.(done)
    }
  } catch (error) {
    fail(error)
  }
  // Nothing goes on after the call has ended.
  await Promise.all(running)
  if (!failure) return results
  const { error } = failure
  throw done > 0 && error instanceof Error ? Object.assign(error, { committed: true, replaced: done }) : error
}

/** The entries, as `for await` takes them. The signal ends that too while the iterator is at work on one. */
async function* until(signal, entries) {
  const isAsync = entries[Symbol.asyncIterator] !== undefined
  const iterator = entries[isAsync ? Symbol.asyncIterator : Symbol.iterator]()
  let stop = () => {}
  const abort = () => stop()
  signal.addEventListener('abort', abort)
  const wait = (work) =>
    new Promise((resolve, reject) => {
      stop = () => reject(aborted(signal))
      if (signal.aborted) stop()
      else Promise.resolve(work()).then(resolve, reject)
    })
  let isAtWork = false
  let isOver = false
  try {
    for (;;) {
      isAtWork = true
      const { done, value } = await wait(() => iterator.next()).catch((error) => {
        isOver = !signal.aborted
        throw error
      })
      isOver = Boolean(done)
      if (isOver) return
      const entry = isAsync ? value : await wait(() => value)
      isAtWork = false
      yield entry
    }
  } finally {
    try {
      const closed = isOver ? undefined : new Promise((resolve) => resolve(iterator.return?.()))
      // The work on an entry would have to end before an iterator that makes one.
      closed?.catch(() => {})
      if (closed && !isAtWork) await wait(() => closed)
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }
}

function duplicate(name, duplicateOf) {
  const error = new Error(`ERR_ATOMIC_DUPLICATE: two entries name the same object, write '${name}'`)
  return Object.assign(error, { code: 'ERR_ATOMIC_DUPLICATE', path: name, duplicateOf })
}

async function readIndex(url, options) {
  const given = optionsOf(options)
  const found = await run('read', url, given, (place, call) => place.read(call))
  if (!found) return { value: structuredClone(given.initial), version: undefined }
  return { value: parseIndex(found.text, url), version: found.version }
}

function parseIndex(text, url) {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch (cause) {
    const message = `ERR_ATOMIC_CORRUPT_INDEX: the object is not JSON: restore a version that is, read '${url}'`
    throw Object.assign(new SyntaxError(message, { cause }), {
      code: 'ERR_ATOMIC_CORRUPT_INDEX',
      path: String(url),
    })
  }
}

async function remove(url, options) {
  const given = optionsOf(options)
  const removed = await run('remove', url, given, (place, call) => place.remove(call, given.ifVersion))
  return { removed, durable: true }
}

/** In the order of the keys. Objects that change meanwhile are listed as they were, as they are, or not. */
async function* list(url, options) {
  const given = optionsOf(options)
  const text = textOf(url)
  // A part of a name is a prefix too: the store is asked for the folder.
  const folder = text.slice(0, Math.max(text.lastIndexOf('/') + 1, text.indexOf('://') + 3))
  const isBucket = folder.endsWith('://')
  let after
  for (;;) {
    const from = after
    // Each page has limits of its own: the loop around it may take as long as it likes.
    const page = await run('list', isBucket ? text : folder, given, (place, call) => place.list(call, from), {
      folder: true,
    })
    for (const { path, size, version, modified } of page) {
      if (path.startsWith(isBucket ? `${text}/` : text))
        yield { path, size, version, modified: new Date(modified) }
    }
    if (page.length < 1000) return
    after = page.at(-1).key
  }
}

module.exports = {
  AT_ONCE,
  atomicWrite,
  atomicWriteAll,
  backupOf,
  contentOf,
  list,
  optionsOf,
  parseIndex,
  published,
  readIndex,
  remove,
  until,
}
