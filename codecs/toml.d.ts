import type { IndexCodec } from '../index.js'

/**
 * TOML, by the package `smol-toml`. Comments are not kept: the file is printed anew with each change; without one it stays as it is. A float of the file stays a
 * float, such as `1.0`; a new whole number is an integer. One of the file that JavaScript would round is rounded in the value, and keeps its digits in the file as long
 * as nobody changes it. TOML has no `null` and no lone surrogates: they are refused. What plain JSON would lose is refused too: see `isPlain` of `IndexCodec`.
 *
 * The time grows with the size of the file: an update of 10,000 keys takes about 23 times (19 to 29) the processor time of one of plain JSON.
 *
 * Without the package, a call with this codec rejects with `ERR_ATOMIC_NO_CODEC`.
 */
export declare const toml: IndexCodec
