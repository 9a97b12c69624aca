import type { IndexCodec } from '../index.js'

/**
 * YAML 1.2, by the package `yaml`. Comments, quotes, block texts and anchors of what is not changed stay; if anything is changed, the file gets uniform
 * indents and spaces. New keys come last. A file of several documents counts as broken. What is changed below an alias makes the file lose its comments.
 * A `Map` and a `Set` are refused, and a `Date` becomes a string. Numbers are those of JavaScript: long ones lose digits.
 *
 * Without the package, a call with this codec rejects with `ERR_ATOMIC_NO_CODEC`.
 */
export declare const yaml: IndexCodec
