import type { IndexCodec } from '../index.js'

/**
 * JSON with comments and trailing commas, by the package `jsonc-parser`. What is not changed stays as it is, character by character: comments,
 * empty lines, the place of brackets. A comment before an item, and one behind it on its line, go with the item; one that an empty line divides from it
 * stays. New keys come last. A `Map` and a `Set` are refused.
 *
 * Without the package, a call with this codec rejects with `ERR_ATOMIC_NO_CODEC`.
 */
export declare const jsonc: IndexCodec
