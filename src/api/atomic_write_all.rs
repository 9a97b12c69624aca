//! `atomicWriteAll`: many files, one barrier.

use engine::batch::job::EntryInput;
use engine::write::Receipt;
use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};
use napi_derive::napi;

use crate::api::options::{Checked, WriteOptions, WriteResult};
use crate::js::batch::driver::{self, Call, Entry, Progress, Pulled};
use crate::js::inside;
use crate::js::value::{
    Encoding, Iteration, Kept, KeptAny, Result, Signal, Target, args, path, promise, raw,
};

/// Options of {@link atomicWriteAll}: those of {@link atomicWrite}, for all entries. An entry may have its own.
#[napi(
    object,
    object_to_js = false,
    js_name = "WriteAllOptions extends Omit<WriteOptions, 'fallback' | 'ifVersion'>"
)]
#[derive(Default)]
pub struct WriteAllOptions<'env> {
    /// Called after each wave of up to 256 entries with the number of entries that are staged so far, and with the
    /// number of all entries if `entries` has a `length` or a `size`. If it throws, the call rejects with the thrown
    /// value and no file is replaced.
    ///
    /// @default undefined
    #[napi(ts_type = "(done: number, total?: number) => void")]
    pub on_progress: Option<Unknown<'env>>,
}

/// Writes many files. Each is complete at any time, as with {@link atomicWrite}, and none is replaced unless all can
/// be: every entry is written to a staged file, read back and flushed, and only when that is done for all of them do
/// they get their names, in the order of the entries. Resolves with one result for each entry, in that order.
///
/// Many flushes run at the same time, and each directory is flushed once: a thousand small files take little longer
/// than a few. `entries` is consumed as by `for await`, with back-pressure: at most two waves, each of up to 256
/// entries or 16 MiB (at least one entry), are in memory. The iterable may wait for anything but this call.
///
/// Rejects with an {@link AtomicError} as {@link atomicWrite} does, with the `path` of the entry that failed and its
/// position as `entry`, and with
/// - `ERR_ATOMIC_DUPLICATE`: the entry names the same file as the one at `error.duplicateOf`, perhaps by another
///   path;
/// - `ERR_ATOMIC_CHANGED`: a file that `ifChanged` left alone was changed or removed before the other files got their names;
/// - `ENOENT`: the directory of the entry was replaced or moved during the call;
/// - whatever `entries` or `onProgress` throws, as it is.
///
/// If it rejects, all files are unchanged and nothing is left behind, except parent directories that were created.
/// There is one exception, and it is marked: with `error.committed === true` the first `error.replaced` entries have
/// their names and the others do not, and a power cut may bring old files back.
///
/// An abort of `signal` takes effect until the first rename. In the order of writes to one file the call has its
/// place when its last entry is staged: an {@link atomicWrite} to one of the files that was called before that comes
/// first.
///
/// Limits: batches use at most a quarter of the descriptors that the process may have (at most 4,096), so 10,000
/// files work at `ulimit -n 256`. On Linux about 32,000 staged files need no descriptor. Beyond that, and where the
/// file system does not support it (overlays, other platforms), files stay open, up to three quarters of the
/// descriptors; more than that rejects with `EMFILE`, after ten seconds.
///
/// Do not wait for this call inside the function of an update of one of its files, and do not wait for one of its
/// files inside the function of an update of another: each would wait for the other.
///
/// Not promised: that all files change at the same moment. While the renames run, readers may see new files beside
/// old ones, and a crash in that time leaves each file old or new, complete. To change all at the same moment,
/// replace a directory: {@link atomicDirectory}.
#[napi(
    ts_args_type = "entries: Iterable<WriteEntry> | AsyncIterable<WriteEntry>, options?: WriteAllOptions | null",
    ts_return_type = "Promise<WriteResult[]>"
)]
pub fn atomic_write_all<'env>(
    env: &'env Env,
    entries: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    promise::answer(env, start(env, &entries, &options))
}

