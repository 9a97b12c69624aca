import type { IndexCodec } from '../index.js'

/**
 * TOML, by the package `smol-toml`. Comments are not kept: the file is printed anew with each change. A `Map` and a `Set` are refused.
 *
 * Without the package, a call with this codec rejects with `ERR_ATOMIC_NO_CODEC`.
 */
export declare const toml: IndexCodec
