//! `readLines`: the lines of a file, one after the other.

use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

use crate::js::lines;
use crate::js::value::{Result, args, path, promise, raw};

/// What to do with an object in a store.
const INSTEAD: &str = "an object in a store is read as a whole: readIndex reads one that is JSON";

/// Options of {@link readLines}. They are read once, when the function is called.
#[napi(object, object_to_js = false)]
#[derive(Default)]
pub struct ReadLinesOptions<'env> {
    /// Parse each line with `JSON.parse`, and give the values. Lines of white space are passed over.
    ///
    /// @default false
    #[napi(ts_type = "boolean")]
    pub json: Option<Unknown<'env>>,
    /// Is told of each line that is skipped. What it throws rejects the step. Without it, what a crash may have left is skipped silently; where other lines
    /// were skipped (`'json'`, `'utf8'`), the process gets one warning (`ATOMIC_LINES_SKIPPED`) when the loop has ended, once for a file in each thread.
    #[napi(ts_type = "(torn: SkippedLine) => void")]
    pub on_torn: Option<Unknown<'env>>,
}

/// Reads a file line by line, as `for await` goes on: a quarter of a megabyte of it, or a line that is longer, is in memory at a time, as
/// bytes and as strings. Measured, the process grows by 40 MB for a file of lines of 60 bytes, and by 115 MB for one of empty lines,
/// however long it is; most of that is garbage that is yet to be collected. A line that is longer than a quarter of a megabyte is in memory as a whole,
/// twice for a moment: measured, 130 MB for one line of 64 MB, and 260 MB for three of them after each other. The time grows with the length of
/// a line and no faster (0.4 s of processor time for 64 MB). It takes no lock and needs no right to write. Splitting and checking are done on a worker.
///
/// ```ts
/// for await (const event of readLines('events.jsonl', { json: true })) console.log(event)
/// ```
///
/// What is no whole line is skipped, and told to `onTorn`: a last line without a line end, which may be an append that is
/// under way; lines with NUL bytes, which a power cut can leave; lines that are not UTF-8. With `json: true` (see the other
/// signature) lines that are not JSON are skipped too, and a last line that lacks only its line end is given. A byte order
/// mark at the beginning is no part of the first line; a carriage return at the end of a line is.
///
/// The first step opens the file, and all steps read that one: lines that are appended meanwhile are given, and after a rotation by
/// {@link appendLines} those of the old file, to its end. Leaving the loop closes the file.
///
/// To read rotated files too while others append, open all of them before the first loop, by one `next()` each, from the newest to the
/// oldest: `NAME`, `NAME.1`, `NAME.2`, …. A rotation meanwhile then loses no line of those that are kept; it can bring one file twice,
/// which its lines tell. In the other order it would leave a file out.
///
/// A file that is made shorter or overwritten while it is read (by `copytruncate` of logrotate, or an append that takes back what it
/// could not write) ends where no line begins any more, and `onTorn` is told with the reason `'changed'`. That is not seen
/// if by chance a line begins at that very place again.
///
/// The first step rejects with an {@link AtomicError}: `ENOENT`, `EACCES`, …, `ERR_ATOMIC_NOT_REGULAR`, `ERR_ATOMIC_UNSUPPORTED` for an
/// object in a store, `ERR_INVALID_ARG_TYPE`. Any step rejects with what reading fails with, and with `ERR_STRING_TOO_LONG` for a
/// line that no string can hold.
#[napi(
    ts_args_type = "path: PathLike, options?: (ReadLinesOptions & { json?: false }) | null",
    ts_return_type = "AsyncGenerator<string, void, undefined>"
)]
pub fn read_lines<'env>(
    env: &'env Env,
    path: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    let read = start(env, &path, &options).or_else(|error| lines::failing(env, error));
    promise::or_throw(env, read)
}

fn start<'env>(env: &'env Env, path: &Unknown<'env>, options: &Unknown<'env>) -> Result<'env, Unknown<'env>> {
    let path = path::local(env, "path", path, INSTEAD)?;
    let options = args::options::<ReadLinesOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    let json = args::boolean(env, "options.json", options.json.as_ref(), false)?;
    if let Some(on_torn) = &options.on_torn {
        args::function(env, "options.onTorn", on_torn)?;
    }
    lines::read(env, path, json, options.on_torn.unwrap_or_else(|| raw::undefined(env)))
}
