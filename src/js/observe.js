const { tracingChannel } = require('node:diagnostics_channel')
const { debuglog, inspect } = require('node:util')

const log = debuglog('pipeline-atomic')
// Node.js reads NODE_DEBUG once, at its start.
const isLogged = log.enabled
// The real one, also in tests that replace the clock.
const now = performance.now.bind(performance)

/**
 * The function `name` of the addon, whose calls are published on a channel if anyone listens; `at`: which argument is the path; `gathered`: what
 * some calls can join.
 */
function observed(channelName, name, at, trace = observe, gathered) {
  const native = addon[name]
  const channel = tracingChannel(`@pipeline/atomic:${channelName}`)
  const { start, end, asyncStart, asyncEnd, error } = channel
  const call = {
    [name](...args) {
      // `channel.hasSubscribers` is newer than Node.js 20.4.
      return isLogged ||
        start.hasSubscribers ||
        end.hasSubscribers ||
        asyncStart.hasSubscribers ||
        asyncEnd.hasSubscribers ||
        error.hasSubscribers
        ? trace(channel, native, { function: name, path: args[at] }, args)
        : (gathered?.join?.(...args) ?? native(...args))
    },
  }
  return Object.defineProperty(call[name], 'length', { value: native.length })
}

function observe(channel, native, message, args) {
  const { call, succeed, fail } = measured(native, message, args)
  return channel.tracePromise(() => call().then(succeed, fail), message)
}

function observeSync(channel, native, message, args) {
  const { call, succeed, fail } = measured(native, message, args)
  const traced = () => {
    let result
    try {
      result = call()
    } catch (error) {
      fail(error)
    }
    return succeed(result)
  }
  return channel.traceSync(traced, message)
}

/** The call, and what completes its message. */
function measured(native, message, args) {
  const steps = addon.newSteps()
  const since = now()
  const finish = (code) => {
    message.milliseconds = now() - since
    message.steps = addon.readSteps(steps)
    if (isLogged) log('%s', line(message, code))
  }
  return {
    call: () => addon.withinSteps(steps, () => native(...args)),
    succeed(result) {
      finish()
      return result
    },
    fail(error) {
      finish(codeOf(error))
      throw error
    },
  }
}

/** Of what may be anything, as the caller's function may have thrown it. */
function codeOf(error) {
  try {
    return /^\w+$/.exec(error.code)?.[0] ?? 'failed'
  } catch {
    return 'failed'
  }
}

/** One line, whatever is in the path. */
function line({ function: name, path, milliseconds, steps }, code) {
  const each = Object.entries(steps).map(([step, took]) => `${step} ${took.toFixed(3)}`)
  const parts = [
    name,
    shown(path),
    code,
    `${milliseconds.toFixed(3)} ms`,
    each.length > 0 && `(${each.join(', ')})`,
  ]
  return parts.filter(Boolean).join(' ')
}

/** As in a program's source; what is no path at all as well, whose properties may throw. */
function shown(path) {
  if (path === undefined) return ''
  try {
    const text = (one) => (one instanceof URL ? one.href : Buffer.isBuffer(one) ? one.toString() : one)
    const all = Array.isArray(path) ? path.map(text) : text(path)
    return inspect(all, { breakLength: Number.POSITIVE_INFINITY, customInspect: false, depth: 0 })
  } catch {
    return '(no path)'
  }
}
