//! `applyIndexPatch`: what a patch makes of an index in memory.

use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

use crate::js::index::patch;
use crate::js::value::{promise, raw};

/// What a patch makes of an index that is a value: what {@link atomicIndexPatch} does with a file, for an index that is a part of something else, or
/// in a test.
///
/// ```ts
/// await atomicIndexUpdate('s3://bucket/all.json', (all) => ({ ...all, posts: applyIndexPatch(all.posts, publish(post)) }))
/// ```
///
/// The index that is given stays as it is, and may be frozen. What is returned shares with it what the patch does not change; if that is
/// nothing, it is the very same index. What the patch brings is copied, as JSON. A function gets a view of the index, and has to return at once: no promise.
/// `findAll` looks through the list each time, and a patch copies each list and object that it changes something in, but not what is in there.
///
/// Throws what {@link atomicIndexPatch} rejects with for such a patch, without a `path`, and what the function throws. `ERR_INVALID_ARG_TYPE` if the index is no object and
/// no array; `ERR_INVALID_STATE` for a part of it on the way that JSON would print as something else (a date, a `Map`). Sums are those of `numbers: 'strict'`.
#[napi(
    ts_generic_types = "T extends object = any",
    ts_args_type = "index: T, patch: IndexPatch | ((view: IndexView) => IndexPatch | undefined)",
    ts_return_type = "T"
)]
pub fn apply_index_patch<'env>(
    env: &'env Env,
    index: Unknown<'env>,
    patch: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    promise::or_throw(
        env,
        patch::class(env).and_then(|class| raw::invoke(env, &class, c"appliedTo", &[index, patch])),
    )
}
