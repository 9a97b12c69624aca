import type { IndexCodec } from '../index.js'

/**
 * TOML, by the package `smol-toml`. Comments are not kept: the file is printed anew with each change; without one it stays as it is. A float of the file stays a
 * float, such as `1.0`; a new whole number is an integer. TOML has no `null` and no lone surrogates: they are refused. What plain JSON would lose is refused too: see
 * `isPlain` of `IndexCodec`.
 *
 * A whole number of the file that JavaScript would round (beyond 2^53) is rounded in the value, and has its digits in the file wherever the next version has it.
 * An update of such a file is refused where the digits cannot be told: if several numbers of the file become one when they are rounded and the next version has
 * that one, and if it has another number between 2^53 and 2^63, which may be made of a rounded one; a BigInt is not refused. A whole number of more than 64 bits is an error.
 *
 * The time grows with the size of the file: an update of 10,000 keys takes about 23 times (19 to 29) the processor time of one of plain JSON.
 *
 * Without the package, a call with this codec rejects with `ERR_ATOMIC_NO_CODEC`.
 */
export declare const toml: IndexCodec
