//! `sweep`, `inspectIndexLock`: what killed processes have left, and who has the lock of an index.

use std::path::PathBuf;
use std::time::Duration;

use engine::dir::target::bytes_beyond_text;
use engine::error::Error;
use engine::lock::left::{LookJob, Seen};
use engine::sweep::{Kept, Leftover, Options, Reason, Report, SweepJob};
use napi::Env;
use napi::bindgen_prelude::{Buffer, Unknown};
use napi_derive::napi;

use crate::api::options::milliseconds;
use crate::js::error::{from_engine, holder};
use crate::js::task;
use crate::js::value::{Result, Signal, Thrown, args, path, promise, raw};

/// What to do with an object in a store.
const INSTEAD: &str = "a store has no lock files and no leftovers of writes; a lifecycle rule of the bucket removes unfinished uploads";

/// Options of {@link sweep}.
#[napi(object, object_to_js = false)]
#[derive(Default)]
pub struct SweepOptions<'env> {
    /// Sweep the directories below too. Neither symbolic links nor mounts are followed, and no tree that is being built is entered.
    ///
    /// @default false
    #[napi(ts_type = "boolean")]
    pub recursive: Option<Unknown<'env>>,
    /// Keep what was changed less than so many milliseconds ago; of a tree, the newest change in it counts. What a living process has stays in any case, however old it is.
    ///
    /// @default 0
    #[napi(ts_type = "number")]
    pub older_than: Option<Unknown<'env>>,
    /// Remove nothing, and tell what would be removed.
    ///
    /// @default false
    #[napi(ts_type = "boolean")]
    pub dry_run: Option<Unknown<'env>>,
    /// Aborts the call. What was removed by then is gone; when the call rejects, nothing more is removed.
    #[napi(ts_type = "AbortSignal")]
    pub signal: Option<Unknown<'env>>,
}

/// Removes what killed processes have left in a directory: temp files, lock files, trees that were being built or removed, files that a
/// transaction has staged. As a rule it need not be called: the first write of a process in a directory removes the temp files there, and the next
/// update of an index its lock file. It is for directories in which nobody writes any more, for people who want to see what there is, and for
/// network file systems and folders that are shared with a virtual machine's host, where a write removes no temp files.
///
/// Whether a living process has something is told by locks of the system (`flock`), which a killed process cannot have: so it holds for
/// other threads, other processes, and processes in other containers that have the directory mounted. Neither process ids nor names of
/// hosts are looked at.
///
/// Not removed, but told in `kept`: what belongs to a transaction that {@link recover} has to complete first, and what may be the only copy of
/// something. Not touched and not told: backups, `NAME.corrupt-…` and `NAME.torn-…` files, and all files of other programs.
///
/// ```ts
/// const { removed, kept } = await sweep('content', { recursive: true, olderThan: 3_600_000 })
/// for (const { path, reason } of kept) console.warn(`${path} stays: ${reason}`)
/// ```
///
/// It runs on a thread of its own and holds a few descriptors, however many files there are; the result grows with the leftovers.
/// Removals are not flushed: a power cut can bring leftovers back.
///
/// Rejects with an {@link AtomicError}: `ENOENT`, `ENOTDIR`, `EACCES` for `directory` itself; `ERR_ATOMIC_UNSUPPORTED` for a place in a store.
/// What fails below is told in `errors` and `kept`, and the sweep goes on.
///
/// Not promised: files whose lock was given up by the file system (an overlay that copies a file up) count as left behind. Use `olderThan`
/// there. On a network file system, or in a folder that is shared with a host, locks need not reach other machines: what their living writers
/// have staged can be removed. Call it there when nobody else writes.
#[napi(
    ts_args_type = "directory: PathLike, options?: SweepOptions | null",
    ts_return_type = "Promise<SweepResult>"
)]
pub fn sweep<'env>(
    env: &'env Env,
    directory: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    promise::answer(env, start(env, &directory, &options))
}

fn start<'env>(
    env: &'env Env,
    directory: &Unknown<'env>,
    options: &Unknown<'env>,
) -> Result<'env, Unknown<'env>> {
    let path = path::local(env, "directory", directory, INSTEAD)?;
    let given = args::options::<SweepOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    let options = Options {
        recursive: args::boolean(env, "options.recursive", given.recursive.as_ref(), false)?,
        older_than: milliseconds(env, "options.olderThan", given.older_than.as_ref(), Duration::ZERO)?,
        dry_run: args::boolean(env, "options.dryRun", given.dry_run.as_ref(), false)?,
    };
    let signal = Signal::attach(env, given.signal.as_ref())?;
    let shown = match bytes_beyond_text(&path.absolute) {
        Some(_) => path.absolute.clone(),
        None => PathBuf::from(&path.shown),
    };
    let job = SweepJob::new(path.absolute, shown, options, signal.cancel());
    task::answer(env, job, move |env, outcome| {
        signal.detach(env)?;
        match outcome {
            Ok(report) => result(env, &report),
            Err(failure) => Err(from_engine(env, &failure, &path.shown, || signal.reason(env))),
        }
    })
}

