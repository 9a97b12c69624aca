//! `copyDirectoryAtomic`: a whole tree, replaced at once by a copy of another.

use engine::steps;
use engine::tree::job::{CommitJob, Copy, OpenJob};
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

use crate::api::directory_options::{DirectoryOptions, DirectoryResult, WITHOUT_TREES};
use crate::js::error::from_engine;
use crate::js::inside;
use crate::js::task;
use crate::js::value::{Result, Signal, args, path, promise, raw};

/// Options of {@link copyDirectoryAtomic}: those of {@link atomicDirectory}, and `verify`. A new directory gets the
/// mode of the directory that is copied.
#[napi(object, object_to_js = false, js_name = "CopyDirectoryOptions extends DirectoryOptions")]
#[derive(Default)]
pub struct CopyDirectoryOptions<'env> {
    /// Read every file back and compare it with the file that it was copied from; a difference rejects with
    /// `ERR_ATOMIC_VERIFY`.
    ///
    /// @default true
    #[napi(ts_type = "boolean")]
    pub verify: Option<Unknown<'env>>,
}

/// Replaces a directory by a copy of another one, in one step: as with {@link atomicDirectory}, readers see the old
/// tree or the complete copy. All of it happens off the JavaScript thread.
///
/// Files are copied with their permission bits (without set-id bits), symbolic links as links with the same text, and
/// directories even if they are empty. Owners, times, extended attributes and hard links between files are not
/// copied; nor is what this package has not finished there (`.NAME.xxxxxxxxxxxx.atomic-tmp`). Blocks are shared with the original where the file system supports that (btrfs, xfs); holes stay holes.
///
/// Rejects with an {@link AtomicError} as {@link atomicDirectory} does, and with
/// - `ERR_ATOMIC_NOT_REGULAR`: there is a device, a FIFO or a socket in `from`;
/// - `ERR_ATOMIC_VERIFY`: a copy differs from its original, or the original changed in the meantime;
/// - `EINVAL`: one of the two directories is inside the other.
#[napi(
    ts_args_type = "from: PathLike, to: PathLike, options?: CopyDirectoryOptions | null",
    ts_return_type = "Promise<DirectoryResult>"
)]
pub fn copy_directory_atomic<'env>(
    env: &'env Env,
    from: Unknown<'env>,
    to: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    promise::answer(env, start(env, &from, &to, &options))
}

fn start<'env>(
    env: &'env Env,
    from: &Unknown<'env>,
    to: &Unknown<'env>,
    options: &Unknown<'env>,
) -> Result<'env, Unknown<'env>> {
    let from = path::local(env, "from", from, WITHOUT_TREES)?;
    let path = path::local(env, "to", to, WITHOUT_TREES)?;
    let own = args::options::<CopyDirectoryOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    let shared = args::options::<DirectoryOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    let options = shared.check(env, &path)?;
    let verify = args::boolean(env, "options.verify", own.verify.as_ref(), true)?;
    let signal = Signal::attach(env, shared.signal.as_ref())?;
    let cancel = signal.cancel();
    let copy = Copy { from: from.absolute, shown: from.shown, verify };
    let steps = steps::current();
    let job = OpenJob::new(path.absolute, inside::ticket(env), options, cancel.clone());
    task::start(env, job, move |env, outcome| {
        let site = match outcome {
            Ok(site) => site,
            Err(failure) => {
                signal.detach(env)?;
                return Err(from_engine(env, &failure, &path.shown, || signal.reason(env)));
            }
        };
        let job = CommitJob::new(site, Some(copy), cancel);
        steps::scope(steps.as_ref(), || {
            task::start(env, job, move |env, outcome| {
                signal.detach(env)?;
                match outcome {
                    Ok(receipt) => raw::to_js(env, DirectoryResult::new(env, &receipt)?),
                    Err(failure) => Err(from_engine(env, &failure, &path.shown, || signal.reason(env))),
                }
            })
        })
    })
}
