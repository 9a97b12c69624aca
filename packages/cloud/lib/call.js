'use strict'
// What every call has: a place, limits, and errors in the shape of Node's own.

const { Call, Place } = require('../addon.js')

const TIMEOUT_MS = 30_000
// Time is the limit; this is only an end.
const MOST_ATTEMPTS = 2 ** 31 - 1

/** The text of a URL. A string is taken as it stands; in a `URL` the key is percent-encoded. */
function textOf(url, name = 'path') {
  if (typeof url === 'string') return url
  if (url instanceof URL) {
    if (url.username || url.password) return url.href
    return `${url.protocol}//${url.host}${keyOf(url, name)}`
  }
  throw invalid(
    TypeError,
    'ERR_INVALID_ARG_TYPE',
    `"${name}" must be a URL of an object store: s3://bucket/key`,
  )
}

function keyOf({ protocol, host, pathname }, name) {
  try {
    return decodeURIComponent(pathname)
  } catch {
    const path = `${protocol}//${host}${pathname}`
    const message = `"${name}" has a "%" that begins no character of UTF-8: in a URL it is written %25. Received '${path}'`
    throw Object.assign(invalid(TypeError, 'ERR_INVALID_ARG_VALUE', message), { path })
  }
}

function invalid(Class, code, message) {
  return Object.assign(new Class(message), { code })
}

/** A URL as messages show it: without a user name and a password. */
function shown(text) {
  const [, scheme = '', rest = ''] = /^([a-z0-9]+:\/\/)(.*)$/is.exec(text) ?? []
  if (!/^[^/]*[:@]/.test(rest)) return text
  // A password may have slashes in it, and then it has no end if there is no `@`.
  return scheme + (rest.includes('@') ? rest.slice(rest.lastIndexOf('@') + 1) : '')
}

/**
 * Runs `work(place, call)` within the limits that `options` has. `what` names the operation in messages.
 *
 * @param {{ folder?: boolean }} [about]
 */
async function run(what, url, options, work, { folder = false } = {}) {
  // Here, where the stack still is that of the caller.
  const origin = new Error(what)
  const text = textOf(url)
  const { endpoint, signal } = options
  const limits = limitsOf(options)
  const abort = () => limits.abort()
  if (signal?.aborted) throw aborted(signal)
  signal?.addEventListener('abort', abort, { once: true })
  try {
    return await work(new Place(text, folder, endpoint === undefined ? undefined : String(endpoint)), limits)
  } catch (error) {
    throw explain(error, { what, text, signal, origin })
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}

/** The limits of a call, from its options. */
function limitsOf({ timeout = TIMEOUT_MS, maxAttempts = MOST_ATTEMPTS, signal, endpoint }) {
  if (typeof timeout !== 'number' || !(timeout > 0)) {
    throw invalid(RangeError, 'ERR_OUT_OF_RANGE', '"timeout" must be a number of milliseconds above 0')
  }
  if (!Number.isInteger(maxAttempts) || maxAttempts < 1 || maxAttempts > MOST_ATTEMPTS) {
    throw invalid(RangeError, 'ERR_OUT_OF_RANGE', '"maxAttempts" must be an integer from 1')
  }
  if (signal !== undefined && typeof signal?.addEventListener !== 'function') {
    throw invalid(TypeError, 'ERR_INVALID_ARG_TYPE', '"signal" must be an AbortSignal')
  }
  if (endpoint !== undefined && typeof endpoint !== 'string' && !(endpoint instanceof URL)) {
    throw invalid(TypeError, 'ERR_INVALID_ARG_TYPE', '"endpoint" must be a URL: https://host:port')
  }
  return new Call(timeout, maxAttempts)
}

function aborted(signal) {
  const error = new Error('The operation was aborted', { cause: signal.reason })
  return Object.assign(error, { name: 'AbortError', code: 'ABORT_ERR' })
}

/** The public error for one of the addon's; any other error as it is. */
function explain(error, { what, text, signal, origin }) {
  const about = parse(error)
  if (!about) return error
  if (about.code === 'ABORT_ERR') return aborted(signal)
  const Class = about.code === 'ERR_INVALID_ARG_VALUE' ? TypeError : Error
  const cause = signal?.aborted ? { cause: signal.reason } : undefined
  const public_ = new Class(`${about.code}: ${about.text}, ${what} '${shown(text)}'`, cause)
  const [, ...frames] = (origin.stack ?? '').split('\n    at ')
  if (frames.length > 0) {
    Object.defineProperty(public_, 'stack', {
      value: [`${public_.name}: ${public_.message}`, ...frames].join('\n    at '),
      configurable: true,
      writable: true,
    })
  }
  return Object.assign(public_, {
    code: about.code,
    syscall: what,
    path: shown(text),
    ...(about.status === null ? {} : { status: about.status }),
    ...(about.requestId === null ? {} : { requestId: about.requestId }),
    ...(about.committed ? { committed: true } : {}),
  })
}

function parse(error) {
  try {
    const about = JSON.parse(error.message)
    return typeof about?.code === 'string' ? about : undefined
  } catch {
    return undefined
  }
}

/** The error of an operation that a store has no way to do. */
function unsupported(message) {
  return invalid(Error, 'ERR_ATOMIC_UNSUPPORTED', `ERR_ATOMIC_UNSUPPORTED: ${message}`)
}

module.exports = { aborted, explain, invalid, limitsOf, run, shown, textOf, unsupported }
