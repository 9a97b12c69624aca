// The function of the package write-file-atomic, over this one.

'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { inspect } = require('node:util')
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
    if (options.chown) await writeOwned(file, copy, options)
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
  if (options.chown) writeOwnedSync(file, bytes(data, options), options)
  else atomicWriteSync(file, bytes(data, options), options.write)
}

/** Options as that package reads them: what is false counts as not given. */
function read(given) {
  const { encoding, mode, chown, fsync, tmpfileCreated } =
    typeof given === 'string' ? { encoding: given } : (given ?? {})
  const write = { mkdir: false, flush: fsync !== false }
  // A mode may come from `stat`, with the type of the file. What is none is refused by the write.
  if (mode) write.mode = isMode(mode) ? mode & 0o7777 : mode
  if (chown) checkOwner(chown)
  return { encoding: encoding || 'utf8', chown, tmpfileCreated, write }
}

const isMode = (mode) => Number.isInteger(mode) && mode >= 0 && mode <= 0xffffffff

/** Before anything is written: the owner is set when the file has its name. */
function checkOwner(chown) {
  for (const name of ['uid', 'gid']) {
    const id = chown[name]
    // -1 leaves it as it is.
    if (Number.isInteger(id) && id >= -1 && id <= 0xffffffff) continue
    const isNumber = typeof id === 'number'
    const reason = isNumber ? 'must be a whole number from -1 to 4294967295' : 'must be of type number'
    const error = new (isNumber ? RangeError : TypeError)(
      `The property 'options.chown.${name}' ${reason}. Received ${inspect(id)}`,
    )
    throw Object.assign(error, { code: isNumber ? 'ERR_OUT_OF_RANGE' : 'ERR_INVALID_ARG_TYPE' })
  }
}

/** A copy: calls may wait. */
function bytes(data, { encoding }) {
  if (ArrayBuffer.isView(data)) {
    return Buffer.from(Buffer.from(data.buffer, data.byteOffset, data.byteLength))
  }
  const text = data == null ? '' : String(data)
  // Of what is no whole number of bytes nothing would be left, or less than was given.
  if (text.length % 2 === 1 && String(encoding).toLowerCase() === 'hex') {
    const reason = `is invalid for data of length ${text.length}. Received 'hex'`
    throw Object.assign(new TypeError(`The argument 'encoding' ${reason}`), { code: 'ERR_INVALID_ARG_VALUE' })
  }
  // A lone surrogate becomes U+FFFD there.
  return Buffer.from(text, encoding)
}

/** A name that nobody has: the new file has none until it is complete. */
function tmpfile(file) {
  return path.join(path.dirname(file), `.${path.basename(file)}.${process.pid}.unnamed`)
}

/** Without the right to give files away, the file stays as it is; the set-id bits, which are about the owner, are left out then. */
function failed(error) {
  const isRoot = !process.getuid || process.getuid() === 0
  const isBorne = error.code === 'ENOSYS' || (!isRoot && (error.code === 'EINVAL' || error.code === 'EPERM'))
  if (!isBorne) throw Object.assign(error, { committed: true })
}

/** `undefined`: there is no file yet. */
function noFile(error) {
  if (error.code !== 'ENOENT') throw error
}

/**
 * The mode that the file is to have at last, if it has set-id bits. They come after the owner, who they are about; the system takes them away
 * with an owner anyway.
 */
function lateMode({ write }, before) {
  const mode = write.mode ?? before?.mode
  return isMode(mode) && mode & 0o6000 ? mode & 0o7777 : undefined
}

const withoutSetId = (write, late) => (late === undefined ? write : { ...write, mode: late & ~0o6000 })

async function writeOwned(file, data, options) {
  const { stat, chown, chmod } = fs.promises
  const { uid, gid } = options.chown
  const late = lateMode(options, await stat(file).catch(noFile))
  await atomicWrite(file, data, withoutSetId(options.write, late))
  try {
    const written = await stat(file)
    if (written.uid !== uid || written.gid !== gid) await chown(file, uid, gid)
    if (late !== undefined) await chmod(file, late)
  } catch (error) {
    failed(error)
  }
}

function writeOwnedSync(file, data, options) {
  const { uid, gid } = options.chown
  const late = lateMode(options, fs.statSync(file, { throwIfNoEntry: false }))
  atomicWriteSync(file, data, withoutSetId(options.write, late))
  try {
    const written = fs.statSync(file)
    if (written.uid !== uid || written.gid !== gid) fs.chownSync(file, uid, gid)
    if (late !== undefined) fs.chmodSync(file, late)
  } catch (error) {
    failed(error)
  }
}
