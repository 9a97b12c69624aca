// The function of the package write-file-atomic, over this one.

'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { atomicWrite, atomicWriteSync } = require('../index.js')

/** Calls that do more than a write, by path: those for the same file come after them. */
const busy = new Map()

module.exports = writeFile
module.exports.sync = writeFileSync

function writeFile(filename, data, options, callback) {
  if (typeof options === 'function') return writeFile(filename, data, {}, options)
  const written = start(filename, data, options)
  if (typeof callback !== 'function') return written
  written.then(() => callback(), callback)
}

async function start(filename, data, given) {
  const file = path.resolve(filename)
  const options = read(given)
  const before = busy.get(file)
  // The common case takes its place among all calls of the package at once.
  if (!before && !options.chown && !options.tmpfileCreated) {
    await atomicWrite(file, bytes(data, options), options.write)
    return
  }
  const copy = bytes(data, options)
  const run = async () => {
    await options.tmpfileCreated?.(tmpfile(file))
    if (options.chown) await follow(writeOwned(file, copy, options, { ...fs.promises, write: atomicWrite }))
    else await atomicWrite(file, copy, options.write)
  }
  const running = before ? before.then(run, run) : run()
  busy.set(file, running)
  try {
    await running
  } finally {
    if (busy.get(file) === running) busy.delete(file)
  }
}

function writeFileSync(filename, data, given) {
  const file = path.resolve(filename)
  const options = read(given)
  options.tmpfileCreated?.(tmpfile(file))
  if (options.chown) followSync(writeOwned(file, bytes(data, options), options, blocking()))
  else atomicWriteSync(file, bytes(data, options), options.write)
}

/** Options as that package reads them: what is false counts as not given. */
function read(given) {
  const { encoding, mode, chown, fsync, tmpfileCreated } =
    typeof given === 'string' ? { encoding: given } : (given ?? {})
  const write = { mkdir: false, flush: fsync !== false }
  // A mode may come from `stat`, with the type of the file.
  if (mode) write.mode = typeof mode === 'number' ? mode & 0o7777 : mode
  return { encoding: encoding || 'utf8', chown, tmpfileCreated, write }
}

/** A copy: calls may wait. */
function bytes(data, { encoding }) {
  if (ArrayBuffer.isView(data)) {
    return Buffer.from(Buffer.from(data.buffer, data.byteOffset, data.byteLength))
  }
  // A lone surrogate becomes U+FFFD there.
  return Buffer.from(data == null ? '' : String(data), encoding)
}

/** A name that nobody has: the new file has none until it is complete. */
function tmpfile(file) {
  return path.join(path.dirname(file), `.${path.basename(file)}.${process.pid}.unnamed`)
}

/** Without the right to give files away, the file stays as it is. */
function isBorne({ code }) {
  const isRoot = !process.getuid || process.getuid() === 0
  return code === 'ENOSYS' || (!isRoot && (code === 'EINVAL' || code === 'EPERM'))
}

/**
 * The mode that the file is to have at last, if it has set-id bits. They come after the owner, who they are about; the system takes them away
 * with an owner anyway.
 */
function lateMode({ write }, before) {
  const mode = write.mode ?? before?.mode
  return typeof mode === 'number' && mode & 0o6000 ? mode & 0o7777 : undefined
}

const withoutSetId = (write, late) => (late === undefined ? write : { ...write, mode: late & ~0o6000 })

/** What {@link writeOwned} calls on this thread. */
function blocking() {
  const { statSync: stat, chownSync: chown, chmodSync: chmod } = fs
  return { write: atomicWriteSync, stat, chown, chmod }
}

/** Its steps, each of which is done, or a promise that it waits for. */
function* writeOwned(file, data, options, { write, stat, chown, chmod }) {
  let before
  try {
    before = yield stat(file)
  } catch {
    // There is no file yet.
  }
  const late = lateMode(options, before)
  yield write(file, data, withoutSetId(options.write, late))
  const { uid, gid } = options.chown
  const steps = [
    function* () {
      const written = yield stat(file)
      if (written.uid !== uid || written.gid !== gid) yield chown(file, uid, gid)
    },
    function* () {
      if (late !== undefined) yield chmod(file, late)
    },
  ]
  for (const step of steps) {
    try {
      yield* step()
    } catch (error) {
      if (!isBorne(error)) throw Object.assign(error, { committed: true })
    }
  }
}

async function follow(steps) {
  let step = steps.next()
  while (!step.done) {
    const [done] = await Promise.allSettled([step.value])
    step = done.status === 'fulfilled' ? steps.next(done.value) : steps.throw(done.reason)
  }
}

function followSync(steps) {
  let step = steps.next()
  while (!step.done) step = steps.next(step.value)
}
