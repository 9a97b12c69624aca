//! `readIndexSync`: as `readIndex`, on the calling thread.

use std::rc::Rc;

use engine::blocking;
use engine::index::read_job::ReadJob;
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

use crate::api::atomic_index_update::UpdateOptions;
use crate::api::index_text::parse_text;
use crate::api::read_index::{IndexRead, ReadIndexOptions, fallback};
use crate::js::error::from_engine;
use crate::js::index::read::{self, Read};
use crate::js::transaction::ParsedUpdate;
use crate::js::value::{Result, args, path, promise, raw};

/// Reads and parses a JSON file as {@link readIndex} does, and returns what that resolves with: for configuration that a program needs
/// before anything else. It **blocks** the event loop meanwhile. It takes no lock and waits for no other call, so it sees the
/// last version that has its name, whatever is under way.
///
/// Options, result and errors are those of {@link readIndex}; what that rejects with is thrown. Where no file descriptor is free (`EMFILE`,
/// `ENFILE`) it tries again for a tenth of a second, and not for ten seconds, as nobody can close one meanwhile on this thread.
/// A `schema` or `migrate` that returns a promise is refused (`ERR_INVALID_ARG_VALUE`). Objects in stores are `ERR_ATOMIC_UNSUPPORTED`.
#[napi(
    ts_generic_types = "T = any",
    ts_args_type = "path: PathLike, options?: ReadIndexSyncOptions<T> | null",
    ts_return_type = "IndexRead<T>"
)]
pub fn read_index_sync<'env>(
    env: &'env Env,
    path: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    promise::or_throw(env, promise::guarded(env, || read(env, &path, options)))
}

fn read<'env>(env: &'env Env, path: &Unknown<'env>, options: Unknown<'env>) -> Result<'env, Unknown<'env>> {
    let path = path::local(env, "path", path, "a call that blocks is for files; call readIndex")?;
    let shown = path.shown.clone();
    let own = args::options::<UpdateOptions<'_>>(env, "of type Object", &options)?.unwrap_or_default();
    let reading = args::options::<ReadIndexOptions<'_>>(env, "of type Object", &options)?.unwrap_or_default();
    let with_backups = fallback(env, reading.fallback.as_ref())?;
    let ParsedUpdate { options, initial, format, schema, .. } = parse_text(env, &own)?;
    let read: Read = Rc::new(move |env, suffix| {
        let shown = format!("{}{suffix}", path.shown);
        let job = ReadJob::new(read::with_suffix(&path.absolute, suffix), options.clone());
        let read = blocking::run_briefly(job).map_err(|error| from_engine(env, &error, &shown, || None))?;
        IndexRead::of(env, &format, read.as_ref(), initial.as_deref(), options.numbers, &shown)
    });
    if with_backups {
        return read::with_backups_now(env, read, schema, shown);
    }
    let found = read(env, "")?;
    if let Some(schema) = schema {
        let value = schema.check_read_now(env, &raw::get(env, &found, c"value")?, &shown)?;
        raw::define(env, &found, c"value", &value)?;
    }
    Ok(found)
}
