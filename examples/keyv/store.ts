// A store of Keyv: all keys in one JSON file, which any number of processes may use at once.

import { EventEmitter } from 'node:events'
import { atomicIndexUpdate, readIndex, type UpdateOptions } from '@pipeline/atomic'
import type { StoredData } from 'keyv'

type Entries = Record<string, unknown>

/** A key may have any name: `__proto__` too is one of its own. */
function put(entries: Entries, key: string, value: unknown): void {
  Object.defineProperty(entries, key, { value, enumerable: true, writable: true, configurable: true })
}

/** Calls at once share one commit, so a thousand `set` are written in a few. For more than some ten thousand keys take a database. */
export class AtomicStore extends EventEmitter {
  readonly opts: { dialect: string; url: string }
  namespace?: string | undefined
  readonly #options: Pick<UpdateOptions<Entries>, 'backup' | 'flush' | 'onCorrupt'>

  constructor(path: string, options: Pick<UpdateOptions<Entries>, 'backup' | 'flush' | 'onCorrupt'> = {}) {
    super()
    this.opts = { dialect: 'atomic', url: path }
    this.#options = options
  }

  async get<T>(key: string): Promise<StoredData<T> | undefined> {
    return (await this.getMany<T>([key]))[0]
  }

  async getMany<T>(keys: string[]): Promise<(StoredData<T> | undefined)[]> {
    const entries = await this.#read()
    return keys.map((key) =>
      Object.hasOwn(entries, key) ? (entries[key] as StoredData<T> | undefined) : undefined,
    )
  }

  // There is no `has`: Keyv looks at the value then, where it has put when that expires.

  /** When it expires is in the value, which Keyv has made. */
  async set(key: string, value: unknown): Promise<void> {
    await this.setMany([{ key, value }])
  }

  /** What is returned is what Keyv returns; its type of stores has no place for that. */
  async setMany(values: { key: string; value: unknown }[]): Promise<any> {
    await this.#change((entries) => {
      for (const { key, value } of values) put(entries, key, value)
    })
    return values.map(() => true)
  }

  delete(key: string): Promise<boolean> {
    return this.deleteMany([key])
  }

  async deleteMany(keys: string[]): Promise<boolean> {
    let isDeleted = false
    await this.#change((entries) => {
      isDeleted = keys.some((key) => Object.hasOwn(entries, key))
      for (const key of keys) delete entries[key]
    })
    return isDeleted
  }

  /** Only what is in the namespace, if there is one: the file may be shared. */
  async clear(): Promise<void> {
    await this.#change((entries) => {
      for (const key of Object.keys(entries)) if (this.#isMine(key)) delete entries[key]
    })
  }

  async *iterator<T>(): AsyncGenerator<[string, T], void> {
    for (const [key, value] of Object.entries(await this.#read())) {
      if (this.#isMine(key)) yield [key, value as T]
    }
  }

  #isMine(key: string): boolean {
    return this.namespace === undefined || key.startsWith(`${this.namespace}:`)
  }

  /** An array has no keys: what is set in one would not be in its JSON. */
  #checked(entries: Entries): Entries {
    if (!Array.isArray(entries)) return entries
    throw new TypeError(
      `${this.opts.url} has a JSON array in it, which is no file of this store. Give the store a path of its own, or remove the file`,
    )
  }

  async #read(): Promise<Entries> {
    const { value } = await readIndex<Entries>(this.opts.url, { initial: {} })
    return this.#checked(value ?? {})
  }

  async #change(fn: (entries: Entries) => void): Promise<void> {
    const options = { ...this.#options, initial: {} }
    await atomicIndexUpdate<Entries>(
      this.opts.url,
      (entries = {}) => {
        fn(this.#checked(entries))
        return entries
      },
      options,
    )
  }
}
