//! `atomicDirectory`: a whole tree, replaced at once.

use engine::process::queue::Ticket;
use engine::tree::TreeReceipt;
use engine::tree::job::OpenJob;
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

use crate::api::directory_options::{DirectoryOptions, DirectoryResult};
use crate::js::directory::build::{self, BuildArgs};
use crate::js::value::raw::{self, Kept};
use crate::js::value::signal::Signal;
use crate::js::value::thrown::Result;
use crate::js::value::{args, promise};

/// What {@link atomicDirectory} did.
#[napi(object, object_from_js = false, js_name = "BuildResult<T = unknown> extends DirectoryResult")]
pub struct BuildResult<'env> {
    /// What `build` returned.
    #[napi(ts_type = "T")]
    pub value: Unknown<'env>,
}

/// Replaces a directory and all that is in it at once: `build` fills a fresh directory, and when it is done every
/// file in that is flushed and the two are swapped in one step. Every open of a file below `path`, at any time and
/// after any crash, finds the old tree or the new one. Who opened the directory before the swap, or has it as the
/// working directory, sees the old one, until it is removed (20 ms later).
///
/// `build` gets the path of an empty directory on the same file system, closed to other users, and fills it with
/// files, directories and symbolic links. What it returns is in the result as `value`; what it throws is what the
/// caller catches, the very same value, and the directory is gone by then. It must have finished all its writing when
/// it returns or resolves: what comes later is not flushed.
///
/// Links on the way to `path` are followed and stay links, also `path` itself. Owner, mode, ACLs and extended
/// attributes of the directory itself are those of the one that is replaced (as far as the system permits); what is
/// in it is as `build` made it. Calls for one directory run one after the other, in the order of the calls: `build`
/// may read what the call before has made. Do not wait in it for another call for the same directory.
///
/// Rejects with errors as `node:fs` has them (`ENOTDIR`: there is a file; `EBUSY`: a mount point, the root, a path
/// that ends in `.` or `..`) and with
/// - `ERR_ATOMIC_NO_EXCHANGE`: the file system cannot swap two directories; see `fallback`. Where that can be known
///   `build` is not called;
/// - `ERR_ATOMIC_NOT_REGULAR`: there is a device, a FIFO or a socket in the new tree;
/// - `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ABORT_ERR`.
///
/// After a rejection the old tree is there and nothing else. The exception is `error.committed === true`: the new tree
/// has its name, but flushing that failed, or moving the old one to where it is to be kept; it lies beside it.
///
/// Not promised: that a path that goes up again (`a/../b`) or two opens see one tree, and anything about
/// programs that write into the old tree meanwhile. Other processes' calls are not waited for; the last swap wins.
#[napi(
    ts_generic_types = "T",
    ts_args_type = "path: PathLike, build: (staging: string) => T | PromiseLike<T>, options?: DirectoryOptions | null",
    ts_return_type = "Promise<BuildResult<T>>"
)]
pub fn atomic_directory<'env>(
    env: &'env Env,
    path: Unknown<'env>,
    build: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    promise::answer(env, start(env, &path, &build, &options))
}

fn start<'env>(
    env: &'env Env,
    path: &Unknown<'_>,
    function: &Unknown<'_>,
    options: &Unknown<'env>,
) -> Result<'env, Unknown<'env>> {
    let path = args::path(env, "path", path)?;
    args::function(env, "build", function)?;
    let given = args::options::<DirectoryOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    let options = given.check(env, &path)?;
    let signal = Signal::attach(env, given.signal.as_ref())?;
    let cancel = signal.cancel();
    let given = BuildArgs { build: Kept::new(env, function)?, shown: path.shown, signal, answer };
    build::start(env, given, OpenJob::new(path.absolute, Ticket::take(), options, cancel))
}

fn answer<'env>(env: &'env Env, receipt: TreeReceipt, value: Unknown<'env>) -> Result<'env, Unknown<'env>> {
    let result = raw::to_js(env, DirectoryResult::new(env, &receipt)?)?;
    let built = raw::to_js(env, BuildResult { value })?;
    raw::invoke(env, &raw::global(env, c"Object")?, c"assign", &[result, built])
}
