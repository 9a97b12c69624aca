//! `atomicWrite`: one file, replaced as a whole.

use engine::write::job::WriteJob;
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

use crate::api::options::{Checked, WriteOptions, WriteResult};
use crate::js::cloud::peer;
use crate::js::error::from_engine;
use crate::js::inside;
use crate::js::task;
use crate::js::value::{Encoding, Result, Signal, Target, path, promise};

/// Writes a file atomically. When the promise resolves, the data is on disk, was read back, and has its final name.
/// Every reader, at any time and after any crash, sees the old file or the new one, each of them complete.
///
/// `data` is copied during the call and may be changed right after it. A string as `options` is the encoding. Symbolic
/// links are followed and stay links. Owner, mode, ACLs and extended attributes of a replaced file are kept as far as
/// the system permits; its hard links keep the old content. Nothing blocks the event loop.
///
/// Writes to one file run in the order of the calls, so the last call wins. This holds for all paths that lead to the
/// file (relative, absolute, through a link) and for all worker threads of the process.
///
/// If the directory is replaced before the call resolves, by {@link atomicDirectory} or by a rename, the file is written
/// again, in the new one; if there is none, `mkdir` decides. A symbolic link on the way that is switched meanwhile
/// changes nothing: the file is written where the path led at the call.
///
/// Rejects with an {@link AtomicError}:
/// - errors of the operating system as in `node:fs`: `ENOSPC`, `EACCES`, `EISDIR`, … `EMFILE` only after ten seconds
///   in which no descriptor became free; `EINVAL` for a name of our own unfinished files, see {@link PathLike};
/// - `ERR_MEMORY_ALLOCATION_FAILED`: there is no memory for the copy of `data`;
/// - `ERR_ATOMIC_VERIFY`: the bytes read back are not the bytes given;
/// - `ERR_ATOMIC_NOT_REGULAR`: the path names a device, a FIFO or a socket;
/// - `ERR_ATOMIC_REENTRANT`: the call was made inside the async function of an {@link atomicIndexUpdate} of the file;
/// - `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ABORT_ERR`.
///
/// If it rejects, the old file is unchanged and nothing is left behind, except parent directories that were created.
/// There is one exception, and it is marked: with `error.committed === true` the new file has its name, but flushing
/// the directory or closing the file failed, and a power cut may bring the old file back.
///
/// While a write runs, a file `.NAME.xxxxxxxxxxxx.atomic-tmp` may be beside the target. A process that is killed may
/// leave it there; the next process that writes into the directory removes it. On a network file system it stays until {@link sweep} is
/// called, because nothing tells there whether a process of another machine has it.
///
/// To watch for changes, watch the directory: each write puts another file in the place of the old one, which a watcher
/// of the file itself (`fs.watch(file)`) goes on watching and so hears of none after the first. See `publish` for
/// programs that wait for new files.
///
/// Not promised: an order between the writes of two files; protection from a disk that reports a flush as done before
/// it is. Writes by other processes are not waited for: the last rename wins. A path that cannot be followed to its end
/// within a second, on a mount that does not answer, loses its place before calls with other paths.
#[napi(
    ts_args_type = "path: PathLike, data: Data, options?: WriteOptions | BufferEncoding | null",
    ts_return_type = "Promise<WriteResult>"
)]
pub fn atomic_write<'env>(
    env: &'env Env,
    path: Unknown<'env>,
    data: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    promise::answer(env, start(env, &path, &data, options))
}

fn start<'env>(
    env: &'env Env,
    path: &Unknown<'env>,
    data: &Unknown<'_>,
    options: Unknown<'env>,
) -> Result<'env, Unknown<'env>> {
    let path = match path::target(env, "path", path)? {
        Target::Local(path) => path,
        Target::Cloud(path) => {
            return peer::call(env, &path.shown, c"atomicWrite", &[path.given, *data, options]);
        }
    };
    let options = WriteOptions::read(env, options)?;
    options.check_for_files(env)?;
    let Checked { commit, mkdir } = options.check(env)?;
    let data = Encoding::parse(env, options.encoding.as_ref())?.copy(env, data)?;
    let signal = Signal::attach(env, options.signal.as_ref())?;
    let job = WriteJob::new(path.absolute, data, inside::ticket(env), commit, mkdir, signal.cancel());
    task::answer(env, job, move |env, outcome| {
        signal.detach(env)?;
        match outcome {
            Ok(receipt) => WriteResult::from(receipt).to_js(env),
            Err(failure) => Err(from_engine(env, &failure, &path.shown, || signal.reason(env))),
        }
    })
}
