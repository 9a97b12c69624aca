//! `readIndexAt`, `readIndexKeys`, `readIndexRecords`: parts of a JSON file, without parsing the rest.

use engine::index::document::Pointer;
use engine::index::file::UpdateOptions as EngineOptions;
use engine::index::look::Wanted;
use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};
use napi_derive::napi;

use crate::api::atomic_index_update::UpdateOptions;
use crate::api::index_text::parse_text;
use crate::api::read_index::{ReadIndexOptions, fallback};
use crate::js::cloud::script;
use crate::js::index::{self, look, read};
use crate::js::value::{FilePath, Result, Thrown, args, path, promise, raw};

/// What to do with an object in a store.
const INSTEAD: &str =
    "an object in a store is read as a whole: call readIndex, and take the part from its value";

/// Reads one value of a JSON file, at a JSON pointer (RFC 6901) such as `'/posts/hello'`, without parsing the rest. Resolves with `undefined` if the
/// pointer leads nowhere, or there is no file. The empty pointer is the whole index.
///
/// The text is searched on a worker: the one that this process keeps from its last commit, if the file is still that, or else the file as it is read and checked now
/// (UTF-8, JSON). Only the value that is found is parsed, on the JavaScript thread. It takes no lock
/// and waits for nobody, as {@link readIndex}. Memory: the value; also one text of the file, for the empty pointer, and where the text is kept, damaged or odd (keys or
/// numbers of more than 4 KiB). Of equal keys the last one counts.
///
/// `numbers` means what it means for {@link readIndex}, for the value that is returned: the rest is not looked at. `fallback: 'backup'` reads
/// the newest good backup if the index is broken or missing. What needs the whole index is refused (`ERR_INVALID_ARG_VALUE`): `initial`, `codec`, `schema`,
/// `migrate`, `onCorrupt`.
///
/// Rejects as {@link readIndex} does; with `ERR_INVALID_ARG_VALUE`, if `pointer` is none or has more than 1,000 keys; with `ERR_ATOMIC_UNSUPPORTED` for an object in a store.
#[napi(
    ts_generic_types = "T = any",
    ts_args_type = "path: PathLike, pointer: string, options?: ReadIndexAtOptions | null",
    ts_return_type = "Promise<T | undefined>"
)]
pub fn read_index_at<'env>(
    env: &'env Env,
    path: Unknown<'env>,
    pointer: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    promise::answer(env, start(env, &path, &pointer, &options, Wanted::Value))
}

/// Reads the keys of an object in a JSON file, or of the array there (`'0'`, `'1'`, …), at a JSON pointer: by default of the index itself. It parses
/// nothing else. They are in the order of the file; JavaScript would put whole numbers first. Resolves with `undefined` if there is neither an
/// object nor an array.
///
/// Options and errors are those of {@link readIndexAt}.
#[napi(
    ts_args_type = "path: PathLike, pointer?: string | null, options?: ReadIndexAtOptions | null",
    ts_return_type = "Promise<string[] | undefined>"
)]
pub fn read_index_keys<'env>(
    env: &'env Env,
    path: Unknown<'env>,
    pointer: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    promise::answer(env, start(env, &path, &pointer, &options, Wanted::Keys))
}

/// Goes through the records of a large JSON file: the items of an array, or the members of an object as `[key, value]`, at a JSON pointer, by
/// default of the index itself. Some 256 KiB are parsed at a time, so the event loop is never held up for long.
///
/// ```ts
/// for await (const post of readIndexRecords('posts.json', '/posts')) console.log(post.title)
/// for await (const [slug, post] of readIndexRecords('topics.json', '/topics')) console.log(slug, post)
/// ```
///
/// All records are of one version of the file, the one that the first step has read; its text is in memory until the loop ends. There is no step
/// if the pointer leads to no array and no object. A key that an object has twice comes twice; the last one counts.
///
/// Options and errors are those of {@link readIndexAt}, but for `fallback`, which is refused.
#[napi(
    ts_generic_types = "T = any",
    ts_args_type = "path: PathLike, pointer?: string | null, options?: Pick<ReadIndexAtOptions, 'numbers'> | null",
    ts_return_type = "AsyncGenerator<T, void, undefined>"
)]
pub fn read_index_records<'env>(
    env: &'env Env,
    path: Unknown<'env>,
    pointer: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    let records = start_records(env, &path, &pointer, &options);
    promise::or_throw(env, records.or_else(|Thrown(error)| script::call(env, c"failing", &[error])))
}

fn start<'env>(
    env: &'env Env,
    path: &Unknown<'env>,
    pointer: &Unknown<'env>,
    given: &Unknown<'env>,
    wanted: Wanted,
) -> Result<'env, Unknown<'env>> {
    let Asked { path, pointer, options, with_backups } = parse(env, path, pointer, given, wanted)?;
    let shown = path.shown.clone();
    let read = look::once(path, options, pointer, wanted);
    let found = if with_backups { read::with_backups(env, read, None, shown)? } else { read(env, "")? };
    promise::then(env, &found, |env, found| raw::get(env, &found, c"value"))
}

fn start_records<'env>(
    env: &'env Env,
    path: &Unknown<'env>,
    pointer: &Unknown<'env>,
    given: &Unknown<'env>,
) -> Result<'env, Unknown<'env>> {
    let Asked { path, pointer, options, with_backups } = parse(env, path, pointer, given, Wanted::Keys)?;
    if with_backups {
        return Err(args::wrong_value(env, "options.fallback", "means nothing here", given));
    }
    look::records(env, path, options, pointer)
}

struct Asked {
    path: FilePath,
    pointer: Pointer,
    options: EngineOptions,
    with_backups: bool,
}

fn parse<'env>(
    env: &'env Env,
    path: &Unknown<'env>,
    pointer: &Unknown<'env>,
    given: &Unknown<'env>,
    wanted: Wanted,
) -> Result<'env, Asked> {
    let path = path::local(env, "path", path, INSTEAD)?;
    let is_left_out = matches!(raw::type_of(pointer), ValueType::Undefined | ValueType::Null);
    let pointer = match args::word(env, pointer)? {
        Some(text) => index::pointer::parse(env, "pointer", pointer, &text)?,
        None if is_left_out && wanted == Wanted::Keys => Pointer::default(),
        None => return Err(args::wrong_type(env, "pointer", "of type string", pointer)),
    };
    let own = args::options::<UpdateOptions<'_>>(env, "of type Object", given)?.unwrap_or_default();
    let others = [
        ("options.initial", &own.initial),
        ("options.codec", &own.codec),
        ("options.schema", &own.schema),
        ("options.migrate", &own.migrate),
        ("options.onCorrupt", &own.on_corrupt),
    ];
    for (name, other) in others {
        if let Some(other) = other {
            return Err(args::wrong_value(env, name, "needs the whole index: call readIndex", other));
        }
    }
    let reading = args::options::<ReadIndexOptions<'_>>(env, "of type Object", given)?.unwrap_or_default();
    let with_backups = fallback(env, reading.fallback.as_ref())?;
    Ok(Asked { path, pointer, options: parse_text(env, &own)?.options, with_backups })
}
