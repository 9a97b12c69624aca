'use strict'
// Many objects that change together.

const { Staging } = require('../addon.js')
const { invalid, run } = require('./call.js')
const { AT_ONCE, contentOf, optionsOf, published, until } = require('./objects.js')

/** Uploading a site takes longer than a single request. */
const TIMEOUT_MS = 300_000
/** A timer takes no more. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

async function atomicPublish(prefix, entries, options) {
  const { keep = 1, timeout = TIMEOUT_MS, ...rest } = optionsOf(options)
  const given = { ...rest, timeout }
  if (!Number.isInteger(keep) || keep < 1) {
    throw invalid(
      RangeError,
      'ERR_OUT_OF_RANGE',
      '"keep" must be an integer from 1: readers may have the release before',
    )
  }
  const work = async (place, call) => {
    const staging = new Staging(place, call)
    await stage(staging, entries, given)
    return staging.publish(keep)
  }
  const { outcome, ...release } = await run('publish', prefix, given, work, { folder: true })
  const { written, ...commit } = published(outcome)
  return { ...release, ...commit }
}

/** Writes the entries as they come, some at once. An iterator that gives none for long is not waited for when nothing is to come of it. */
async function stage(staging, entries, { signal, timeout }) {
  checkEntries(entries)
  const stop = new AbortController()
  const running = new Set()
  const paths = new Set()
  let failure
  const fail = (error) => {
    failure ??= { error }
    stop.abort()
  }
  let isLate = false
  const timer = setTimeout(
    () => {
      isLate = true
      stop.abort()
    },
    Math.min(timeout, LONGEST_TIMER_MS),
  )
  try {
    const noMore = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal
    for await (const { path, data } of until(noMore, entries)) {
      check(path, paths)
      const put = staging.put(path, contentOf(data)).catch(fail)
      running.add(put)
      put.finally(() => running.delete(put))
      while (running.size >= AT_ONCE) await Promise.race(running)
    }
  } catch (error) {
    if (!(isLate && error?.code === 'ABORT_ERR')) fail(error)
  } finally {
    clearTimeout(timer)
    await Promise.all(running)
  }
  // The store may have been slow, and then an object says so.
  if (isLate) fail(late(timeout))
  if (failure) throw failure.error
}

function checkEntries(entries) {
  const iterates = entries?.[Symbol.asyncIterator] ?? entries?.[Symbol.iterator]
  if (typeof iterates !== 'function' || typeof entries === 'string') {
    throw invalid(TypeError, 'ERR_INVALID_ARG_TYPE', '"entries" must be an iterable of { path, data }')
  }
}

/** As the addon tells it of a request. */
function late(timeout) {
  const text = `nothing was published: the entries did not come to their end within ${timeout} ms`
  return new Error(JSON.stringify({ code: 'ETIMEDOUT', text, status: null, requestId: null }))
}

function check(path, paths) {
  if (
    typeof path !== 'string' ||
    path.split('/').some((part) => part === '' || part === '.' || part === '..')
  ) {
    const message = '"entry.path" must be relative to the release, as in \'assets/a.css\''
    throw invalid(TypeError, 'ERR_INVALID_ARG_VALUE', message)
  }
  if (path === '.manifest.json' || paths.has(path)) {
    const message = `ERR_ATOMIC_DUPLICATE: two entries name the same object, publish '${path}'`
    throw invalid(Error, 'ERR_ATOMIC_DUPLICATE', message)
  }
  paths.add(path)
}

async function readRelease(prefix, options) {
  const found = await run('read', prefix, optionsOf(options), (place, call) => place.readRelease(call), {
    folder: true,
  })
  if (!found) return { release: undefined, version: undefined, url: undefined, files: [] }
  const files = Object.entries(found.files).map(([path, size]) => ({ path, url: found.url + path, size }))
  return { ...found, files: files.sort((a, b) => (a.path < b.path ? -1 : 1)) }
}

module.exports = { atomicPublish, readRelease }
