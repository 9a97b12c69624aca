//! `atomicIndexPatch`: keys of an index set and deleted, by any number of writers.

use std::rc::Rc;
use std::time::Instant;

use engine::process::Inside;
use engine::steps;
use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};
use napi_derive::napi;

use crate::api::atomic_index_update as update;
use crate::api::options::milliseconds;
use crate::api::start_update::{self, Given};
use crate::api::update_options;
use crate::js::cloud::peer;
use crate::js::index::call::{self, Change, Request};
use crate::js::index::crowd::{self, Copied, Crowd, Joined};
use crate::js::index::others::Ties;
use crate::js::index::patch::{self, Patch};
use crate::js::inside;
use crate::js::transaction::ParsedUpdate;
use crate::js::value::{FilePath, Result, Signal, Target, path, promise, raw};

/// What to do with a patch of an object in a store that its inbox cannot carry.
const KEYS_ALONE: &str = "the inbox of an index in a store carries keys: set and delete, pointers of one key in set, and upsert at ''; \
                          make another change with atomicIndexUpdate";

/// Changes a JSON file, or keys of an object in a store, as a patch says. Without a file it begins as `{}`, or as `initial`.
///
/// ```ts
/// await atomicIndexPatch('posts.json', {
///   set: { '/updated': '2026-11-29' },
///   upsert: { at: '/posts', key: 'slug', records: [post], remove: ['old-post'] },
///   increment: { '/topics/rust': 1 },
/// })
/// ```
///
/// {@link IndexPatch} has the forms: pointers, keys, JSON Patch, JSON Merge Patch. In `set` a name that begins with `/` is a pointer; **give `delete: []` as
/// well if names come from outside the program: then all of them are keys.** A patch is applied as a whole or not at all. It is copied
/// as JSON during the call.
///
/// **What is written may depend on what is there**: instead of a patch, give a function that makes one. It gets an {@link IndexView}, which finds values and records in the
/// text of the index, so neither the function nor the patch needs all of it parsed.
///
/// ```ts
/// await atomicIndexPatch('posts.json', (view) => {
///   const [known] = view.findAll('/posts', 'slug', post.slug)
///   if (known?.value.hash === post.hash) return undefined
///   return known ? { set: { [known.pointer]: post } } : { append: { '/posts': [post] } }
/// })
/// ```
///
/// Such a function is called as that of {@link atomicIndexUpdate}: under the lock, in the order of the calls, with the same second argument, and maybe more than once; it may be async, calls
/// inside of it for the same file are refused, and what it throws rejects this call alone. For `undefined`, and for a patch that changes nothing, nothing is written (`written: false`), also no
/// file that is not there yet. The view ends when the function returns, or its promise settles. Where the index is parsed anyway, for functions of updates
/// in the same commit, or with `schema`, `codec` or `space`, the view is of what that says; the function cannot tell. An object in a store is updated then, as by {@link atomicIndexUpdate}.
///
/// A file is changed as by {@link atomicIndexUpdate}, with its options, errors and promises: patches and functions share commits, and take effect in the order of
/// the calls. `initial`, `space`, `numbers`, `codec` and `schema` mean what they mean there.
///
/// An object in a store is changed by way of an inbox, which many machines can write to at once, while one object takes about 15 commits a
/// second: with `wait: 'accepted'` the promise resolves when the change is stored and will be in the index, with `'applied'` when it
/// is. For a file both mean that it is. The inbox carries keys: `set` and `delete`, a `set` of pointers with one key each, and `upsert` at `''`, which puts records
/// into the index itself, an object. Any other patch of an object rejects with `ERR_ATOMIC_UNSUPPORTED`, as it could fail when nobody waits for it any more: use {@link atomicIndexUpdate} there.
///
/// Rejects also with
/// - `ERR_ATOMIC_PATCH`: the patch cannot be applied to what is in the index. `pointer` is the one that leads nowhere, or to what does not fit (something else than a
///   number to increment, than an array to append to; the `test` of a JSON Patch), `reached` is how far it leads;
/// - `ERR_INVALID_ARG_TYPE`, if the patch, given or made, is of another form, or of keys and the index is an array;
/// - `ERR_INVALID_ARG_VALUE`, if the patch has pointers and keys, a pointer of more than 1,000 keys, or something that JSON cannot write or would lose, as a `Map`.
#[napi(
    ts_args_type = "path: PathLike, patch: IndexPatch | IndexPatchFunction, options?: PatchOptions | null",
    ts_return_type = "Promise<PatchResult>"
)]
pub fn atomic_index_patch<'env>(
    env: &'env Env,
    path: Unknown<'env>,
    patch: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    promise::answer(env, join(env, &path, &patch, &options))
}

