//! `acquireIndexLockSync`, `inspectIndexLockSync`: locks for code that cannot wait.

use engine::blocking;
use engine::lock::left::LookJob;
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

use crate::api::index_lock::{self, IndexLock};
use crate::api::index_lock_options::{self, INSTEAD, IndexLockOptions};
use crate::api::sweep;
use crate::js::index::lock;
use crate::js::inside;
use crate::js::value::{Result, args, path, promise};

#[napi]
impl IndexLock {
    /// Gives the index back, as {@link IndexLock.release} does. The lock is free when this returns, unless calls on the lock are under way:
    /// then it is free when they are over, which {@link IndexLock.release} waits for.
    #[napi(ts_return_type = "void")]
    pub fn release_sync(&self) {
        self.lock.release_now();
    }

    /// What `using` calls at the end of its block: {@link IndexLock.releaseSync}.
    #[napi(well_known_symbol = "dispose", ts_return_type = "void")]
    pub fn dispose_sync(&self) {
        self.lock.release_now();
    }
}

/// Locks an index as {@link acquireIndexLock} does, if its lock is free at this moment, and returns the lock: for code that cannot wait,
/// in constructors and in handlers of `process.on('exit')`. {@link IndexLock.releaseSync} gives it back, or `using lock = …` at the end of its
/// block. It **blocks** the event loop for a few calls of the system, and where a killed process has left a transaction, once, for as long as it
/// takes to recover that: hundreds of milliseconds or more.
///
/// {@link readIndexSync} reads the index under it. Nothing is written synchronously under it: {@link IndexLock.update} and
/// {@link IndexLock.write} return promises, and {@link atomicWriteSync} throws `ERR_ATOMIC_REENTRANT` as under any lock, so call it after
/// {@link IndexLock.releaseSync}, or in handlers of `exit`.
///
/// If another process has the lock, or a call of this process has the index or waits for it, it throws `ERR_ATOMIC_LOCK_TIMEOUT` at once, as
/// {@link acquireIndexLock} does with `timeout: 0`. Calls of this process that have not come as far yet come after it. Else it throws what that
/// rejects with. There is one path, no `signal`, and no `timeout` but 0 (`ERR_INVALID_ARG_VALUE`). In handlers of `exit` no call is refused for
/// being made inside a function, which does not go on after them: the lock is free or not. Where no file descriptor is free (`EMFILE`, `ENFILE`) it
/// tries again for a tenth of a second, as nobody can close one meanwhile on this thread.
#[napi(
    ts_args_type = "path: PathLike, options?: (Omit<IndexLockOptions, 'timeout' | 'signal'> & { timeout?: 0 | undefined }) | null",
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
    let path = path::local(env, "path", path, INSTEAD)?;
    let inside = inside::blocking(env).unwrap_or_default();
    index_lock_options::check_nested(env, &inside, &path.shown)?;
    let own = args::options::<IndexLockOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    if let Some(signal) = &own.signal {
        let reason = "is not for a call that blocks, as nothing can abort it; call acquireIndexLock";
        return Err(args::wrong_value(env, "options.signal", reason, signal));
    }
    let how = index_lock_options::parse_options(env, &own, options)?;
    if let Some(timeout) = own.timeout.filter(|_| !how.timeout.is_zero()) {
        let reason = "can only be 0 for a call that blocks, which does not wait; call acquireIndexLock";
        return Err(args::wrong_value(env, "options.timeout", reason, &timeout));
    }
    index_lock::wrap(env, vec![lock::acquire_now(env, path, &how, &inside)?], false, false)
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
