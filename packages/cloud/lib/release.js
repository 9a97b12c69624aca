'use strict'
// Many objects that change together.

const { Staging } = require('../addon.js')
const { invalid, run } = require('./call.js')
const { AT_ONCE, contentOf, optionsOf, published } = require('./objects.js')

/** Uploading a site takes longer than a single request. */
const TIMEOUT_MS = 300_000

async function atomicPublish(prefix, entries, options) {
  const given = { timeout: TIMEOUT_MS, ...optionsOf(options) }
  const { keep = 1 } = given
  if (!Number.isInteger(keep) || keep < 1) {
    throw invalid(
      RangeError,
      'ERR_OUT_OF_RANGE',
      '"keep" must be an integer from 1: readers may have the release before',
    )
  }
  const work = async (place, call) => {
    const staging = new Staging(place, call)
    await stage(staging, entries)
    return staging.publish(keep)
  }
  const { outcome, ...release } = await run('publish', prefix, given, work, { folder: true })
  const { written, ...commit } = published(outcome)
  return { ...release, ...commit }
}

/** Writes the entries as they come, some at once. */
async function stage(staging, entries) {
  const running = new Set()
  const paths = new Set()
  let failure
  try {
    for await (const { path, data } of entries) {
      check(path, paths)
      const put = staging.put(path, contentOf(data)).catch((error) => {
        failure ??= { error }
      })
      running.add(put)
      put.finally(() => running.delete(put))
      while (running.size >= AT_ONCE) await Promise.race(running)
      if (failure) break
    }
  } finally {
    await Promise.all(running)
  }
  if (failure) throw failure.error
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
