//! `readIndex`: a JSON file or object, parsed.

use engine::index::file::{Numbers, Snapshot, UpdateOptions as EngineOptions};
use engine::index::read_job::ReadJob;
use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

use crate::api::atomic_index_update::{UpdateOptions, parse_text};
use crate::js::cloud::peer;
use crate::js::error::from_engine;
use crate::js::index::json;
use crate::js::task;
use crate::js::transaction::ParsedUpdate;
use crate::js::value::{Result, Target, args, path, promise, raw};

/// What {@link readIndex} has read.
#[napi(object, object_from_js = false, js_name = "IndexRead<T = any>")]
pub struct IndexRead<'env> {
    /// The parsed index; without one `initial`, or `undefined`.
    #[napi(ts_type = "T | undefined")]
    pub value: Unknown<'env>,
    /// Where the value comes from: from the file, or from `initial`, because there is none. Only for files.
    #[napi(ts_type = "'file' | 'initial'")]
    pub source: Option<&'static str>,
    /// The version of an object in a store, to be given to `ifVersion`; `undefined` if there is no object, and for files.
    pub version: Option<String>,
}

/// Reads and parses a JSON file, or an object in a store, as {@link atomicIndexUpdate} does it for its function. It takes no lock and waits
/// for nobody: it reads one complete version, which may be replaced by the time the promise resolves. To change an index, use
/// {@link atomicIndexUpdate}: what is read here and written later may undo what others have written meanwhile.
///
/// `options.initial` is what a file that does not exist counts as; `options.numbers` says what becomes of numbers that JavaScript would
/// change, as in {@link UpdateOptions}. For an object there are those of {@link CloudOptions} too.
///
/// Rejects with an {@link AtomicError}: `ERR_ATOMIC_CORRUPT_INDEX`, `ERR_ATOMIC_LOSSY_INDEX`, `ERR_STRING_TOO_LONG`, with what
/// opening and reading fail with (not `ENOENT`), and with `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`.
#[napi(
    ts_generic_types = "T = any",
    ts_args_type = "path: PathLike, options?: (Pick<UpdateOptions<T>, 'initial' | 'numbers'> & CloudOptions) | null",
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
    let path = match path::target(env, "path", path)? {
        Target::Local(path) => path,
        Target::Cloud(path) => return peer::call(env, &path.shown, c"readIndex", &[path.given, options]),
    };
    let own = args::options::<UpdateOptions<'_>>(env, "of type Object", &options)?.unwrap_or_default();
    let ParsedUpdate { options, initial } = parse_text(env, &own)?;
    let EngineOptions { numbers, .. } = options;
    task::start(env, ReadJob::new(path.absolute, options), move |env, read| {
        let read = read.map_err(|error| from_engine(env, &error, &path.shown, || None))?;
        IndexRead::of(env, read.as_ref(), initial.as_deref(), numbers)
    })
}

impl IndexRead<'_> {
    /// What a file says, or without one `initial`.
    pub fn of<'env>(
        env: &'env Env,
        read: Option<&Snapshot>,
        initial: Option<&[u16]>,
        numbers: Numbers,
    ) -> Result<'env, Unknown<'env>> {
        let text = read.map(|snapshot| &snapshot.text);
        let value = json::parse(env, text, initial, numbers)?;
        let source = Some(if text.is_some() { "file" } else { "initial" });
        raw::to_js(env, IndexRead { value, source, version: None })
    }
}
