//! `acquireIndexLockSync`, `inspectIndexLockSync`: locks for code that cannot wait.

use engine::blocking;
use engine::lock::left::LookJob;
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

use crate::api::index_lock::{self, IndexLock, IndexLockOptions};
use crate::api::sweep;
use crate::js::index::lock;
use crate::js::value::{Result, args, path, promise};

#[napi]
impl IndexLock {
    /// Gives the index back, as {@link IndexLock.release} does. The lock is free when this returns, unless calls on the lock are under way:
    /// then it is free when they are over.
    #[napi(ts_return_type = "void")]
    pub fn release_sync(&self) {
        self.lock.release_now();
    }
}

/// Locks an index as {@link acquireIndexLock} does, if its lock is free at this moment, and returns the lock: for code that cannot wait,
/// in constructors and in handlers of `process.on('exit')`. {@link IndexLock.releaseSync} gives it back. It **blocks** the event loop for a few
/// calls of the system.
///
/// If another process has the lock, or a call of this process has the index or waits for it, it throws `ERR_ATOMIC_LOCK_TIMEOUT` at once, as
/// {@link acquireIndexLock} does with `timeout: 0`. Calls of this process that have not come as far yet come after it. Else it throws what that
/// rejects with. There is one path, and no `timeout` or `signal` (`ERR_INVALID_ARG_VALUE`). Where no file descriptor is free (`EMFILE`, `ENFILE`) it
/// tries again for a tenth of a second, as nobody can close one meanwhile on this thread.
#[napi(
    ts_args_type = "path: PathLike, options?: Omit<IndexLockOptions, 'timeout' | 'signal'> | null",
    ts_return_type = "IndexLock"
)]
pub fn acquire_index_lock_sync<'env>(
    env: &'env Env,
    path: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    promise::or_throw(env, promise::guarded(env, || acquire(env, &path, &options)))
}

fn acquire<'env>(
    env: &'env Env,
    path: &Unknown<'env>,
    options: &Unknown<'env>,
) -> Result<'env, Unknown<'env>> {
    let own = args::options::<IndexLockOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    for (name, given) in [("options.timeout", &own.timeout), ("options.signal", &own.signal)] {
        if let Some(given) = given {
            let reason = "is not for a call that blocks, which does not wait; call acquireIndexLock";
            return Err(args::wrong_value(env, name, reason, given));
        }
    }
    let (args, _) = index_lock::parse_one(env, path, options)?;
    index_lock::wrap(env, vec![lock::acquire_now(env, args)?], false, false)
}

/// Tells what {@link inspectIndexLock} resolves with; what that rejects with is thrown. It **blocks** the event loop for a few calls of the
/// system.
#[napi(ts_args_type = "path: PathLike", ts_return_type = "IndexLockState")]
pub fn inspect_index_lock_sync<'env>(env: &'env Env, path: Unknown<'env>) -> napi::Result<Unknown<'env>> {
    let inspect = || {
        let path = path::local(env, "path", &path, sweep::NO_LOCK)?;
        let seen = blocking::run_briefly(LookJob(path.absolute));
        sweep::lock_state(env, seen, &path.shown)
    };
    promise::or_throw(env, promise::guarded(env, inspect))
}
