//! What locks of indexes are asked for with.

use engine::cancel::Cancel;
use engine::index::hold_job::HoldOptions;
use engine::process::Inside;
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

use crate::api::atomic_index_update::{DEFAULT_TIMEOUT, UpdateOptions};
use crate::api::options::{Checked, WriteOptions, milliseconds};
use crate::api::update_options;
use crate::js::error::from_engine;
use crate::js::index::lock::AcquireArgs;
use crate::js::inside;
use crate::js::value::{FilePath, Result, Signal, args, path, raw};

/// What to do with an object in a store.
pub const INSTEAD: &str = "stores have no locks; change the object with atomicIndexUpdate, which replaces what it has read, or \
                       not at all";

/// Options of {@link acquireIndexLock} and {@link withIndexLock}.
#[napi(
    object,
    object_to_js = false,
    js_name = "IndexLockOptions extends Pick<UpdateOptions, 'mkdir' | 'fallback' | 'network'>"
)]
#[derive(Default)]
pub struct IndexLockOptions<'env> {
    /// How long to wait for the lock, or for all of them, in milliseconds: for earlier calls of this process and then for
    /// other processes. Then the call rejects with `ERR_ATOMIC_LOCK_TIMEOUT`, and holds nothing. 0 tries once; `Infinity` waits
    /// without a limit.
    ///
    /// @default 30_000
    #[napi(ts_type = "number")]
    pub timeout: Option<Unknown<'env>>,
    /// Ends the waiting: the call rejects with an `AbortError`. It has no effect once the lock is held.
    #[napi(ts_type = "AbortSignal")]
    pub signal: Option<Unknown<'env>>,
}

/// As [`parse`], for one path.
pub fn parse_one<'env>(
    env: &'env Env,
    path: &Unknown<'env>,
    options: &Unknown<'env>,
) -> Result<'env, (AcquireArgs, FilePath)> {
    let file = path::local(env, "path", path, INSTEAD)?;
    parse_paths(env, vec![file.clone()], options).map(|args| (args, file))
}

/// What is to be locked and how, and whether that is an array.
pub fn parse<'env>(
    env: &'env Env,
    paths: &Unknown<'env>,
    options: &Unknown<'env>,
) -> Result<'env, (AcquireArgs, bool)> {
    let is_several = raw::is_array(env, paths);
    let paths: Vec<FilePath> = if is_several {
        let all = raw::list(env, paths)?;
        let path = |(at, path)| path::local(env, &format!("paths[{at}]"), path, INSTEAD);
        all.iter().enumerate().map(path).collect::<Result<'_, _>>()?
    } else {
        vec![path::local(env, "path", paths, INSTEAD)?]
    };
    parse_paths(env, paths, options).map(|args| (args, is_several))
}

fn parse_paths<'env>(
    env: &'env Env,
    paths: Vec<FilePath>,
    options: &Unknown<'env>,
) -> Result<'env, AcquireArgs> {
    let first = paths.first().map_or("", |path| &path.shown);
    check_nested(env, &inside::current(env), first)?;
    let own = args::options::<IndexLockOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    let how = parse_options(env, &own, options)?;
    let signal = Signal::attach(env, own.signal.as_ref())?;
    Ok(AcquireArgs { paths, options: HoldOptions { cancel: signal.cancel(), ..how }, signal })
}

/// See [`Inside::check_nested`].
pub fn check_nested<'env>(env: &'env Env, inside: &Inside, shown: &str) -> Result<'env, ()> {
    inside.check_nested(false).map_err(|error| from_engine(env, &error, shown, || None))
}

/// How to take locks, but for the signal.
pub fn parse_options<'env>(
    env: &'env Env,
    own: &IndexLockOptions<'env>,
    options: &Unknown<'env>,
) -> Result<'env, HoldOptions> {
    let timeout = milliseconds(env, "options.timeout", own.timeout.as_ref(), DEFAULT_TIMEOUT)?;
    let update = args::options::<UpdateOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    let network = update_options::network(env, update.network.as_ref())?;
    let shared = args::options::<WriteOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    let shared = WriteOptions { mkdir: shared.mkdir, fallback: shared.fallback, ..WriteOptions::default() };
    let Checked { commit, mkdir } = shared.check(env)?;
    Ok(HoldOptions { mkdir, network, in_place: commit.in_place, timeout, cancel: Cancel::default() })
}
