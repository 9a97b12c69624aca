//! `atomicWrite`: one file, replaced as a whole.

use engine::write::job::WriteJob;
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

use crate::api::options::{Checked, WriteOptions, WriteResult};
use crate::js::error::from_engine;
use crate::js::task;
use crate::js::value::data::Encoding;
use crate::js::value::signal::Signal;
use crate::js::value::thrown::Result;
use crate::js::value::{args, promise, raw};

/// Writes a file so that it is never half there: resolves when `data` is on disk, read back, under
/// its final name. Every reader, at any time and after any crash, finds the old file or the new one.
///
/// `data` is copied at the call and may be changed right after it. Writes to one file, by whatever
/// name and from whatever thread of this process, run in the order of the calls: the last call wins.
/// Symbolic links are followed and stay links. Owner, mode, ACLs and extended attributes of a file
/// that is replaced are kept (as far as the system permits); its hard links keep the old content.
///
/// Rejects with errors as `node:fs` has them (`code`, `errno`, `syscall`, `path`, `dest`) and with
/// - `ERR_ATOMIC_VERIFY`: what was read back is not what was given;
/// - `ERR_ATOMIC_NOT_REGULAR`: the target is a device, a FIFO or a socket (a directory is `EISDIR`);
/// - `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ABORT_ERR`.
///
/// After a rejection the old file is there, byte for byte, and nothing else. The one exception says
/// so: `error.committed === true`, the new file has its name, but flushing the directory (or closing
/// the file) failed, and a power cut may bring the old one back.
///
/// Not promised: an order between two files, and protection from a disk that lies about flushes.
/// Other processes' writes to the file are not waited for; the last rename wins.
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
    path: &Unknown<'_>,
    data: &Unknown<'_>,
    options: Unknown<'env>,
) -> Result<'env, Unknown<'env>> {
    let path = args::path(env, "path", path)?;
    let options = WriteOptions::read(env, options)?;
    let Checked { commit, mkdir } = options.check(env)?;
    let data = Encoding::parse(env, options.encoding.as_ref())?.copy(env, data)?;
    let signal = Signal::attach(env, options.signal.as_ref())?;
    let job = WriteJob::new(path.absolute, data, commit, mkdir, signal.cancel());
    task::answer(env, job, move |env, outcome| {
        signal.detach(env)?;
        match outcome {
            Ok(receipt) => raw::to_js(env, WriteResult::from(receipt)),
            Err(failure) => Err(from_engine(env, &failure, &path.shown, signal.reason(env))),
        }
    })
}
