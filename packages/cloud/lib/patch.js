'use strict'
// Patches of an index that many machines share.

const { invalid, limitsOf, run } = require('./call.js')
const { optionsOf } = require('./objects.js')

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
      if (wait === 'accepted') {
        const { endpoint, timeout, maxAttempts } = given
        // What fails is made up for by the next patch, of any process.
        settle(place, limitsOf({ endpoint, timeout, maxAttempts }), accepted).catch(() => {})
        return { accepted: true, applied: false, durable: true }
      }
      const version = await settle(place, call, accepted)
      return { accepted: true, applied: true, version, durable: true }
    })
  } catch (error) {
    // Of the others the addon says so.
    if (accepted && error.code === 'ABORT_ERR') {
      error.committed = true
      error.message += ', after the patch was accepted. It will be applied: do not repeat it'
    }
    throw error
  }
}

async function settle(place, limits, accepted) {
  try {
    return await place.settle(limits, accepted)
  } finally {
    // For this the process stays, and the call does not.
    place.tidied().catch(() => {})
  }
}

function textOfChange(patch) {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) {
    throw invalid(TypeError, 'ERR_INVALID_ARG_TYPE', '"patch" must be an object: { set, delete }')
  }
  const { set = {}, delete: keys = [] } = patch
  if (typeof set !== 'object' || set === null || Array.isArray(set)) {
    throw invalid(TypeError, 'ERR_INVALID_ARG_TYPE', '"patch.set" must be an object: keys with their values')
  }
  // Of a string each letter would be a key.
  if (!Array.isArray(keys) || !keys.every((key) => typeof key === 'string')) {
    throw invalid(TypeError, 'ERR_INVALID_ARG_TYPE', '"patch.delete" must be an array of strings: keys')
  }
  return JSON.stringify({ set, delete: keys })
}

module.exports = { atomicIndexPatch }