fn result<'env>(env: &'env Env, report: &Report) -> Result<'env, Unknown<'env>> {
    let removed = report.removed.iter().map(|found| leftover(env, found)).collect::<Result<'_, Vec<_>>>()?;
    let kept = report.kept.iter().map(|found| kept(env, found)).collect::<Result<'_, Vec<_>>>()?;
    let errors: Vec<_> = report.errors.iter().map(|error| thrown(env, error)).collect();
    let mounts = report.mounts.iter().map(|path| raw::to_js(env, path.to_string_lossy().into_owned()));
    let mounts = mounts.collect::<Result<'_, Vec<_>>>()?;
    raw::record(
        env,
        &[
            (c"removed", raw::array(env, &removed)?),
            (c"kept", raw::array(env, &kept)?),
            (c"errors", raw::array(env, &errors)?),
            (c"mounts", raw::array(env, &mounts)?),
            (c"directories", raw::to_js(env, report.directories as f64)?),
        ],
    )
}

fn leftover<'env>(env: &'env Env, found: &Leftover) -> Result<'env, Unknown<'env>> {
    let age = found.age.as_secs_f64() * 1000.0;
    let told = raw::record(
        env,
        &[
            (c"path", raw::to_js(env, found.path.to_string_lossy().into_owned())?),
            (c"kind", raw::to_js(env, found.purpose.word())?),
            (c"size", raw::to_js(env, found.size as f64)?),
            (c"age", raw::to_js(env, age)?),
        ],
    )?;
    if let Some(bytes) = bytes_beyond_text(&found.path) {
        raw::define(env, &told, c"rawPath", &raw::to_js(env, Buffer::from(bytes))?)?;
    }
    Ok(told)
}

fn kept<'env>(env: &'env Env, found: &Kept) -> Result<'env, Unknown<'env>> {
    let kept = leftover(env, &found.leftover)?;
    raw::define(env, &kept, c"reason", &raw::to_js(env, found.reason.word())?)?;
    if let Some(by) = &found.holder {
        raw::define(env, &kept, c"holder", &holder(env, by)?)?;
    }
    if let Reason::Failed(error) = &found.reason {
        raw::define(env, &kept, c"error", &thrown(env, error))?;
    }
    Ok(kept)
}

/// As what it would be thrown.
fn thrown<'env>(env: &'env Env, error: &Error) -> Unknown<'env> {
    let Thrown(error) = from_engine(env, error, "", || None);
    error
}

/// What is told of an object.
pub const NO_LOCK: &str = "an object in a store has no lock";

/// Tells whether a process has the lock of an index at this moment, and which one, without waiting for it. Neither the index nor its lock file
/// need be there, and no right to write is needed.
///
/// Rejects with an {@link AtomicError}: `ENOENT` if the directory is missing, `EACCES`, `ERR_ATOMIC_NO_LOCKS`, `ERR_ATOMIC_UNSUPPORTED` for an
/// object in a store.
///
/// Not promised: that the answer still holds when it arrives. To look, the lock is taken for an instant, shared; a call with `timeout: 0` tries
/// for a millisecond because of that. To change the index, take the lock ({@link acquireIndexLock}).
#[napi(ts_args_type = "path: PathLike", ts_return_type = "Promise<IndexLockState>")]
pub fn inspect_index_lock<'env>(env: &'env Env, path: Unknown<'env>) -> napi::Result<Unknown<'env>> {
    promise::answer(env, look(env, &path))
}

fn look<'env>(env: &'env Env, path: &Unknown<'env>) -> Result<'env, Unknown<'env>> {
    let path = path::local(env, "path", path, NO_LOCK)?;
    task::answer(env, LookJob(path.absolute), move |env, outcome| lock_state(env, outcome, &path.shown))
}

/// As the caller is told of it.
pub fn lock_state<'env>(
    env: &'env Env,
    outcome: engine::error::Result<Seen>,
    shown: &str,
) -> Result<'env, Unknown<'env>> {
    let seen = outcome.map_err(|failure| from_engine(env, &failure, shown, || None))?;
    let lock = raw::to_js(env, seen.path.to_string_lossy().into_owned())?;
    let state = raw::record(env, &[(c"held", raw::to_js(env, seen.held)?), (c"lock", lock)])?;
    if let Some(by) = &seen.holder {
        raw::define(env, &state, c"holder", &holder(env, by)?)?;
    }
    Ok(state)
}
