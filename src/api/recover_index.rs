//! `recoverIndex`: an index that is broken or missing is made good again, once.

use std::rc::Rc;
use std::time::Duration;

use engine::index::file::UpdateOptions as EngineOptions;
use engine::steps;
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

use crate::api::atomic_index_update::{DEFAULT_TIMEOUT, UpdateOptions};
use crate::api::index_lock_options;
use crate::api::index_text::parse_text;
use crate::api::options::WriteOptions;
use crate::api::read_index;
use crate::js::index::lock;
use crate::js::index::recover::{Recovery, recover};
use crate::js::transaction::ParsedUpdate;
use crate::js::value::thrown::internal;
use crate::js::value::{FilePath, Kept, Result, Signal, args, promise, raw};

/// Options of {@link IndexLock.recover}, and of {@link recoverIndex}.
#[napi(
    object,
    object_to_js = false,
    js_name = "RecoveryOptions<T = any> extends Pick<UpdateOptions<T>, 'initial' | 'numbers' | 'codec' | 'schema' | 'migrate' | 'flush' | 'verify'>"
)]
#[derive(Default)]
pub struct RecoveryOptions<'env> {
    /// Makes an index when no backup is good, from what it was made of: the files that it lists. It gets the error that says what is wrong
    /// with the index, or `undefined` if the file is missing. It is called with the lock held, at most once for all processes if it
    /// succeeds, and may be async. What it throws is what the call rejects with, and the index stays as it is. Calls for the same index inside
    /// it reject with `ERR_ATOMIC_REENTRANT`.
    ///
    /// @default `initial` is put in its place
    #[napi(ts_type = "(corrupt: AtomicError | undefined) => T | PromiseLike<T>")]
    pub rebuild: Option<Unknown<'env>>,
    /// Aborts the call until the index is replaced, also while `schema`, `migrate` or `rebuild` takes its time: it rejects with an `AbortError`, the
    /// index is unchanged, and the lock is free. Nothing else ends a function that never settles: `AbortSignal.timeout(60_000)` does.
    #[napi(ts_type = "AbortSignal")]
    pub signal: Option<Unknown<'env>>,
}

/// Makes an index good again that is broken or missing. It takes the lock of {@link atomicIndexUpdate} and looks at the index under it. If it is
/// good, nothing is done: so of many processes that have found it broken one recovers it, and no older state is put over a newer one.
///
/// Broken is an index that is not JSON, or that `codec` cannot parse (`ERR_ATOMIC_CORRUPT_INDEX`), that does not pass `schema` even after `migrate`
/// (`ERR_ATOMIC_SCHEMA`), or that the disk cannot read (`EIO`). It is replaced by the first of these that there is:
///
/// 1. the newest good one of `${path}.backup`, `${path}.backup.1` and so on, as the option `backup` of {@link atomicIndexUpdate} leaves them:
///    byte for byte, or what `migrate` makes of it. The backup stays;
/// 2. what `rebuild` returns;
/// 3. `initial`.
///
/// Before that the broken file gets a second name beside it (see `setAside`), by a link, or as a copy where there are no links; no file is ever
/// overwritten by that or removed. The index is replaced in one step, as by {@link atomicWrite}: readers find the broken one or the
/// good one at any time, also after a kill or a power cut, and never none. After a kill in between the next call uses the name that is there.
///
/// ```ts
/// const { action, setAside } = await recoverIndex('posts/index.json', { rebuild: listPosts })
/// if (setAside) console.warn(`The index was ${action}; what was broken is in ${setAside}`)
/// ```
///
/// Rejects with an {@link AtomicError}: with what is wrong with the index (`ENOENT` if it is missing), if there is nothing to put in its
/// place; `ERR_ATOMIC_LOSSY_INDEX` for numbers that JavaScript would change (see `numbers`), which is no damage;
/// `ERR_INVALID_RETURN_VALUE` and `ERR_ATOMIC_SCHEMA` for what `rebuild` returned; `ERR_ATOMIC_UNSUPPORTED` for an object in a store, whose
/// bucket can keep versions; `ERR_ATOMIC_LOCK_LOST`, if another program has removed or replaced the lock file meanwhile: make the call again,
/// which uses what this one has set aside; and as {@link acquireIndexLock} and {@link atomicWrite} do. Then the index is unchanged, unless `error.committed` is `true`.
///
/// Not promised: what was changed since the backup was kept is not in it; `rebuild` is not asked for that.
#[napi(
    ts_generic_types = "T extends object = any",
    ts_args_type = "path: PathLike, options?: RecoverIndexOptions<T> | null",
    ts_return_type = "Promise<IndexRecovery<T>>"
)]
pub fn recover_index<'env>(
    env: &'env Env,
    path: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    promise::answer(env, start(env, &path, &options))
}

fn start<'env>(env: &'env Env, path: &Unknown<'env>, options: &Unknown<'env>) -> Result<'env, Unknown<'env>> {
    let (args, file) = index_lock_options::parse_one(env, path, options)?;
    let recovery = parse(env, file, options, DEFAULT_TIMEOUT)?;
    under_its_lock(env, args, recovery)
}

/// Takes the lock, recovers, and gives the lock back.
pub fn under_its_lock<'env>(
    env: &'env Env,
    args: lock::AcquireArgs,
    recovery: Recovery,
) -> Result<'env, Unknown<'env>> {
    let signal = recovery.signal.clone();
    let recovered = lock::acquire(env, args, move |env, locks| {
        let Some(lock) = locks.into_iter().next() else {
            return Err(internal(env, "no lock was taken"));
        };
        let recovered = recover(env, lock.clone(), Recovery { has_its_own_lock: true, ..recovery });
        let recovered = recovered.or_else(|thrown| promise::of(env, Err(thrown)))?;
        promise::finally(env, &recovered, move |env| lock.release(env))
    })?;
    promise::finally(env, &recovered, move |env| signal.detach(env).map(|()| raw::undefined(env)))
}

/// How to recover the index `file`.
pub fn parse<'env>(
    env: &'env Env,
    file: FilePath,
    options: &Unknown<'env>,
    timeout: Duration,
) -> Result<'env, Recovery> {
    let own = args::options::<RecoveryOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    let update = args::options::<UpdateOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    let shared = args::options::<WriteOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    let shared = WriteOptions { flush: shared.flush, verify: shared.verify, ..WriteOptions::default() };
    let commit = shared.check(env)?.commit;
    let rebuild = own.rebuild.as_ref().map(|rebuild| {
        args::function(env, "options.rebuild", rebuild)?;
        Kept::new(env, rebuild)
    });
    let rebuild = rebuild.transpose()?;
    if let Some(initial) = &update.initial {
        args::index(env, "options.initial", initial)?;
    }
    let ParsedUpdate { options, initial, format, schema, .. } = parse_text(env, &update)?;
    let options = EngineOptions { commit, ..options };
    let read = read_index::from_file(file, options.clone(), format.clone(), None);
    let traced = steps::current();
    let signal = Rc::new(Signal::attach(env, own.signal.as_ref())?);
    Ok(Recovery {
        options,
        format,
        schema,
        initial,
        rebuild,
        timeout,
        signal,
        traced,
        read,
        has_its_own_lock: false,
    })
}
