// A transaction that only writes what is known already: nothing of it needs this thread between its steps, so one job does all of it.

/** Whether these are one such call. A file that is written twice, or must not be there, is for `states.js`. */
function isKnown(calls) {
  if (calls.length !== 1) return false
  const [{ ops, reads }] = calls
  const isWrite = ({ kind, data, how }) => kind === 'write' && data !== undefined && !how.exclusive
  return (
    ops.length > 0 &&
    reads.length === 0 &&
    ops.every(isWrite) &&
    new Set(ops.map(({ file }) => file.absolute)).size === ops.length
  )
}

/** Commits it. `finding`: until its files are found it can be given up. */
async function writeAtOnce({ root, ops, inside, scope }, finding, steps, cancel) {
  const files = ops.map(({ file, how, data }) => [file.handle, how.handle, data])
  const start = () =>
    native.writeAtOnce(root, files, inside, scope.timeout, scope.options.flush, cancel, finding)
  try {
    return await native.timed(steps, start)
  } catch (error) {
    // There is no other call that it could be of.
    delete error.entry
    throw error
  }
}
