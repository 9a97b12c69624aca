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
    await atomicWrite(file, copy, options.write)
    if (options.chown) await chown(fs.promises, file, options)
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
  atomicWriteSync(file, bytes(data, options), options.write)
  if (options.chown) chownSync(file, options)
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

function failed(error) {
  if (!isBorne(error)) throw Object.assign(error, { committed: true })
}

async function chown({ stat, chown, chmod }, file, { chown: { uid, gid } }) {
  try {
    const before = await stat(file)
    if (before.uid === uid && before.gid === gid) return
    await chown(file, uid, gid)
    // The system takes set-id bits away with the owner.
    if (before.mode & 0o6000) await chmod(file, before.mode & 0o7777)
  } catch (error) {
    failed(error)
  }
}

function chownSync(file, { chown: { uid, gid } }) {
  try {
    const before = fs.statSync(file)
    if (before.uid === uid && before.gid === gid) return
    fs.chownSync(file, uid, gid)
    if (before.mode & 0o6000) fs.chmodSync(file, before.mode & 0o7777)
  } catch (error) {
    failed(error)
  }
}