/// Starts a call, or lets it join those that were made right before.
fn join<'env>(
    env: &'env Env,
    path: &Unknown<'env>,
    patch: &Unknown<'env>,
    options: &Unknown<'env>,
) -> Result<'env, Unknown<'env>> {
    if raw::type_of(patch) == ValueType::Function {
        let target = path::target(env, "path", path)?;
        return start_update::start(env, target, Given::View(patch), options, Ties::default());
    }
    // The steps of a call are its own, and a function that it is made inside of too.
    if steps::current().is_some() || !inside::around(env).is_none() {
        return start(env, path, patch, (None, Ties::default()), options);
    }
    match crowd::join(env, [*path, *patch, *options], start_crowd)? {
        Joined::Told(promise) => Ok(promise),
        Joined::Alone { copied, ties } => start(env, path, patch, (copied, ties), options),
    }
}

/// Starts a call that is several patches of a file, whose options an earlier call has had.
fn start_crowd<'env>(
    env: &'env Env,
    path: FilePath,
    (crowd, ties): (Crowd, Ties),
    options_given: &Unknown<'env>,
) -> Result<'env, Unknown<'env>> {
    let since = Instant::now();
    let update_options::Given { wait, own, shared } = update_options::read(env, options_given)?;
    update_options::check_wait(env, wait.as_ref())?;
    let timeout = milliseconds(env, "options.timeout", own.timeout.as_ref(), update::DEFAULT_TIMEOUT)?;
    let ParsedUpdate { options, initial, format, schema, .. } =
        update_options::parse(env, &path, &own, &shared)?;
    let initial = initial.map_or_else(|| format.empty(env), Ok)?;
    let request = Request {
        id: call::next_id(),
        change: Change::Crowd(Rc::new(crowd)),
        is_patch: true,
        shown: path.shown,
        initial: Some(initial),
        options,
        format,
        schema,
        keeps_value: false,
        // Those of a function are none of a crowd, whichever call it is started ahead of.
        inside: Inside::default(),
        signal: Signal::default(),
        since,
        deadline: since.checked_add(timeout),
        fn_timeout: update_options::fn_timeout(env, &own)?,
        steps: None,
        ties,
        store: String::new(),
    };
    start_update::start_file(env, path.absolute, request, timeout)
}

fn start<'env>(
    env: &'env Env,
    path: &Unknown<'env>,
    patch: &Unknown<'env>,
    (copied, ties): (Option<Copied<'env>>, Ties),
    options: &Unknown<'env>,
) -> Result<'env, Unknown<'env>> {
    let target = path::target(env, "path", path)?;
    let patch = match (copied, &target) {
        (Some(Copied::Text(text)), Target::Local(_)) => {
            return start_update::start(env, target, Given::Text(text), options, ties);
        }
        (Some(Copied::Patch(patch)), _) => patch,
        _ => Patch::new(env, patch)?,
    };
    let is_given = raw::is_object(options);
    let option = |name| if is_given { raw::get(env, options, name) } else { Ok(raw::undefined(env)) };
    if let (Target::Cloud(path), true) = (&target, raw::is_object(&option(c"codec")?)) {
        return Err(path.unsupported(env, update::WITHOUT_CODECS));
    }
    let shown = match &target {
        Target::Cloud(path) => {
            let wait = option(c"wait")?;
            let is_given = raw::type_of(&wait) != ValueType::Undefined;
            update_options::check_wait(env, Some(&wait).filter(|_| is_given))?;
            let keys = patch.keys(env)?;
            if raw::type_of(&keys) == ValueType::Undefined {
                return Err(path.unsupported(env, KEYS_ALONE));
            }
            return peer::call(env, &path.shown, c"atomicIndexPatch", &[path.given, keys, *options]);
        }
        Target::Local(path) => &path.shown,
    };
    let function = patch.function(env, shown, &option(c"numbers")?)?;
    start_update::start(env, target, Given::Patch(&patch, &function), options, ties)
}

/// What `index.js` asks ahead of [`atomic_index_patch`]; not public.
#[napi(skip_typescript)]
pub fn gathered_patches(env: &Env) -> napi::Result<Unknown<'_>> {
    promise::or_throw(env, patch::gathered(env))
}
