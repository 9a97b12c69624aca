//! `watchIndex`: the versions of an index as they come.

use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

use crate::api::atomic_index_update::UpdateOptions;
use crate::api::index_text::parse_text;
use crate::api::read_index::from_file;
use crate::js::cloud::script;
use crate::js::transaction::ParsedUpdate;
use crate::js::value::{Result, Thrown, args, path, promise, raw};
use crate::js::watch::{self, WatchArgs};

/// What to do with an object in a store.
const INSTEAD: &str = "a store does not tell of changes; read the object from time to time with readIndex, and compare its 'version'";

/// Options of {@link watchIndex}.
#[napi(
    object,
    object_to_js = false,
    js_name = "WatchIndexOptions<T = any> extends Pick<UpdateOptions<T>, 'initial' | 'numbers' | 'codec' | 'schema' | 'migrate'>"
)]
#[derive(Default)]
pub struct WatchIndexOptions<'env> {
    /// Ends the iteration: the step that waits, or else the next one, rejects with an `AbortError`.
    #[napi(ts_type = "AbortSignal")]
    pub signal: Option<Unknown<'env>>,
    /// Gets what is wrong with the index, once for each version that has been broken for a second: it is not JSON, does not pass
    /// `schema`, or cannot be read. The iteration goes on, with the next version that is good. What the function throws, or its promise
    /// rejects with, ends it.
    ///
    /// @default the iteration ends with the error
    #[napi(ts_type = "(error: AtomicError) => void | PromiseLike<void>")]
    pub on_error: Option<Unknown<'env>>,
}

/// Watches a JSON file: an async iterator of its versions, each parsed, with the one before. The first is the present one, at once; then
/// there is one for each change, by whatever process and program. It takes no lock, and needs no right to write.
///
/// ```ts
/// for await (const { value, previous } of watchIndex<Posts>('posts/index.json')) {
///   await render(value, previous)
/// }
/// ```
///
/// What comes is always the newest version: those that come and go while the body of the loop runs are skipped, and `previous` is what the
/// body had last (the very object; `undefined` at first). A change that leaves the same JSON is none (with `codec`: the same
/// text, were each version printed anew, so a comment is no change): another layout, a touch, or a way
/// there and back while the body ran.
///
/// The *directory* of the file is watched, because a file that is replaced is another one; and those above it, so the path may lead
/// elsewhere by a directory that is removed and made again, one that is exchanged (as by {@link atomicDirectory}), or a link that is
/// switched. The directory need not exist yet. All watchers of a thread share what they watch. The system tells of changes; nothing is polled.
///
/// A *missing* file counts as `options.initial`: at once at the beginning, and later when it has been missing for a second, because some
/// programs remove a file before they write it anew. Without `initial` there is no version until there is a file. A *broken* one is tried
/// again with each change, for another program may be in the middle of a write; when it has been broken for a second, that goes to
/// `options.onError`, or ends the iteration. `options.numbers`, `codec`, `schema` and `migrate` are as in {@link readIndex}.
///
/// Nothing happens before the first step. While a step waits, the process stays alive. `break`, `return()` and `options.signal` end the
/// watch and close all that it has open; an iterator that is only forgotten stays open.
///
/// Steps reject with an {@link AtomicError}: what {@link readIndex} rejects with; `AbortError`; `ERR_ATOMIC_UNSUPPORTED` for an object in
/// a store and before Node.js 20.16; with what watching fails with (`ENOSPC` and `EMFILE`: the system has no more watches to give, and the message names the limit; `EACCES`:
/// the directory may not be listed); with `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`. The iteration is over then.
///
/// Not promised: one step for each version. Changes of which the system does not tell are not seen: those made through a hard link
/// or a mapping of the file, those by other machines in a network file system, a file system that is mounted over the path, and those of a directory further up that this user may not list. On Windows and
/// macOS only the directory and the one above it are watched, and on Windows a directory cannot be replaced while it is watched.
#[napi(
    ts_generic_types = "T = any",
    ts_args_type = "path: PathLike, options?: WatchIndexOptions<T> | null",
    ts_return_type = "AsyncIterableIterator<IndexChange<T>>"
)]
pub fn watch_index<'env>(
    env: &'env Env,
    path: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    let watch = start(env, &path, &options);
    promise::or_throw(env, watch.or_else(|Thrown(error)| script::call(env, c"failing", &[error])))
}

fn start<'env>(env: &'env Env, path: &Unknown<'env>, options: &Unknown<'env>) -> Result<'env, Unknown<'env>> {
    let file = path::local(env, "path", path, INSTEAD)?;
    if file.absolute.as_os_str().is_empty() {
        return Err(args::wrong_value(env, "path", "must not be empty", path));
    }
    let text = args::options::<UpdateOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    let own = args::options::<WatchIndexOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    if let Some(on_error) = &own.on_error {
        args::function(env, "options.onError", on_error)?;
    }
    let ParsedUpdate { options, initial, format, schema, .. } = parse_text(env, &text)?;
    watch::start(
        env,
        WatchArgs {
            has_initial: initial.is_some(),
            read: from_file(file.clone(), options, format.clone(), initial),
            path: file,
            format,
            schema,
            on_error: own.on_error.unwrap_or_else(|| raw::undefined(env)),
            signal: own.signal,
        },
    )
}
