//! `atomicWriteSync`: as `atomicWrite`, on the calling thread.

use engine::write::now;
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

use crate::api::options::{Checked, WriteOptions, WriteResult};
use crate::js::error::from_engine;
use crate::js::inside;
use crate::js::value::{Encoding, Result, args, path, promise};

/// Writes a file as {@link atomicWrite} does, and returns when that is done: for handlers of `process.on('exit')`, in which nothing
/// asynchronous comes to its end, and for what a program writes before it serves anyone. It **blocks** the event loop for as long as
/// the disk takes to flush; elsewhere call {@link atomicWrite}. It works in worker threads.
///
/// Options, result and errors are those of {@link atomicWrite}; what that rejects with is thrown. An option `signal` is refused
/// (`ERR_INVALID_ARG_VALUE`), as nothing can abort a thread that is blocked, and so are `ifVersion` and `backup`. Objects in stores
/// are `ERR_ATOMIC_UNSUPPORTED`. Where no file descriptor is free (`EMFILE`, `ENFILE`) it tries again for a tenth of a second, and not for ten
/// seconds, as nobody can close one meanwhile on this thread.
///
/// It waits for no call of this process, because that could wait for the blocked thread: it comes before all that have not begun to
/// write. An {@link atomicWrite} of the file that was called before and has not written yet is not carried out, unless with `'wx'`: it
/// resolves with `written: false` when its turn comes, so the last call wins. The function of an {@link atomicIndexUpdate} that
/// has not been written runs again, on the new content. Batches, transactions and `AtomicFile`s that end later replace it.
///
/// Inside the function of a call for the file, and while this program holds its lock ({@link acquireIndexLock}), it throws
/// `ERR_ATOMIC_REENTRANT`. In handlers of `process.on('exit')` it writes all the same, also where a worker thread exits and another thread has
/// the lock: what the function would have returned, and what is done under the lock, is not waited for. Locks of other
/// processes are not waited for, as {@link atomicWrite} does not.
#[napi(
    ts_args_type = "path: PathLike, data: Data, options?: WriteSyncOptions | BufferEncoding | null",
    ts_return_type = "WriteResult"
)]
pub fn atomic_write_sync<'env>(
    env: &'env Env,
    path: Unknown<'env>,
    data: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    promise::or_throw(env, promise::guarded(env, || write(env, &path, &data, options)))
}

fn write<'env>(
    env: &'env Env,
    path: &Unknown<'env>,
    data: &Unknown<'_>,
    options: Unknown<'env>,
) -> Result<'env, Unknown<'env>> {
    let path = path::local(env, "path", path, "a call that blocks is for files; call atomicWrite")?;
    let options = WriteOptions::read(env, options)?;
    options.check_for_files(env)?;
    if let Some(signal) = &options.signal {
        let reason = "is not for a call that blocks, as nothing can abort it; call atomicWrite";
        return Err(args::wrong_value(env, "options.signal", reason, signal));
    }
    let Checked { commit, mkdir } = options.check(env)?;
    let data = Encoding::parse(env, options.encoding.as_ref())?.copy(env, data)?;
    match now::write(path.absolute, data, &commit, mkdir, inside::blocking(env).as_ref()) {
        Ok(receipt) => WriteResult::from(receipt).to_js(env),
        Err(failure) => Err(from_engine(env, &failure, &path.shown, || None)),
    }
}