fn start<'env>(
    env: &'env Env,
    entries: &Unknown<'_>,
    options: &Unknown<'env>,
) -> Result<'env, Unknown<'env>> {
    let own = args::options::<WriteAllOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    let shared = args::options::<WriteOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    shared.check_without_fallback(env)?;
    let base = shared.check(env)?;
    let encoding = Encoding::parse(env, shared.encoding.as_ref())?;
    let progress = match own.on_progress {
        Some(function) => {
            args::function(env, "options.onProgress", &function)?;
            Some(Progress { function: Kept::new(env, &function)?, total: total(env, entries)? })
        }
        None => None,
    };
    let signal = Signal::attach(env, shared.signal.as_ref())?;
    let entries = match Iteration::of(env, "entries", entries) {
        Ok(entries) => entries,
        Err(error) => {
            signal.detach(env)?;
            return Err(error);
        }
    };
    let is_for_stores = shared.check_for_files(env).is_err();
    let parse = Box::new(parse(base, encoding, is_for_stores));
    let options = KeptAny::new(env, options)?;
    driver::start(
        env,
        Call { entries, parse, progress, inside: inside::current(env), signal, answer, options },
    )
}

fn answer(env: &Env, receipts: Vec<Receipt>) -> Result<'_, Unknown<'_>> {
    let results = receipts.into_iter().map(|receipt| WriteResult::from(receipt).to_js(env));
    raw::array(env, &results.collect::<Result<'_, Vec<_>>>()?)
}

/// How many entries there are, if the iterable knows.
fn total<'env>(env: &'env Env, entries: &Unknown<'_>) -> Result<'env, Option<f64>> {
    if raw::type_of(entries) == ValueType::Object {
        for name in [c"length", c"size"] {
            let total = raw::get(env, entries, name)?;
            if raw::type_of(&total) == ValueType::Number {
                return Ok(raw::from_js(env, &total));
            }
        }
    }
    Ok(None)
}

fn parse(
    base: Checked,
    encoding: Encoding,
    is_for_stores: bool,
) -> impl for<'env> Fn(&'env Env, usize, &Unknown<'env>) -> Result<'env, Entry<'env>> {
    move |env, at, entry| {
        if raw::type_of(entry) != ValueType::Object {
            return Err(args::wrong_type(env, "entry", "of type Object", entry).of_entry(env, at));
        }
        // What getters throw is passed on as it is.
        let path = raw::get(env, entry, c"path")?;
        let data = raw::get(env, entry, c"data")?;
        let options: WriteOptions<'_> = raw::convert(env, entry)?;
        let pulled = pulled(env, &path, &data, &options, &base, &encoding);
        match pulled.map_err(|error| error.of_entry(env, at))? {
            Entry::File(file) if is_for_stores => {
                let instead = "the options ifVersion and backup are only for objects in stores: leave them out for files";
                Err(path::unsupported(env, instead, &file.shown).of_entry(env, at))
            }
            entry => Ok(entry),
        }
    }
}

fn pulled<'env>(
    env: &'env Env,
    path: &Unknown<'env>,
    data: &Unknown<'_>,
    options: &WriteOptions<'_>,
    base: &Checked,
    encoding: &Encoding,
) -> Result<'env, Entry<'env>> {
    let path = match path::target(env, "entry.path", path)? {
        Target::Local(path) => path,
        Target::Cloud(path) => return Ok(Entry::Object(path)),
    };
    options.check_without_fallback(env)?;
    options.check_for_files(env)?;
    let Checked { commit, mkdir } = options.check_over(env, base)?;
    let encoding = match &options.encoding {
        Some(given) => Encoding::parse(env, Some(given))?,
        None => encoding.clone(),
    };
    let data = encoding.copy(env, data)?;
    let input = EntryInput { path: path.absolute, data, options: commit, mkdir };
    Ok(Entry::File(Pulled { shown: path.shown, input }))
}
