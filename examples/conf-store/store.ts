// A store for the settings of a program, in one JSON file that several processes may change at once.

import {
  atomicIndexUpdate,
  type IndexCodec,
  readIndex,
  readIndexSync,
  type UpdateOptions,
  watchIndex,
} from '@pipeline/atomic'

export interface StoreOptions<T extends object> {
  /** What a key has that the file does not. */
  defaults?: Partial<T>
  /** Of a format other than JSON. */
  codec?: IndexCodec
  /** What the settings have to be like: of zod, valibot or any other library with Standard Schemas. */
  schema?: UpdateOptions<T>['schema']
  migrate?: UpdateOptions<T>['migrate']
}

/** Reads come from memory, as settings are asked for everywhere; changes go to the file, and to what it says by then. */
export class ConfStore<T extends object> {
  readonly path: string
  readonly #options: StoreOptions<T>
  #settings: Partial<T>

  /** Reads the file, and blocks meanwhile: settings are what a program needs first. */
  constructor(path: string, options: StoreOptions<T> = {}) {
    this.path = path
    this.#options = options
    this.#settings = readIndexSync<T>(path, { ...this.#reading(), fallback: 'backup' }).value ?? {}
  }

  /** As it was read or changed by this store last. */
  get<K extends keyof T>(key: K): T[K] | undefined {
    const { all } = this
    return Object.hasOwn(all, key) ? all[key] : undefined
  }

  get all(): Partial<T> {
    return { ...this.#options.defaults, ...this.#settings }
  }

  /** Resolves when the value is on disk. Keys that others have set meanwhile stay. */
  set<K extends keyof T>(key: K, value: T[K]): Promise<void> {
    return this.change((settings) => ({ ...settings, [key]: value }))
  }

  delete(key: keyof T): Promise<void> {
    return this.change(({ [key]: _, ...rest }) => rest as Partial<T>)
  }

  /** `fn` gets what the file says now, and may be called more than once. */
  async change(fn: (settings: Partial<T>) => Partial<T>): Promise<void> {
    let changed: Partial<T> = {}
    await atomicIndexUpdate<T>(
      this.path,
      (settings) => {
        changed = fn(settings ?? {})
        return changed as T
      },
      // A file that is broken is what the reads below take its backup for.
      { ...this.#reading(), backup: true, mode: 0o600, onCorrupt: 'recover' },
    )
    this.#settings = changed
  }

  /** Reads what others have changed. */
  async reload(): Promise<void> {
    const { value } = await readIndex<T>(this.path, { ...this.#reading(), fallback: 'backup' })
    this.#settings = value ?? {}
  }

  /** Tells of each change, whoever made it, until `signal` is aborted. */
  async onDidChange(listener: (settings: Partial<T>) => void, signal: AbortSignal): Promise<void> {
    const { codec } = this.#options
    try {
      for await (const _ of watchIndex<T>(this.path, codec ? { codec, signal } : { signal })) {
        // With the schema, which the watcher does not know.
        await this.reload()
        listener(this.all)
      }
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  #reading() {
    return Object.fromEntries(Object.entries(this.#options).filter(([name]) => name !== 'defaults')) as Pick<
      StoreOptions<T>,
      'codec' | 'schema' | 'migrate'
    >
  }
}
