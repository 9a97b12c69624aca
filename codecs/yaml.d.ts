import type { IndexCodec } from '../index.js'

/**
 * YAML 1.2, by the package `yaml`. What is not changed stays as it is, character by character: comments, indents, quotes, block texts, anchors, numbers that
 * JavaScript cannot keep. A comment right above an item, in its column, and one on its line go with the item; one that an empty line divides from it stays. New keys
 * come last. Within brackets a comment behind an item on its line goes with it, and all others stay. An alias of what goes is replaced by the value.
 * Where a change does not fit to the text around it, the value of that key of the whole index is printed anew, without its comments.
 *
 * The values are those of JSON, and `NaN` and the infinities: a tag such as `!!binary`, `!!set` or `!!timestamp` stays in the file, and what follows it is a text or
 * an object. A `Date` becomes a string, an object that is in several places is printed in each. What plain JSON would lose is refused: see `isPlain` of
 * `IndexCodec`. A file of several documents counts as broken, and so does one with a key that is there twice, or with 100 aliases of one anchor; with fewer, if
 * what that stands for has aliases itself.
 *
 * The time grows with the size of the file: an update of 10,000 keys takes about 150 times (140 to 180) the processor time of one of plain JSON.
 *
 * Without the package, a call with this codec rejects with `ERR_ATOMIC_NO_CODEC`.
 */
export declare const yaml: IndexCodec
