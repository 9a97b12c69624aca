// The functions of the package proper-lockfile, over this one.

'use strict'

const { realpathSync } = require('node:fs')
const { realpath } = require('node:fs/promises')
const path = require('node:path')
const {
  acquireIndexLock,
  acquireIndexLockSync,
  inspectIndexLock,
  inspectIndexLockSync,
} = require('../index.js')

/** Those that this module has, by the canonical path of the file. */
const locks = new Map()

module.exports = lock
// One by one: an import by name links only to what is found in this text.
module.exports.lock = lock
module.exports.unlock = unlock
module.exports.check = check
module.exports.lockSync = lockSync
module.exports.unlockSync = unlockSync
module.exports.checkSync = checkSync

async function lock(file, given) {
  const options = given ?? {}
  const canonical = await canonicalOf(file, options)
  const lockfile = lockfileOf(canonical, options)
  const timeout = patience(options.retries)
  const held = await acquireIndexLock(lockfile, { mkdir: false, timeout }).catch((error) => {
    throw refusal(error, canonical, lockfile)
  })
  const own = keep(canonical, held)
  return async () => take(canonical, own).release()
}

function lockSync(file, given) {
  const options = syncOptions(given)
  const canonical = canonicalOfSync(file, options)
  const lockfile = lockfileOf(canonical, options)
  const acquire = () => acquireIndexLockSync(lockfile, { mkdir: false })
  const own = keep(canonical, orRefuse(acquire, canonical, lockfile))
  return () => take(canonical, own).releaseSync()
}

async function unlock(file, given) {
  const canonical = await canonicalOf(file, given ?? {})
  await take(canonical, ownOf(canonical)).release()
}

function unlockSync(file, given) {
  const canonical = canonicalOfSync(file, syncOptions(given))
  take(canonical, ownOf(canonical)).releaseSync()
}

async function check(file, given) {
  const options = given ?? {}
  const canonical = await canonicalOf(file, options)
  const lockfile = lockfileOf(canonical, options)
  try {
    return (await inspectIndexLock(lockfile)).held
  } catch (error) {
    return nothingLocked(error, canonical, lockfile)
  }
}

function checkSync(file, given) {
  const options = syncOptions(given)
  const canonical = canonicalOfSync(file, options)
  const lockfile = lockfileOf(canonical, options)
  try {
    return inspectIndexLockSync(lockfile).held
  } catch (error) {
    return nothingLocked(error, canonical, lockfile)
  }
}

function keep(canonical, held) {
  const own = { held, isReleased: false }
  locks.set(canonical, own)
  return own
}

function ownOf(canonical) {
  const own = locks.get(canonical)
  if (!own) throw failure('ENOTACQUIRED', 'Lock is not acquired/owned by you')
  return own
}

/** What is to be released, once. */
function take(canonical, own) {
  if (own.isReleased) throw failure('ERELEASED', 'Lock is already released')
  own.isReleased = true
  if (locks.get(canonical) === own) locks.delete(canonical)
  return own.held
}

function orRefuse(acquire, canonical, lockfile) {
  try {
    return acquire()
  } catch (error) {
    throw refusal(error, canonical, lockfile)
  }
}

/** As that package has it. */
function refusal(error, canonical, lockfile) {
  if (error.code === 'EISDIR') return lockedByOther(canonical, lockfile, error)
  if (error.code !== 'ERR_ATOMIC_LOCK_TIMEOUT') return error
  return failure('ELOCKED', 'Lock file is already being held', { file: canonical, cause: advised(error) })
}

/** What there is of it here. The stack, which is what is printed, begins with the message. */
function advised(error) {
  const { message, stack } = error
  const own = message
    .replace('options.timeout sets how long to wait', 'options.retries says how long to wait')
    .replace('call acquireIndexLock, which waits', 'call lock, which waits if options.retries says so')
  error.message = own
  error.stack = stack.replace(message, () => own)
  return error
}

/** `false`: nothing is locked in a folder that is not there. */
function nothingLocked(error, canonical, lockfile) {
  if (error.code === 'ENOENT') return false
  throw error.code === 'EISDIR' ? lockedByOther(canonical, lockfile, error) : error
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

function canonicalOfSync(file, options) {
  return options.realpath === false ? path.resolve(file) : realpathSync(file)
}

/** Nothing can be waited for. Like that package it refuses numbers of retries only, and tries once whatever else is given. */
function syncOptions(given) {
  const options = given ?? {}
  for (const times of [options.retries, options.retries?.retries]) {
    if (typeof times === 'number' && times > 0) {
      throw failure('ESYNC', 'Cannot use retries with the sync api')
    }
  }
  return options
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
  if (Array.isArray(retries)) return retries.map(delay).reduce((sum, pause) => sum + pause, 0)
  const given = typeof retries === 'object' && retries !== null ? retries : { retries: retries || 0 }
  return sumOfPauses({ ...RETRY, ...given })
}

/** As a timer takes it. */
function delay(pause) {
  const ms = Number(pause)
  return ms > 0 ? (ms < 2 ** 31 ? ms : 1) : 0
}

/** As the package retry has them. */
const RETRY = { retries: 10, factor: 2, minTimeout: 1000, maxTimeout: Number.POSITIVE_INFINITY }

function sumOfPauses({ retries, factor, minTimeout, maxTimeout, forever, maxRetryTime }) {
  const times = forever ? Number.POSITIVE_INFINITY : retries
  // It looks at the time after each pause, so the one that passes the limit is still waited for.
  const most = maxRetryTime > 0 ? maxRetryTime : Number.POSITIVE_INFINITY
  let [sum, pause] = [0, minTimeout]
  for (let i = 0; i < times && sum < most; i++) {
    // From here on the pauses are the same.
    if (pause >= maxTimeout || factor === 1 || pause === 0) {
      const same = Math.min(pause, maxTimeout)
      if (same === 0) sum = times === Number.POSITIVE_INFINITY ? most : sum
      else sum += Math.min(times - i, Math.ceil((most - sum) / same)) * same
      break
    }
    sum += pause
    pause *= factor
  }
  return times === Number.POSITIVE_INFINITY ? sum : Math.min(sum, Number.MAX_SAFE_INTEGER)
}

function failure(code, message, more = {}) {
  return Object.assign(new Error(message), { code, ...more })
}
