//! `atomicWrite`: one file, replaced as a whole.

use std::path::{Path, PathBuf};

use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

use super::options::{Checked, WriteOptions, WriteResult};
use crate::engine::cancel::Cancel;
use crate::engine::commit::{self, Receipt};
use crate::engine::error::ErrorKind;
use crate::engine::memory;
use crate::engine::queue::{Ticket, Turn};
use crate::engine::target::{Resolve, Target};
use crate::js::data::Data;
use crate::js::error::{Failure, from_failure};
use crate::js::signal::Signal;
use crate::js::task::{self, After, Job, Step};
use crate::js::value::{self, Result};
use crate::js::{args, promise};

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
    let data = Data::copy(env, data, options.encoding.as_ref())?;
    let signal = Signal::attach(env, options.signal.as_ref())?;
    let stage = Stage::Called(path.absolute, Ticket::take(), data);
    let job = WriteJob { stage, how: How { options: commit, mkdir, cancel: signal.cancel() } };
    task::answer(env, job, move |env, outcome| {
        signal.detach(env)?;
        match outcome {
            Ok(receipt) => value::to_js(env, WriteResult::from(receipt)),
            Err(failure) => Err(from_failure(env, &failure, &path.shown, &signal)),
        }
    })
}

struct WriteJob {
    stage: Stage,
    how: How,
}

struct How {
    options: commit::Options,
    mkdir: bool,
    cancel: Cancel,
}

/// The file by the caller's path, and by one without links.
struct Paths {
    given: PathBuf,
    real: PathBuf,
}

enum Stage {
    /// The path is to be resolved, and the data to be encoded.
    Called(PathBuf, Ticket, Data),
    /// It is our turn. A call that waits keeps paths, not the directory: a thousand that wait would
    /// keep a thousand descriptors.
    Ready(Paths, Turn, Vec<u8>),
}

impl Job for WriteJob {
    type Output = Receipt;

    fn run(self) -> Step<Self> {
        let Self { stage, how } = self;
        let resolve = |path: &Path, mkdir| {
            how.cancel.check()?;
            Target::resolve(path, Resolve { mkdir, exclusive: how.options.exclusive })
        };
        let found = match &stage {
            Stage::Called(path, ..) => resolve(path, how.mkdir),
            // Where it was when the call joined its line; only if it is there no more, where the caller said.
            Stage::Ready(paths, turn, _) => match resolve(&paths.real, false) {
                Ok(target) if target.key() == *turn.key() => Ok(target),
                _ => resolve(&paths.given, how.mkdir),
            },
        };
        let target = match found {
            Ok(target) => target,
            Err(error) if error.is_passing() => return Step::Again(Self { stage, how }, error),
            Err(error) => return Step::Done(Err(error.into())),
        };
        match stage {
            Stage::Called(path, ticket, data) => line_up(path, &target, ticket, data, how),
            Stage::Ready(paths, turn, data) if *turn.key() == target.key() => {
                write(paths, &target, turn, data, how)
            }
            Stage::Ready(paths, _, data) => {
                line_up(paths.given, &target, Ticket::take(), Data::Bytes(data), how)
            }
        }
    }
}

fn line_up(given: PathBuf, target: &Target, ticket: Ticket, data: Data, how: How) -> Step<WriteJob> {
    // Before the data is encoded, which may take longer than all of the next call.
    let mut place = ticket.join(target.key(), None);
    let data = match data.into_bytes() {
        Ok(data) => data,
        Err(failure) => return Step::Done(Err(failure)),
    };
    let turn = place.try_turn();
    let paths = Paths { given, real: if turn.is_some() { PathBuf::new() } else { target.real_path() } };
    if let Some(turn) = turn {
        return write(paths, target, turn, data, how);
    }
    Step::Wait(Box::pin(async move {
        tokio::select! {
            turn = place.turn() => After::Run(WriteJob { stage: Stage::Ready(paths, turn, data), how }),
            () = how.cancel.cancelled() => After::Done(Err(ErrorKind::Aborted.into())),
        }
    }))
}

fn write(paths: Paths, target: &Target, turn: Turn, data: Vec<u8>, how: How) -> Step<WriteJob> {
    let published = match commit::publish(target, &data, &how.options, &how.cancel) {
        Err(error) if error.is_passing() => {
            let paths = Paths { real: target.real_path(), ..paths };
            return Step::Again(WriteJob { stage: Stage::Ready(paths, turn, data), how }, error);
        }
        published => published,
    };
    memory::keep(data);
    match published {
        Err(error) => Step::Done(Err(error.into())),
        // The next write of the file need not wait for that: its own flush comes later still.
        Ok(published) if published.is_better_shared() => Step::Wait(Box::pin(async move {
            After::Done(published.flush_with_others().await.map_err(Failure::from))
        })),
        Ok(published) => Step::Done(published.flush().map_err(Failure::from)),
    }
}
