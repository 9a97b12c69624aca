import type { IndexCodec } from '../index.js'

/**
 * JSON with comments and trailing commas, by the package `jsonc-parser`. What is not changed stays as it is, character by character: comments,
 * empty lines, the place of brackets, numbers that JavaScript cannot keep. A comment before an item, and one behind it on its line, go with the item; one that an
 * empty line divides from it stays. New keys come last. A text of comments alone says `{}`. What plain JSON would lose is refused: see `isPlain` of
 * `IndexCodec`.
 *
 * The time grows with the size of the file: an update of 10,000 keys takes about 24 times (21 to 26) the processor time of one of plain JSON.
 *
 * Without the package, a call with this codec rejects with `ERR_ATOMIC_NO_CODEC`.
 */
export declare const jsonc: IndexCodec
