// The columns: each package as its own documentation tells people to use it, for the two things that programs do
// with a file of JSON: replace it, and change what is in it. Plain JavaScript, and each package loaded when it is
// needed, so that the many processes that `npm run compare` kills start quickly.

/** @typedef {Record<string, any>} Value */

/**
 * @typedef {object} Store one file of JSON
 * @property {(value: Value) => Promise<unknown>} write
 * @property {(change: (value: Value) => void) => Promise<unknown>} update
 */

/** Ours last, as in the README's table. @type {Record<string, (path: string) => Promise<Store>>} */
export const contenders = {
  async 'fs.writeFile'(path) {
    const { readFile, writeFile } = await import('node:fs/promises')
    return readThenWrite(
      () => readFile(path, 'utf8'),
      (text) => writeFile(path, text),
    )
  },

  async 'write-file-atomic'(path) {
    const { readFile } = await import('node:fs/promises')
    const { default: writeFileAtomic } = await import('write-file-atomic')
    return readThenWrite(
      () => readFile(path, 'utf8'),
      (text) => writeFileAtomic(path, text),
    )
  },

  async atomically(path) {
    const { readFile, writeFile } = await import('atomically')
    return readThenWrite(
      () => readFile(path, 'utf8'),
      (text) => writeFile(path, text),
    )
  },

  async lowdb(path) {
    const { JSONFilePreset } = await import('lowdb/node')
    const db = await JSONFilePreset(path, /** @type {Value} */ ({}))
    return {
      write(value) {
        db.data = value
        return db.write()
      },
      update: (change) => db.update(change),
    }
  },

  async '@pipeline/atomic'(path) {
    const { atomicIndexUpdate, atomicWrite } = await import('@pipeline/atomic')
    return {
      write: (value) => atomicWrite(path, toText(value)),
      update: (change) =>
        atomicIndexUpdate(path, (/** @type {any} */ value) => {
          change(value)
          return value
        }),
    }
  },
}

/**
 * For packages that only write: the program reads and changes.
 *
 * @param {() => Promise<string>} read
 * @param {(text: string) => Promise<unknown>} write
 * @returns {Store}
 */
function readThenWrite(read, write) {
  return {
    write: (value) => write(toText(value)),
    async update(change) {
      const value = JSON.parse(await read())
      change(value)
      await write(toText(value))
    },
  }
}

/** As lowdb prints: all write the same bytes. */
export const toText = (/** @type {Value} */ value) => JSON.stringify(value, null, 2)
