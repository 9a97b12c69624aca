//! `remove`: one file or object, removed for good.

use engine::write::remove_job::RemoveJob;
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

use crate::js::cloud::peer;
use crate::js::error::from_engine;
use crate::js::inside;
use crate::js::task;
use crate::js::value::{Result, Signal, Target, args, path, promise, raw};

/// Options of {@link remove}.
#[napi(object, object_to_js = false, js_name = "RemoveOptions extends CloudOptions")]
#[derive(Default)]
pub struct RemoveOptions<'env> {
    /// Flush the directory to disk (fsync) afterwards. Without it a power cut can bring the file back.
    ///
    /// @default true
    #[napi(ts_type = "boolean")]
    pub flush: Option<Unknown<'env>>,
    /// Remove an object in a store only if it still has this version; otherwise the call rejects with `ERR_ATOMIC_CONFLICT`. Files
    /// have no versions, and are refused with it (`ERR_INVALID_ARG_VALUE`).
    ///
    /// @default undefined
    #[napi(ts_type = "string")]
    pub if_version: Option<Unknown<'env>>,
    /// Aborts the call: it rejects with an `AbortError`, and the file is there. An abort that comes after the file was removed has no
    /// effect.
    #[napi(ts_type = "AbortSignal")]
    pub signal: Option<Unknown<'env>>,
}

/// What {@link remove} did.
#[napi(object, object_from_js = false)]
pub struct RemoveResult {
    /// Whether there was something to remove.
    pub removed: bool,
    /// Whether the removal survives a power cut. `false` if there was nothing to remove: another program may just have removed it.
    pub durable: bool,
}

/// Removes a file, or an object in a store. One that does not exist is no error: the result says `removed: false`.
///
/// Among the writes to one file the removal has its place in the order of the calls: what is called after it finds no file. (A write with
/// `flag: 'wx'` looks at the name before its turn: wait for the removal first.) A
/// symbolic link is followed as by {@link atomicWrite}: the file goes, and the link stays. Directories are not removed (`EISDIR`). The
/// lock of an index is not taken: an update of another process that is under way makes the file again, from nothing.
///
/// Rejects with an {@link AtomicError} as {@link atomicWrite} does. With `error.committed === true` the file is removed, but flushing
/// the directory failed, and a power cut may bring it back.
#[napi(
    ts_args_type = "path: PathLike, options?: RemoveOptions | null",
    ts_return_type = "Promise<RemoveResult>"
)]
pub fn remove<'env>(
    env: &'env Env,
    path: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    promise::answer(env, start(env, &path, options))
}

fn start<'env>(env: &'env Env, path: &Unknown<'env>, options: Unknown<'env>) -> Result<'env, Unknown<'env>> {
    let path = match path::target(env, "path", path)? {
        Target::Local(path) => path,
        Target::Cloud(path) => return peer::call(env, &path.shown, c"remove", &[path.given, options]),
    };
    let options = args::options::<RemoveOptions<'_>>(env, "of type Object", &options)?.unwrap_or_default();
    let flush = args::boolean(env, "options.flush", options.flush.as_ref(), true)?;
    args::only_in_stores(env, "options.ifVersion", options.if_version.as_ref())?;
    let signal = Signal::attach(env, options.signal.as_ref())?;
    let job = RemoveJob::new(path.absolute, inside::ticket(env), flush, signal.cancel());
    task::answer(env, job, move |env, outcome| {
        signal.detach(env)?;
        match outcome {
            Ok(done) => raw::to_js(env, RemoveResult { removed: done.removed, durable: done.durable }),
            Err(failure) => Err(from_engine(env, &failure, &path.shown, || signal.reason(env))),
        }
    })
}
