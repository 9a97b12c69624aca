//! `atomicDirectory`: a whole tree, replaced at once.

use engine::process::Ticket;
use engine::tree::TreeReceipt;
use engine::tree::job::OpenJob;
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

use crate::api::directory_options::{DirectoryOptions, DirectoryResult, WITHOUT_TREES};
use crate::js::directory::build::{self, BuildArgs};
use crate::js::inside;
use crate::js::value::{Kept, Result, Signal, args, path, promise, raw};

/// What {@link atomicDirectory} did.
#[napi(object, object_from_js = false, js_name = "BuildResult<T = unknown> extends DirectoryResult")]
pub struct BuildResult<'env> {
    /// What `build` returned, or what its promise resolved with.
    #[napi(ts_type = "T")]
    pub value: Unknown<'env>,
}

/// Replaces a directory and everything in it in one step. `build` fills a new directory beside `path`; when it is
/// done, every file and directory in it is flushed, and the two directories are swapped. Every path below `path` that
/// is opened, at any time and after any crash, leads to the old tree or to the new one.
///
/// `build` gets the path of an empty directory on the same file system, which other users cannot enter, and fills it
/// with files, directories and symbolic links. What it returns is `value` in the result. Whatever it throws is what
/// the call rejects with, and by then the new directory is removed. It must have finished all its writing when it
/// returns or when its promise resolves: later writes are not flushed. It may remove the directory and make it anew,
/// or rename another one of the same user and file system to its path.
///
/// Symbolic links on the way to `path`, and `path` itself if it is one, are followed and stay links. The directory
/// keeps owner, mode, ACLs and extended attributes of the one that it replaces, as far as the system permits; what is
/// in it is as `build` made it. Calls for one directory run one after the other, in the order of the calls, so
/// `build` may read what the call before it made. A call for the same directory that an async `build` makes rejects with
/// `ERR_ATOMIC_REENTRANT`: it would wait for this one.
///
/// To mount the directory elsewhere (`mount --bind`, a volume of a container), mount its parent: a mount of the
/// directory itself goes on showing the old tree, which is empty soon after the swap and for good.
///
/// A file of the old tree that is open stays readable. A program that has the old directory itself open, or as its
/// working directory, sees the old tree until that is removed, 20 ms after the swap, unless it is kept
/// (`keepPrevious`).
///
/// Rejects with an {@link AtomicError}: with errors of the operating system as in `node:fs` (`ENOTDIR`: `path` is a
/// file; `EBUSY`: it is a mount point, the root, or ends in `.` or `..`; `ENOENT`: its parent was replaced or moved
/// during the call; what is in the new tree is named by where it was to be, below `path`), and with
/// - `ERR_ATOMIC_NO_EXCHANGE`: the file system cannot swap two directories (see `fallback`), or the directory to be
///   replaced is part of a lower layer of an overlay, as a directory of a container's image is. That one cannot be
///   renamed at all: mount a volume at its parent, or remove it when the container starts. `build` is not called;
/// - `ERR_ATOMIC_NO_TREE`: `build` left no directory of this user at the path that it got, or replaced it after it
///   had settled;
/// - `ERR_ATOMIC_NOT_REGULAR`: there is a device, a FIFO or a socket in the new tree;
/// - `EINVAL`: something in it has a name of unfinished files (`.NAME.xxxxxxxxxxxx.atomic-tmp`), which the next write there would remove;
/// - `ERR_ATOMIC_REENTRANT`: the call was made inside `build` of a call for the same directory;
/// - `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ABORT_ERR`.
///
/// If it rejects, the old tree is unchanged and nothing is left behind, except parent directories that were created.
/// There is one exception, and it is marked: with `error.committed === true` the new tree has its name, but flushing
/// the parent directory failed, or moving the old tree to the place where it is kept. In that case the old tree is
/// beside the new one.
///
/// A process that is killed may leave a directory `.NAME.xxxxxxxxxxxx.atomic-tmp` beside `path`, and a file that guards
/// it, `.xxxxxxxxxxxx.xxxxxxxxxxxx.atomic-tmp`. The next process that works in the parent directory removes them if
/// they belong to the same user, without following links or entering mounts, but not on a network file system, as after {@link atomicWrite}. A directory `.NAME.xxxxxxxxxxxx.atomic-old`, left by a crash at the moment of the swap with `keepPrevious`
/// or `fallback`, is never removed, because it may be the only copy of the old tree: move it where it belongs.
///
/// Not promised: that two opens, or a path that goes up again (`a/../b`), see the same tree; anything about programs
/// that write into the old tree in the meantime. Calls of other processes are not waited for: the last swap wins.
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
    path: &Unknown<'env>,
    function: &Unknown<'_>,
    options: &Unknown<'env>,
) -> Result<'env, Unknown<'env>> {
    let path = path::local(env, "path", path, WITHOUT_TREES)?;
    args::function(env, "build", function)?;
    let given = args::options::<DirectoryOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    let options = given.check(env, &path)?;
    let signal = Signal::attach(env, given.signal.as_ref())?;
    let cancel = signal.cancel();
    let inside = inside::current(env);
    let ticket = Ticket::take().inside(inside.clone());
    let given = BuildArgs { build: Kept::new(env, function)?, shown: path.shown, inside, signal, answer };
    build::start(env, given, OpenJob::new(path.absolute, ticket, options, cancel))
}

fn answer<'env>(env: &'env Env, receipt: TreeReceipt, value: Unknown<'env>) -> Result<'env, Unknown<'env>> {
    let result = raw::to_js(env, DirectoryResult::new(env, &receipt)?)?;
    let built = raw::to_js(env, BuildResult { value })?;
    raw::invoke(env, &raw::global(env, c"Object")?, c"assign", &[result, built])
}
