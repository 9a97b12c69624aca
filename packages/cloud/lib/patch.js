'use strict'
// Patches of an index that many machines share.

const { invalid, limitsOf, run } = require('./call.js')
const { optionsOf } = require('./objects.js')

/** What comes meanwhile shares a fold. */
const LINGER_MS = 200

/** The folds that are due in this process, by index. */
const folds = new Map()

const pause = () => new Promise((resolve) => setTimeout(resolve, LINGER_MS * Math.random()))

async function atomicIndexPatch(url, patch, options) {
  const given = optionsOf(options)
  const { wait = 'applied' } = given
  if (wait !== 'accepted' && wait !== 'applied') {
    throw invalid(TypeError, 'ERR_INVALID_ARG_VALUE', "\"wait\" must be 'accepted' or 'applied'")
  }
  const change = textOfChange(patch)
  let accepted
  try {
    return await run('patch', url, given, async (place, call) => {
      accepted = await place.patch(call, change)
      // A fold that fails is made up for by the next one, of any process.
      const soon = foldSoon(place, given).catch(() => ({ seen: {} }))
      if (wait === 'accepted') return { accepted: true, applied: false, durable: true }
      let folded = await soon
      // It failed, or the store's listing is behind.
      while (!(folded.seen[accepted.session] >= accepted.number)) {
        await pause()
        folded = await place.fold(call)
      }
      return { accepted: true, applied: true, version: folded.version, durable: true }
    })
  } catch (error) {
    if (accepted) {
      error.committed = true
      error.message += '. The patch itself is in the inbox and will be applied: do not repeat it'
    }
    throw error
  }
}

function textOfChange(patch) {
  const { set = {}, delete: keys = [] } = patch ?? {}
  if (typeof set !== 'object' || set === null || Array.isArray(set)) {
    throw invalid(TypeError, 'ERR_INVALID_ARG_TYPE', '"patch.set" must be an object: keys with their values')
  }
  return JSON.stringify({ set, delete: Array.from(keys, String) })
}

/** One fold for all patches of this process that come within a moment. One that has begun is joined by none. */
function foldSoon(place, { endpoint, timeout, maxAttempts }) {
  const { key } = place
  let fold = folds.get(key)
  if (!fold) {
    fold = pause().then(() => {
      folds.delete(key)
      return place.fold(limitsOf({ endpoint, timeout, maxAttempts }))
    })
    folds.set(key, fold)
  }
  return fold
}

module.exports = { atomicIndexPatch }
