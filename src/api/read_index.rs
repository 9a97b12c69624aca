//! `readIndex`: a JSON file or object, parsed.

use std::rc::Rc;

use engine::index::file::{Numbers, Snapshot, UpdateOptions as EngineOptions};
use engine::index::read_job::ReadJob;
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

use crate::api::atomic_index_update::{UpdateOptions, WITHOUT_CODECS};
use crate::api::index_text::parse_text;
use crate::js::cloud::peer;
use crate::js::error::from_engine;
use crate::js::index::format::Format;
use crate::js::index::read::{self, Read};
use crate::js::task;
use crate::js::transaction::ParsedUpdate;
use crate::js::value::{CloudPath, FilePath, Kept, Result, Target, args, path, promise, raw};

/// Options of {@link readIndex}.
#[napi(
    object,
    object_to_js = false,
    js_name = "ReadIndexOptions<T = any> extends Pick<UpdateOptions<T>, 'initial' | 'numbers' | 'codec' | 'schema' | 'migrate'>, CloudOptions"
)]
#[derive(Default)]
pub struct ReadIndexOptions<'env> {
    /// What to do if the index is broken or missing: it is not JSON, it does not pass `schema`, or the disk cannot read it (`EIO`).
    /// `'backup'` reads the newest good one of `${path}.backup`, `${path}.backup.1` and so on, as the option `backup` of
    /// {@link atomicIndexUpdate} leaves them; `source` says so. Nothing is changed on disk.
    ///
    /// @default the call rejects, and a missing file counts as `initial`
    #[napi(ts_type = "'backup'")]
    pub fallback: Option<Unknown<'env>>,
}

/// What {@link readIndex} has read.
#[napi(object, object_from_js = false, js_name = "IndexRead<T = any>")]
pub struct IndexRead<'env> {
    /// The parsed index; without one `initial`, or `undefined`.
    #[napi(ts_type = "T | undefined")]
    pub value: Unknown<'env>,
    /// Where the value comes from: from the file, from a backup, or from `initial`, because there is no file. Of an object in a store only
    /// `'backup'` is said.
    #[napi(ts_type = "'file' | 'backup' | 'initial'")]
    pub source: Option<&'static str>,
    /// The version of an object in a store, to be given to `ifVersion`; `undefined` if there is no object, and for files.
    pub version: Option<String>,
    /// The path of the backup that was read.
    pub backup: Option<String>,
    /// With `source: 'backup'`: why the index itself could not be used; `undefined` if it is missing.
    #[napi(ts_type = "AtomicError")]
    pub corrupt: Option<Unknown<'env>>,
}

/// Reads and parses a JSON file, or an object in a store, as {@link atomicIndexUpdate} does it for its function. It takes no lock and waits
/// for nobody, and needs no right to write: it reads one complete version, which may be replaced by the time the promise resolves. To change an
/// index, use {@link atomicIndexUpdate}: what is read here and written later may undo what others have written meanwhile.
///
/// `options.initial` is what a file that does not exist counts as; `options.numbers` says what becomes of numbers that JavaScript would
/// change, `options.codec` what parses the file, `options.schema` what the index has to be like, as in {@link UpdateOptions}. `options.migrate` works on the value that is
/// returned: the file stays as it is. For an object there are those of {@link CloudOptions} too.
///
/// Rejects with an {@link AtomicError}: `ERR_ATOMIC_CORRUPT_INDEX`, `ERR_ATOMIC_LOSSY_INDEX`, `ERR_ATOMIC_SCHEMA`, `ERR_STRING_TOO_LONG`, with
/// what opening and reading fail with (not `ENOENT`), and with `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`. With `fallback`: if no backup
/// is good, with what is wrong with the index itself.
#[napi(
    ts_generic_types = "T = any",
    ts_args_type = "path: PathLike, options?: ReadIndexOptions<T> | null",
    ts_return_type = "Promise<IndexRead<T>>"
)]
pub fn read_index<'env>(
    env: &'env Env,
    path: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    promise::answer(env, start(env, &path, options))
}

fn start<'env>(env: &'env Env, path: &Unknown<'env>, options: Unknown<'env>) -> Result<'env, Unknown<'env>> {
    let target = path::target(env, "path", path)?;
    let shown = target.shown().to_owned();
    let own = args::options::<UpdateOptions<'_>>(env, "of type Object", &options)?.unwrap_or_default();
    let reading = args::options::<ReadIndexOptions<'_>>(env, "of type Object", &options)?.unwrap_or_default();
    let with_backups = fallback(env, reading.fallback.as_ref())?;
    let ParsedUpdate { options: text, initial, format, schema, .. } = parse_text(env, &own)?;
    let read = match target {
        Target::Local(path) => from_file(path, text, format, initial),
        Target::Cloud(path) if format != Format::Json => return Err(path.unsupported(env, WITHOUT_CODECS)),
        Target::Cloud(path) => from_store(env, path, options)?,
    };
    match with_backups {
        true => read::with_backups(env, read, schema, shown),
        false => read::checked(env, read(env, "")?, schema, shown),
    }
}

/// `options.fallback`.
pub fn fallback<'env>(env: &'env Env, given: Option<&Unknown<'env>>) -> Result<'env, bool> {
    let Some(given) = given else { return Ok(false) };
    match args::word(env, given)?.as_deref() {
        Some("backup") => Ok(true),
        _ => Err(args::wrong_value(env, "options.fallback", "must be 'backup'", given)),
    }
}

/// Reads the file, or one whose name ends in more.
pub fn from_file(path: FilePath, options: EngineOptions, format: Format, initial: Option<Vec<u16>>) -> Read {
    let numbers = options.numbers;
    let initial = Rc::new(initial);
    Rc::new(move |env, suffix| {
        let (initial, format) = (initial.clone(), format.clone());
        let shown = format!("{}{suffix}", path.shown);
        let job = ReadJob::new(read::with_suffix(&path.absolute, suffix), options.clone());
        task::start(env, job, move |env, read| {
            let read = read.map_err(|error| from_engine(env, &error, &shown, || None))?;
            IndexRead::of(env, &format, read.as_ref(), initial.as_deref(), numbers, &shown)
        })
    })
}

fn from_store<'env>(env: &'env Env, path: CloudPath<'env>, options: Unknown<'env>) -> Result<'env, Read> {
    // An object keeps the options, which may be missing.
    let kept = Kept::new(env, &raw::array(env, &[path.given, options])?)?;
    let shown = path.shown;
    Ok(Rc::new(move |env, suffix| {
        let kept = kept.get(env)?;
        let options = raw::get(env, &kept, c"1")?;
        let name = format!("{shown}{suffix}");
        let target =
            if suffix.is_empty() { raw::get(env, &kept, c"0")? } else { raw::to_js(env, name.as_str())? };
        peer::call(env, &name, c"readIndex", &[target, options])
    }))
}

impl IndexRead<'_> {
    /// What a file says, or without one `initial`.
    pub fn of<'env>(
        env: &'env Env,
        format: &Format,
        read: Option<&Snapshot>,
        initial: Option<&[u16]>,
        numbers: Numbers,
        shown: &str,
    ) -> Result<'env, Unknown<'env>> {
        let text = read.map(|snapshot| &snapshot.text);
        let value = format.parse(env, text, initial, numbers, shown)?;
        let source = Some(if text.is_some() { "file" } else { "initial" });
        raw::to_js(env, IndexRead { value, source, version: None, backup: None, corrupt: None })
    }
}
