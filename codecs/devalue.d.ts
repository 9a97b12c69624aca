import type { IndexCodec } from '../index.js'

/**
 * What JSON has no place for, by the package `devalue`: `Date`, `Map`, `Set`, `BigInt`, `undefined`, repeated references. The file is JSON that says such
 * values in the way of that package. It is an ES module: Node.js 20.19, 22.12 or newer can require it.
 *
 * The time grows with the size of the file: an update of 10,000 keys takes about 11 times (8 to 12) the processor time of one of plain JSON.
 *
 * Without the package, a call with this codec rejects with `ERR_ATOMIC_NO_CODEC`.
 */
export declare const devalue: IndexCodec
