/**
 * A change of an index, for {@link atomicIndexPatch}: by pointers, by keys, as JSON Merge Patch (RFC 7396), or as a list of operations of JSON
 * Patch (RFC 6902).
 *
 * A *pointer* (RFC 6901) has a `/` before each key, as `/posts/hello/title`; in a key `~1` is a `/` and `~0` a `~`. A position in an array is a
 * number from 0, and `-` is the place behind the last one. The empty pointer is the whole index. A pointer has at most
 * 1,000 keys.
 */
export type IndexPatch = PointerPatch | KeyPatch | MergePatch | readonly JsonPatchOperation[]

/**
 * A change by pointers. The parts are done in the order in which they are listed here, each on what those before it have left. All that `set`
 * names must begin with `/`; names that do not are keys: see {@link KeyPatch}. What is both is refused, and so is `''` beside
 * pointers: it is a key by itself. To replace the whole index give `[{ op: 'replace', path: '', value }]`.
 */
export interface PointerPatch {
  /** The pointers of what is to be removed. It must be there. Positions in an array are those after the removals before. */
  remove?: readonly string[]
  /** The pointers of what is to be set, with the values. The last key need not be there, all before it must be. */
  set?: Record<string, unknown>
  /** Records to put into a list of records, and records to remove from it. */
  upsert?: RecordsPatch | readonly RecordsPatch[]
  /**
   * The pointers of numbers, with what to add to them. A member that is not there counts as 0. A sum of whole numbers that would lose digits
   * (beyond 2^53) is refused, unless `numbers` says otherwise. Any other sum is that of JavaScript's numbers, which may be rounded; one that is
   * not finite is refused.
   */
  increment?: Record<string, number>
  /** The pointers of arrays, with the values to add behind their last ones. A member that is not there counts as `[]`. */
  append?: Record<string, readonly unknown[]>
  delete?: undefined
  merge?: undefined
}

/** A change of records that are told by a key, in an array or as the members of an object. */
export interface RecordsPatch {
  /** The pointer of the array, or of the object. It must be there. */
  at: string
  /** The name of the member of each record that tells it from the others: a string or a number. In an object it is also the name of the record. */
  key: string
  /** The records to put there. One takes the place of the record that has its key, as a whole; a new one comes behind the last. */
  records?: readonly object[]
  /** The keys of the records to remove, before any is put there. They need not be there. */
  remove?: readonly (string | number)[]
}

/**
 * A change by keys of an index that is an object: `delete` first, and then `set`. With `delete`, also an empty one, each name in `set` is a key, also
 * one that begins with `/`: give it if names come from outside the program. Without it, names that begin with `/` are pointers. `set: {}` alone
 * changes nothing, also of an array.
 */
export interface KeyPatch {
  /** The keys to set. */
  set?: Record<string, unknown>
  /** The keys to delete. One that is set as well is there afterwards. */
  delete?: readonly string[]
  remove?: undefined
  upsert?: undefined
  increment?: undefined
  append?: undefined
  merge?: undefined
}

/** JSON Merge Patch: an object is merged member by member, `null` removes a member, and any other value takes the place of the old one. Its objects are at most 1,000 deep. */
export interface MergePatch {
  /** What the index is merged with. */
  merge: object
  set?: undefined
  delete?: undefined
  remove?: undefined
  upsert?: undefined
  increment?: undefined
  append?: undefined
}

/** An operation of JSON Patch. `path` and `from` are pointers. */
export type JsonPatchOperation =
  | { op: 'add' | 'replace' | 'test'; path: string; value: unknown }
  | { op: 'remove'; path: string }
  | { op: 'move' | 'copy'; from: string; path: string }

/**
 * An index, as the function of a patch looks at it. What the methods return belongs to the function: to change it changes nothing else. They answer at once, while the
 * function runs; after that they throw `ERR_INVALID_STATE`.
 */
export interface IndexView {
  /** The value at a pointer, parsed; `undefined` if nothing is there. The empty pointer gives all of the index, which has to be parsed for it. */
  at(pointer: string): any
  /** How many items the array at a pointer has, or how many members the object; `undefined` if neither is there. */
  count(pointer: string): number | undefined
  /**
   * The records of the array at the pointer `at` whose member `key` is `value`, in the order of the array, each with its pointer. Of equal members the last one counts, as
   * for `JSON.parse`. `[]` if no array is there. The first call for an array and a key looks through the array (a few ms a megabyte, on the thread that calls); the next ones, also of later
   * patches, find the records by a table, which is kept with the text of the index: until another process, a function or a patch that fails has changed it.
   */
  findAll(at: string, key: string, value: string | number): { pointer: string; value: any }[]
}

/**
 * A function that makes a patch of what is in the index; `undefined`: nothing is to be changed. It is called as the function of {@link atomicIndexUpdate} is: under the lock, in
 * the order of the calls, maybe more than once, and it may be async.
 */
export type IndexPatchFunction = (
  view: IndexView,
  run: UpdateRun,
) => IndexPatch | undefined | PromiseLike<IndexPatch | undefined>

/** Options of {@link atomicIndexPatch}: those of {@link atomicIndexUpdate}, but for `keep`, and `wait`. `fnTimeout` is for the function of a patch. */
export interface PatchOptions extends Omit<UpdateOptions, 'keep'> {
  /**
   * What is patched if there is no file. For files only.
   *
   * @default {}
   */
  initial?: any
  /**
   * For an object in a store: whether the promise resolves when the change is stored, or when it is in the index.
   *
   * @default 'applied'
   */
  wait?: 'accepted' | 'applied'
}

/** What {@link atomicIndexPatch} did. The other fields are those of the update, where the change is part of one already. */
export interface PatchResult extends Partial<UpdateResult> {
  /** Whether the change is in the index. `false`: it is stored, and will be. */
  applied: boolean
  /** Whether the change survives a power cut. */
  durable: boolean
}
