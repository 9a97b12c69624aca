//! `inspectDirectory`: what a file system keeps, before data is put on it.

use engine::inspect::{InspectJob, Inspection, Value};
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

use crate::js::error::from_engine;
use crate::js::task;
use crate::js::value::{Result, Signal, args, path, promise, raw};

/// What to do with a place in a store.
const INSTEAD: &str = "a store is tried out by the first call that changes something in it";

/// Options of {@link inspectDirectory}.
#[napi(object, object_to_js = false)]
#[derive(Default)]
pub struct InspectOptions<'env> {
    /// Aborts the call.
    #[napi(ts_type = "AbortSignal")]
    pub signal: Option<Unknown<'env>>,
}

/// Finds out what the file system of a directory keeps, and what follows from it for data there: by trying, in a folder with a temp name in
/// that directory, which it removes. It takes as long as some twenty flushes of the disk.
///
/// ```ts
/// const { traits } = await inspectDirectory('/srv/content')
/// console.table(traits, ['name', 'value', 'means'])
/// ```
///
/// Rejects with an {@link AtomicError} if the folder cannot be made: `ENOENT`, `ENOTDIR`, `EACCES`, `EROFS`, `ENOSPC`; and with
/// `ERR_ATOMIC_UNSUPPORTED` for a place in a store. What cannot be tried has the value `null`: all but `fileSystem`, `device`, `local`, and a `durable` that is `false` anyway,
/// in an append-only directory (`chattr +a`), where that folder would stay.
///
/// Not promised: whether the device keeps what it says is flushed; no program can find that out without cutting its power. `locks` is tried
/// with two open files of this process, which is how the system tells processes apart. A directory below can differ from this one (mounts,
/// `chattr +F`).
#[napi(
    ts_args_type = "directory: PathLike, options?: InspectOptions | null",
    ts_return_type = "Promise<DirectoryInspection>"
)]
pub fn inspect_directory<'env>(
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
    let given = args::options::<InspectOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    let signal = Signal::attach(env, given.signal.as_ref())?;
    task::answer(env, InspectJob::new(path.absolute, signal.cancel()), move |env, outcome| {
        signal.detach(env)?;
        match outcome {
            Ok(inspection) => result(env, &inspection),
            Err(failure) => Err(from_engine(env, &failure, &path.shown, || signal.reason(env))),
        }
    })
}

fn result<'env>(env: &'env Env, inspection: &Inspection) -> Result<'env, Unknown<'env>> {
    let mut traits = Vec::with_capacity(inspection.rows.len());
    for row in &inspection.rows {
        let value = match &row.value {
            Value::Is(is) => raw::to_js(env, *is)?,
            Value::Number(number) => raw::to_js(env, *number)?,
            Value::Text(text) => raw::to_js(env, text.as_str())?,
            Value::Unknown => raw::null(env)?,
        };
        let shown = [
            (c"name", raw::to_js(env, row.of.word())?),
            (c"value", value),
            (c"means", raw::to_js(env, row.means.as_str())?),
        ];
        traits.push(raw::record(env, &shown)?);
    }
    let path = raw::to_js(env, inspection.path.to_string_lossy().into_owned())?;
    raw::record(env, &[(c"path", path), (c"traits", raw::array(env, &traits)?)])
}
