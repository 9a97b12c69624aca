//! `atomicWriteAll`: many files, one barrier.

use engine::batch::job::EntryInput;
use engine::write::options::Receipt;
use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};
use napi_derive::napi;

use crate::api::options::{Checked, WriteOptions, WriteResult};
use crate::js::batch::driver::{self, Call, Progress, Pulled};
use crate::js::value::data::Encoding;
use crate::js::value::iteration::Iteration;
use crate::js::value::raw::{self, Kept};
use crate::js::value::signal::Signal;
use crate::js::value::thrown::Result;
use crate::js::value::{args, promise};

/// Options of {@link atomicWriteAll}: those of {@link atomicWrite}, for all entries.
#[napi(object, object_to_js = false, js_name = "WriteAllOptions extends WriteOptions")]
#[derive(Default)]
pub struct WriteAllOptions<'env> {
    /// Called after each wave of up to 256 entries with how many are staged, and of how many, if `entries` has
    /// a `length` or a `size`. What it throws is what the caller catches; nothing is renamed then.
    #[napi(ts_type = "(done: number, total?: number) => void")]
    pub on_progress: Option<Unknown<'env>>,
}

/// Writes many files so that none is ever half there, and none is replaced unless all can be: each is written
/// to a staged file, read back and flushed, and only when that is done for all of them all get their names.
/// Resolves with a result for each entry, in their order, when all are on disk under their final names.
///
/// Many flushes run at once, and a directory is flushed once: a thousand small files take little longer than a
/// few. `entries` is gone through as by `for await`, with back-pressure: no more than two waves of up to 256
/// entries or 16 MiB (at least one entry) are in memory. It may wait for anything but this call, other writes
/// too.
///
/// Rejects as {@link atomicWrite} does, with `error.path` and `error.entry` (its position, from 0) of the entry
/// that failed, and with
/// - `ERR_ATOMIC_DUPLICATE`: the entry means the same file as the one at `error.duplicateOf`, be it by another
///   name;
/// - `ERR_ATOMIC_CHANGED`: a file that `ifChanged` left alone was changed before the others had their names;
/// - whatever `entries` or `onProgress` throws, the very same value.
///
/// After a rejection all files are as before, and nothing else is there but directories that were made. The one
/// exception says so: `error.committed === true`. The first `error.replaced` entries have their names then, and no
/// others; a power cut may bring old files back.
///
/// About 32,000 files may wait for their names without a descriptor, and more only as far as descriptors go;
/// beyond that, and where the file system cannot do without (overlays, and other systems than Linux), too many
/// files are `EMFILE`, after ten seconds. Do not wait for this call inside the function of an update of one of
/// its files, nor for one of its files inside the function of an update of another: each would wait for the other.
///
/// `signal` is heeded until the first rename. Of an `atomicWrite` to one of the files that was called while the
/// entries were still being staged, this call is the later one; so are all calls made before.
///
/// Not promised: that all files change at one moment. Readers see some new files beside some old ones for the
/// time that the renames take, and a crash in that time leaves each of them old or new, whole. For one moment
/// for all use a directory.
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
    let parse = Box::new(parse(base, encoding));
    driver::start(env, Call { entries, parse, progress, signal, answer })
}

fn answer(env: &Env, receipts: Vec<Receipt>) -> Result<'_, Unknown<'_>> {
    raw::to_js(env, receipts.into_iter().map(WriteResult::from).collect::<Vec<_>>())
}

/// How many entries there are, for who can tell.
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
) -> impl for<'env> Fn(&'env Env, usize, &Unknown<'_>) -> Result<'env, Pulled> {
    move |env, at, entry| {
        if raw::type_of(entry) != ValueType::Object {
            return Err(args::wrong_type(env, "entry", "of type Object", entry).of_entry(env, at));
        }
        // What getters throw is passed on as it is.
        let path = raw::get(env, entry, c"path")?;
        let data = raw::get(env, entry, c"data")?;
        let options: WriteOptions<'_> = raw::convert(env, entry)?;
        pulled(env, &path, &data, &options, &base, &encoding).map_err(|error| error.of_entry(env, at))
    }
}

fn pulled<'env>(
    env: &'env Env,
    path: &Unknown<'_>,
    data: &Unknown<'_>,
    options: &WriteOptions<'_>,
    base: &Checked,
    encoding: &Encoding,
) -> Result<'env, Pulled> {
    let path = args::path(env, "entry.path", path)?;
    let Checked { commit, mkdir } = options.check_over(env, base)?;
    let encoding = match &options.encoding {
        Some(given) => Encoding::parse(env, Some(given))?,
        None => encoding.clone(),
    };
    let data = encoding.copy(env, data)?;
    Ok(Pulled { shown: path.shown, input: EntryInput { path: path.absolute, data, options: commit, mkdir } })
}
