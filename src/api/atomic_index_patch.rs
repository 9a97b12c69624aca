//! `atomicIndexPatch`: keys of an index set and deleted, by any number of writers.

use engine::index::file::Numbers;
use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};
use napi_derive::napi;

use crate::api::atomic_index_update;
use crate::js::cloud::{peer, script};
use crate::js::index::json;
use crate::js::value::{Result, Target, args, path, promise, raw};

/// Changes keys of a JSON file, or of an object in a store, that holds one object: `delete` first, and then `set`. Without a file it
/// begins as `{}`.
///
/// A file is changed as by {@link atomicIndexUpdate}, with its options, errors and promises, and shares commits with its calls. An object
/// in a store is changed by way of an inbox, which many machines can write to at once, while one object takes about 15 commits a
/// second: with `wait: 'accepted'` the promise resolves when the change is stored and will be in the index, with `'applied'` when it
/// is. For a file both mean that it is.
///
/// `set` is copied as JSON during the call. Rejects also with `ERR_INVALID_ARG_TYPE`, if the patch is of another form or the
/// index is an array; with `ERR_INVALID_ARG_VALUE`, if `set` has what JSON cannot write or would lose, as a `Map`.
#[napi(
    ts_args_type = "path: PathLike, patch: IndexPatch, options?: PatchOptions | null",
    ts_return_type = "Promise<PatchResult>"
)]
pub fn atomic_index_patch<'env>(
    env: &'env Env,
    path: Unknown<'env>,
    patch: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    promise::answer(env, start(env, &path, &patch, &options))
}

fn start<'env>(
    env: &'env Env,
    path: &Unknown<'env>,
    patch: &Unknown<'env>,
    options: &Unknown<'env>,
) -> Result<'env, Unknown<'env>> {
    let target = path::target(env, "path", path)?;
    if raw::type_of(patch) != ValueType::Object {
        return Err(args::wrong_type(env, "patch", "of type Object", patch));
    }
    let set = set(env, &raw::get(env, patch, c"set")?)?;
    let delete = raw::get(env, patch, c"delete")?;
    if raw::type_of(&delete) != ValueType::Undefined && !raw::is_array(env, &delete) {
        return Err(args::wrong_type(env, "patch.delete", "an instance of Array", &delete));
    }
    if raw::is_object(options) {
        let codec = raw::get(env, options, c"codec")?;
        if let (Target::Cloud(path), true) = (&target, raw::is_object(&codec)) {
            return Err(path.unsupported(env, atomic_index_update::WITHOUT_CODECS));
        }
        let wait = raw::get(env, options, c"wait")?;
        let known = matches!(args::word(env, &wait)?.as_deref(), Some("accepted" | "applied"));
        if raw::type_of(&wait) != ValueType::Undefined && !known {
            return Err(args::wrong_value(env, "options.wait", "must be 'accepted' or 'applied'", &wait));
        }
    }
    if let Target::Cloud(path) = target {
        let set = raw::call(env, &raw::undefined(env), &set, &[])?;
        let patch = raw::object(env)?;
        raw::define(env, &patch, c"set", &set)?;
        raw::define(env, &patch, c"delete", &delete)?;
        return peer::call(env, &path.shown, c"atomicIndexPatch", &[path.given, patch, *options]);
    }
    let change = script::call(env, c"patch", &[set, delete])?;
    let options = script::call(env, c"patchOptions", &[*options])?;
    let updated = atomic_index_update::start(env, path, &change, &options)?;
    promise::then(env, &updated, |env, result| {
        raw::define(env, &result, c"applied", &raw::to_js(env, true)?)?;
        Ok(result)
    })
}

/// What is to be set, as a function that returns a new copy of it each time.
fn set<'env>(env: &'env Env, set: &Unknown<'_>) -> Result<'env, Unknown<'env>> {
    let set = if raw::type_of(set) == ValueType::Undefined { raw::object(env)? } else { *set };
    let wrong_type = || args::wrong_type(env, "patch.set", "of type Object", &set);
    if raw::type_of(&set) != ValueType::Object {
        return Err(wrong_type());
    }
    let text = json::snapshot(env, "patch.set", &set)?;
    // A `toJSON` can make anything of an object.
    if text.first() != Some(&u16::from(b'{')) {
        return Err(wrong_type());
    }
    let numbers = if json::can_keep_digits(env)? { Numbers::Exact } else { Numbers::Lossy };
    promise::callback(env, "set", move |env, []| json::parse(env, None, Some(&text), numbers))
}
