// The columns: each package as its own documentation tells people to use it, for the two things that programs do
// with a file of JSON: replace it, and change what is in it. Plain JavaScript, and each package loaded when it is
// needed, so that the many processes that `npm run compare` kills start quickly.

/** @typedef {Record<string, any>} Value */

/**
 * @typedef {object} Store one file of JSON
 * @property {(value: Value) => Promise<unknown>} write
 * @property {(change: (value: Value) => void) => Promise<unknown>} update
 */

/**
 * @typedef {object} Contender
 * @property {string[]} packages what is installed for it
 * @property {string} configuration how it is used, and with which options
 * @property {(path: string) => Promise<Store>} open
 */

/** Ours last, as in the README's table. @type {Record<string, Contender>} */
export const contenders = {
  'fs.writeFile': {
    packages: [],
    configuration: '`writeFile(path, text)` of `node:fs/promises`, no options',
    async open(path) {
      const { writeFile } = await import('node:fs/promises')
      return readThenWrite(path, (text) => writeFile(path, text))
    },
  },

  'fs.writeFile, flush': {
    packages: [],
    configuration: '`writeFile(path, text, { flush: true })` of `node:fs/promises`, which flushes the file',
    async open(path) {
      const { writeFile } = await import('node:fs/promises')
      return readThenWrite(path, (text) => writeFile(path, text, { flush: true }))
    },
  },

  'write-file-atomic': {
    packages: ['write-file-atomic'],
    configuration: '`writeFileAtomic(path, text)`, no options: `fsync` is on by default',
    async open(path) {
      const { default: writeFileAtomic } = await import('write-file-atomic')
      return readThenWrite(path, (text) => writeFileAtomic(path, text))
    },
  },

  atomically: {
    packages: ['atomically'],
    configuration: '`writeFile(path, text)`, no options: `fsync` and `fsyncWait` are on by default',
    async open(path) {
      const { writeFile } = await import('atomically')
      return readThenWrite(path, (text) => writeFile(path, text))
    },
  },

  steno: {
    packages: ['steno'],
    configuration: 'one `new Writer(path)` a file, `writer.write(text)`; it has no options',
    async open(path) {
      const { Writer } = await import('steno')
      const writer = new Writer(path)
      return readThenWrite(path, (text) => writer.write(text))
    },
  },

  lowdb: {
    packages: ['lowdb'],
    configuration: '`JSONFilePreset(path, {})` of `lowdb/node`, `db.write()` and `db.update(change)`',
    async open(path) {
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
  },

  conf: {
    packages: ['conf'],
    configuration:
      '`new Conf({ cwd, configName })`, reading and setting `conf.store`; its calls are synchronous',
    async open(path) {
      const { dir, name } = (await import('node:path')).parse(path)
      const { default: Conf } = await import('conf')
      const conf = new Conf({ cwd: dir, configName: name })
      return {
        async write(value) {
          conf.store = value
        },
        async update(change) {
          const value = conf.store
          change(value)
          conf.store = value
        },
      }
    },
  },

  'proper-lockfile + write-file-atomic': {
    packages: ['proper-lockfile', 'write-file-atomic'],
    configuration:
      '`writeFileAtomic(path, text)` under `lock(path, …)`, an update reads under it too. `realpath: false`, as the file may ' +
      'not be there yet, and up to 1,000 retries 2 to 20 ms apart, as there are none by default; `stale` is 10 s by default',
    async open(path) {
      const { default: lockfile } = await import('proper-lockfile')
      const { default: writeFileAtomic } = await import('write-file-atomic')
      const { update, write } = readThenWrite(path, (text) => writeFileAtomic(path, text))
      const retries = { retries: 1000, factor: 1, minTimeout: 2, maxTimeout: 20, randomize: true }
      const locked = async (/** @type {() => Promise<unknown>} */ work) => {
        const release = await lockfile.lock(path, { realpath: false, retries })
        try {
          await work()
        } finally {
          await release()
        }
      }
      return {
        write: (value) => locked(() => write(value)),
        update: (change) => locked(() => update(change)),
      }
    },
  },

  '@pipeline/atomic': {
    packages: ['@pipeline/atomic'],
    configuration: '`atomicWrite(path, text)` and `atomicIndexUpdate(path, change)`, no options',
    async open(path) {
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
  },
}

/**
 * For packages that only write: the program reads and changes.
 *
 * @param {string} path
 * @param {(text: string) => Promise<unknown>} write
 * @returns {Store}
 */
function readThenWrite(path, write) {
  return {
    write: (value) => write(toText(value)),
    async update(change) {
      const { readFile } = await import('node:fs/promises')
      const value = JSON.parse(await readFile(path, 'utf8'))
      change(value)
      await write(toText(value))
    },
  }
}

/** As lowdb prints: all write the same bytes, but for conf, which indents by tabs. */
export const toText = (/** @type {Value} */ value) => JSON.stringify(value, null, 2)
