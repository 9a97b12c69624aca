// The functions of the package proper-lockfile, over this one.

'use strict'

const { realpath } = require('node:fs/promises')
const path = require('node:path')
const { acquireIndexLock, inspectIndexLock } = require('../index.js')

/** Those that this module has, by the canonical path of the file. */
const locks = new Map()

module.exports = lock
module.exports.lock = lock
module.exports.unlock = unlock
module.exports.check = check

async function lock(file, given) {
  const options = given ?? {}
  const canonical = await canonicalOf(file, options)
  const held = await acquire(canonical, options)
  const own = { held, isReleased: false }
  locks.set(canonical, own)
  return () => {
    if (own.isReleased) return Promise.reject(failure('ERELEASED', 'Lock is already released'))
    return release(canonical, own)
  }
}

async function acquire(canonical, options) {
  const lockfile = lockfileOf(canonical, options)
  try {
    return await acquireIndexLock(lockfile, {
      mkdir: false,
      timeout: patience(options.retries),
    })
  } catch (error) {
    if (error.code === 'EISDIR') throw lockedByOther(canonical, lockfile, error)
    if (error.code !== 'ERR_ATOMIC_LOCK_TIMEOUT') throw error
    throw failure('ELOCKED', 'Lock file is already being held', { file: canonical, cause: error })
  }
}

async function unlock(file, given) {
  const options = given ?? {}
  const canonical = await canonicalOf(file, options)
  const own = locks.get(canonical)
  if (!own) throw failure('ENOTACQUIRED', 'Lock is not acquired/owned by you')
  await release(canonical, own)
}

async function release(canonical, own) {
  own.isReleased = true
  if (locks.get(canonical) === own) locks.delete(canonical)
  await own.held.release()
}

async function check(file, given) {
  const options = given ?? {}
  const canonical = await canonicalOf(file, options)
  const lockfile = lockfileOf(canonical, options)
  try {
    return (await inspectIndexLock(lockfile)).held
  } catch (error) {
    if (error.code === 'EISDIR') throw lockedByOther(canonical, lockfile, error)
    // Nothing is locked in a folder that is not there.
    if (error.code === 'ENOENT') return false
    throw error
  }
}

/** The lock of that package is a directory, which stays if its process was killed. Nobody can tell here whether that lives. */
function lockedByOther(file, directory, cause) {
  const message =
    `Lock file is already being held: the package proper-lockfile itself has made the directory ${directory}, ` +
    'and a program that uses it holds it or has left it. Remove that directory when no such program runs any more'
  return failure('ELOCKED', message, { file, cause })
}

async function canonicalOf(file, options) {
  return options.realpath === false ? path.resolve(file) : realpath(file)
}

/**
 * Not the file itself: under the lock of an index the program's own writes of that file would wait for its release, and programs that
 * come from that package write it meanwhile.
 */
function lockfileOf(canonical, { lockfilePath }) {
  return lockfilePath || `${canonical}.lock`
}

/** For how long that package would have tried, in milliseconds. */
function patience(retries) {
  const given = typeof retries === 'object' && retries !== null ? retries : { retries: retries || 0 }
  // As the package retry has them.
  const { retries: times = 10, factor = 2, minTimeout = 1000, maxTimeout = Number.POSITIVE_INFINITY } = given
  if (given.forever || times === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY
  let [sum, pause] = [0, minTimeout]
  for (let i = 0; i < times && sum < Number.MAX_SAFE_INTEGER; i++) {
    // From here on the pauses are the same.
    if (pause >= maxTimeout || factor === 1 || pause === 0) {
      sum += (times - i) * Math.min(pause, maxTimeout)
      break
    }
    sum += pause
    pause *= factor
  }
  return Math.min(sum, Number.MAX_SAFE_INTEGER)
}

function failure(code, message, more = {}) {
  return Object.assign(new Error(message), { code, ...more })
}
