//! `restoreIndex`: an earlier version of an index is put back.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use engine::index::file::{Numbers, UpdateOptions as EngineOptions};
use engine::index::restore_job::RestoreJob;
use engine::steps::{self, Steps};
use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};
use napi_derive::napi;

use crate::api::atomic_index_update::{DEFAULT_TIMEOUT, UpdateOptions};
use crate::api::index_lock_options;
use crate::api::options::WriteOptions;
use crate::api::read_index;
use crate::js::error::from_engine;
use crate::js::index::format::Format;
use crate::js::index::lock::{self, Lock};
use crate::js::task;
use crate::js::value::thrown::{LONGEST, internal};
use crate::js::value::{FilePath, Result, Thrown, args, copy, path, promise, raw};

const INSTEAD: &str = "a backup is a file; of an object in a store the bucket can keep versions";

/// As many as can be kept.
const MOST_GENERATIONS: f64 = 1000.0;

/// Puts an earlier version of an index back, under the lock of {@link atomicIndexUpdate}. `backup` is the number of a generation, 0 for
/// `${path}.backup`, 1 for `${path}.backup.1` and so on, or the path of any file that is an index. What is no JSON needs `codec`.
///
/// The version that was there becomes the newest backup, so `restoreIndex(path, 0)` undoes it. A generation that is put back leaves the row of
/// backups: of the index and its backups no version is lost, and no more are kept than before. A file outside the row stays where it is. An index that
/// is not JSON (or that `codec` cannot parse), or that the disk cannot read, becomes no backup: it is set aside, as by {@link recoverIndex}. An index that says the same as the
/// backup is left as it is. Without an index the backup is copied.
///
/// Rejects with an {@link AtomicError}: `ERR_ATOMIC_CORRUPT_INDEX` or `ENOENT` with the `path` of the backup, if that is not JSON or missing;
/// `EAGAIN`, if a program without the lock has changed the index meanwhile, and `ERR_ATOMIC_LOCK_LOST`, if one has removed or replaced the lock
/// file: make the call again, which uses what this one has set aside; `ERR_ATOMIC_UNSUPPORTED` for an object in a store; and as
/// {@link acquireIndexLock} and {@link atomicWrite} do. Then the index and its backups are what they were (with `EAGAIN` one may be
/// there that was made of the version before), unless `error.committed` is `true`.
///
/// Not promised: a process that is killed in the middle loses no version, but may leave one backup more than before, under other numbers. Look at
/// them before the call is made again.
#[napi(
    ts_args_type = "path: PathLike, backup: number | PathLike, options?: RestoreIndexOptions | null",
    ts_return_type = "Promise<IndexRestoration>"
)]
pub fn restore_index<'env>(
    env: &'env Env,
    path: Unknown<'env>,
    backup: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    promise::answer(env, start(env, &path, &backup, &options))
}

fn start<'env>(
    env: &'env Env,
    path: &Unknown<'env>,
    backup: &Unknown<'env>,
    options: &Unknown<'env>,
) -> Result<'env, Unknown<'env>> {
    let shared = args::options::<WriteOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    let shared = WriteOptions { flush: shared.flush, verify: shared.verify, ..WriteOptions::default() };
    let commit = shared.check(env)?.commit;
    let (args, file) = index_lock_options::parse_one(env, path, options)?;
    let newest = |path: PathBuf| {
        let mut path = path.into_os_string();
        path.push(".backup");
        path
    };
    let (from, source) = if raw::type_of(backup) == ValueType::Number {
        let number: f64 = raw::from_js(env, backup).unwrap_or(-1.0);
        if !(0.0..MOST_GENERATIONS).contains(&number) || number.fract() != 0.0 {
            return Err(args::wrong_value(env, "backup", "must be a whole number from 0 to 999", backup));
        }
        let end = if number == 0.0 { String::new() } else { format!(".{number}") };
        let mut from = newest(file.absolute.clone());
        from.push(&end);
        (PathBuf::from(from), format!("{}.backup{end}", file.shown))
    } else {
        let from = path::local(env, "backup", backup, INSTEAD)?;
        (from.absolute, from.shown)
    };
    let newest = PathBuf::from(newest(file.absolute));
    let own = args::options::<UpdateOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    let format = Format::from_options(env, own.codec.as_ref())?;
    let options = EngineOptions {
        commit,
        format: format.known(),
        numbers: Numbers::Lossy,
        longest: Some(LONGEST),
        ..EngineOptions::default()
    };
    let source = FilePath { absolute: from, shown: source };
    let traced = steps::current();
    lock::acquire(env, args, move |env, locks| {
        let Some(lock) = locks.into_iter().next() else {
            return Err(internal(env, "no lock was taken"));
        };
        let restored = match format {
            Format::Json => restore(env, &lock, source, newest, (Format::Json, options), traced),
            codec => {
                // The engine does not know whether it is an index.
                let read = read_index::from_file(source.clone(), options.clone(), codec.clone(), None);
                let lock = lock.clone();
                read(env, "").and_then(|read| {
                    promise::then(env, &read, move |env, _| {
                        restore(env, &lock, source, newest, (codec, options), traced)
                    })
                })
            }
        };
        let restored = restored.or_else(|thrown| promise::of(env, Err(thrown)))?;
        promise::finally(env, &restored, move |env| lock.release(env))
    })
}

fn restore<'env>(
    env: &'env Env,
    lock: &Rc<Lock>,
    source: FilePath,
    newest: PathBuf,
    (format, mut options): (Format, EngineOptions),
    traced: Option<Arc<Steps>>,
) -> Result<'env, Unknown<'env>> {
    options.commit.in_place = lock.in_place;
    let anyway = EngineOptions { anyway: true, ..options.clone() };
    let path = lock.path.clone();
    let now = raw::construct(env, &raw::global(env, c"Date")?, &[])?;
    let now = copy::text(env, &raw::invoke(env, &now, c"toISOString", &[])?)?;
    let stamp = format!("{}Z", now.split('.').next().unwrap_or_default().replace(['-', ':'], ""));
    lock.open(env, anyway, DEFAULT_TIMEOUT, &Rc::default(), move |env, mut opened| {
        if let (Format::Codec(_), Some(snapshot)) = (&format, &mut opened.snapshot)
            && snapshot.fault.is_none()
            && let Err(Thrown(error)) =
                format.parse(env, Some(&snapshot.text), None, Numbers::Lossy, &path.shown)
        {
            snapshot.refuse(copy::text(env, &raw::get(env, &error, c"message")?)?);
        }
        let job = RestoreJob::new(opened, path.absolute.clone(), source.absolute, newest, stamp, options);
        let start = || {
            task::start(env, job, move |env, restored| {
                let restored = restored.map_err(|error| from_engine(env, &error, &path.shown, || None))?;
                let told = raw::object(env)?;
                raw::define(env, &told, c"written", &raw::to_js(env, restored.receipt.written)?)?;
                raw::define(env, &told, c"durable", &raw::to_js(env, restored.receipt.durable)?)?;
                raw::define(env, &told, c"source", &raw::to_js(env, source.shown.as_str())?)?;
                if restored.is_kept {
                    raw::define(env, &told, c"backup", &raw::to_js(env, format!("{}.backup", path.shown))?)?;
                }
                if let Some(aside) = restored.aside {
                    let aside = raw::to_js(env, path.beside(&aside))?;
                    raw::define(env, &told, c"setAside", &aside)?;
                }
                Ok(told)
            })
        };
        // Not in the turn of the event loop in which the call was made.
        steps::scope(traced.as_ref(), start)
    })
}
