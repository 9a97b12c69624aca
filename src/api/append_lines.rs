//! `appendLines`: whole lines at the end of a file.

use std::time::Duration;

use engine::lines::{AppendOptions as EngineOptions, Appended, Rotate, Torn};
use napi::bindgen_prelude::{Either, Unknown};
use napi::{Env, ValueType};
use napi_derive::napi;

use crate::api::options::{Checked, WriteOptions, milliseconds, verified};
use crate::api::update_options::network;
use crate::js::error::from_engine;
use crate::js::inside;
use crate::js::lines;
use crate::js::value::{Encoding, FilePath, Result, Signal, args, path, promise, raw};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// What to do with an object in a store.
const INSTEAD: &str = "an object in a store cannot be appended to: atomicIndexPatch collects small changes of many writers there";

/// Options of {@link appendLines}. They are read once, when the function is called.
#[napi(
    object,
    object_to_js = false,
    js_name = "AppendLinesOptions extends Pick<WriteOptions, 'mode' | 'flush' | 'verify' | 'mkdir' | 'signal'>"
)]
#[derive(Default)]
pub struct AppendLinesOptions<'env> {
    /// Append JSON: each value of `lines`, strings too, becomes one line by `JSON.stringify`. `ERR_INVALID_ARG_VALUE` refuses what
    /// JSON would lose, as {@link atomicIndexUpdate} does. Say it for each append to a file of JSON lines: it decides what an
    /// unfinished last line is.
    ///
    /// @default false
    #[napi(ts_type = "boolean")]
    pub json: Option<Unknown<'env>>,
    /// Begin a new file for lines that come when this one has `size` bytes or more: it becomes `NAME.1`, the one before it
    /// `NAME.2`, and so on; `keep` old files stay, and the oldest beyond that is removed. A crash at any point loses no line of
    /// those that are kept, and leaves none in two files. The new file has the owner and the mode of the old one. Files with higher
    /// numbers are left alone.
    ///
    /// @default undefined: never
    #[napi(ts_type = "{ size: number; keep: number }")]
    pub rotate: Option<Unknown<'env>>,
    /// How long to wait for the file, in milliseconds: for other processes that append, and for earlier calls of this one. Then
    /// the call rejects with `ERR_ATOMIC_LOCK_TIMEOUT`.
    ///
    /// @default 30_000
    #[napi(ts_type = "number")]
    pub timeout: Option<Unknown<'env>>,
    /// What to do on a network file system, as for {@link atomicIndexUpdate}: `'refuse'` rejects with `ERR_ATOMIC_NETWORK_FS`,
    /// `'allow'` is for files that only this machine appends to.
    ///
    /// @default 'refuse'
    #[napi(ts_type = "'refuse' | 'allow'")]
    pub network: Option<Unknown<'env>>,
}

/// A part of a line that {@link appendLines} has found at the end of the file and set aside.
#[napi(object, object_from_js = false)]
pub struct TornLine {
    /// Where its bytes are now: the path of the call, with `.torn-` and 16 digits. If the path is a link into another directory, they are beside
    /// the file that it leads to, and this is an absolute path.
    pub path: String,
    /// Where it began in the file, in bytes.
    pub offset: f64,
    /// How long it is, in bytes.
    pub bytes: f64,
}

/// What {@link appendLines} did.
#[napi(object, object_from_js = false)]
pub struct AppendResult {
    /// How many lines were appended.
    pub lines: f64,
    /// How many bytes these are, line ends included.
    pub bytes: f64,
    /// Where the first of them begins, in bytes from the start of the file.
    pub offset: f64,
    /// Whether the lines survive a power cut, as in {@link WriteResult}.
    pub durable: bool,
    /// How they were read back: from the page cache, from the device, or not at all.
    #[napi(ts_type = "'cache' | 'device' | false")]
    pub verified: Either<&'static str, bool>,
    /// Whether a new file was begun for them (`rotate`).
    pub rotated: bool,
    /// What was found at the end of the file and set aside. Each call that was appended together with this one tells it.
    pub torn: Option<TornLine>,
    /// How long the call has waited until the file was its own, in milliseconds.
    pub lock_wait_ms: f64,
    /// The number of calls that were appended together, this one included.
    pub batch_size: u32,
}

/// Appends lines to a file, for logs and JSON Lines. `lines` is one line, or an iterable of them; each gets its line feed here.
/// When the promise resolves they are at the end of the file, whole, in their order and next to each other, on disk and read back.
///
/// A line is a string without line feeds, NUL characters and lone surrogates; with `json: true` (see the other signature) it is
/// made of a value. An iterable is gone through during the call. An empty one appends nothing and does not look at the file.
/// A call takes about four times the size of its lines in memory (measured: 110 MB for 27 MB).
///
/// Calls come after each other, whatever threads and processes make them: each takes the lock of an index (`.NAME.lock`), and an
/// flock(2) on the file itself (not on Windows), which makes those exclude each other that know it by other names. Calls of
/// one process that wait for the same file at the same time, with the same options, share one write and one flush: a thousand at
/// once take about as long as a handful. They run in the order of the calls, also among {@link atomicWrite} and
/// {@link atomicIndexUpdate} of the same file.
///
/// The file is appended to in place: its owner, mode and hard links stay, and a program that has it open sees the lines. A symbolic
/// link is followed. A new file gets `mode`. What a crash has left of an append shows at the end of the file, as a line without
/// a line end. The next call moves it to a file of its own, `NAME.torn-…`, which is flushed also with `flush: false`, and says so in
/// its result, or with `error.torn` if it fails after that; it is never removed. An
/// editor may leave out the last line end as well: with `json: true` a complete value there (no number) gets its line end;
/// of plain text nothing tells the two apart, and it is set aside too.
///
/// Rejects with an {@link AtomicError} as {@link atomicWrite} does, and with `ERR_ATOMIC_LOCK_TIMEOUT`, `ERR_ATOMIC_NETWORK_FS`,
/// `ERR_ATOMIC_NO_LOCKS`, `ERR_ATOMIC_NESTED` and `ERR_ATOMIC_REENTRANT` as {@link atomicIndexUpdate} does. Nothing of the lines is in the file then, also
/// after a full disk in the middle. The one exception is marked: with `error.committed === true` they may be there, as a whole or in
/// part, because what was written could not be taken back (also when another program has appended next to it, or cut the file), or
/// because the name of a new file could not be flushed. `ESTALE`: another program has put another file in its place, or has appended to it,
/// again and again. Calls that
/// were appended together fail together. For an object in a store it is `ERR_ATOMIC_UNSUPPORTED`. An abort of `signal` takes effect
/// until the lines are written.
///
/// Not promised: anything about programs that write to the file without this package. Whole lines that they append are kept, but
/// for those that come in the microseconds between the last look at the file's size and a truncation, which a torn line or
/// a failed append needs; on Windows also those that come while lines are written can be overwritten. A
/// part of a line that they are still writing counts as torn. A reader may meet a line that is being written: {@link readLines} skips
/// it. The file must be readable too, and its directory writable.
#[napi(
    ts_args_type = "path: PathLike, lines: string | Iterable<string>, options?: (AppendLinesOptions & { json?: false }) | null",
    ts_return_type = "Promise<AppendResult>"
)]
pub fn append_lines<'env>(
    env: &'env Env,
    path: Unknown<'env>,
    lines: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    promise::answer(env, start(env, &path, &lines, &options))
}

fn start<'env>(
    env: &'env Env,
    path: &Unknown<'env>,
    lines: &Unknown<'_>,
    given: &Unknown<'env>,
) -> Result<'env, Unknown<'env>> {
    let path = path::local(env, "path", path, INSTEAD)?;
    inside::current(env)
        .check_nested(false)
        .map_err(|error| from_engine(env, &error, &path.shown, || None))?;
    let own = args::options::<AppendLinesOptions<'_>>(env, "of type Object", given)?.unwrap_or_default();
    let shared = args::options::<WriteOptions<'_>>(env, "of type Object", given)?.unwrap_or_default();
    let options = parse(env, &own, &shared)?;
    let (text, count) = lines::joined(env, lines, options.json)?;
    if count == 0 {
        return promise::of(env, raw::to_js(env, AppendResult::of(&path, Appended::default())));
    }
    let text = Encoding::Utf8.copy(env, &text)?;
    let signal = Signal::attach(env, shared.signal.as_ref())?;
    lines::append(env, path, (text, count), options, signal, (answer, tell_torn))
}

fn answer<'env>(env: &'env Env, path: &FilePath, done: Appended) -> Result<'env, Unknown<'env>> {
    raw::to_js(env, AppendResult::of(path, done))
}

fn tell_torn<'env>(env: &'env Env, path: &FilePath, torn: &Torn) -> Result<'env, Unknown<'env>> {
    raw::to_js(env, TornLine::of(path, torn))
}

fn parse<'env>(
    env: &'env Env,
    own: &AppendLinesOptions<'_>,
    shared: &WriteOptions<'_>,
) -> Result<'env, EngineOptions> {
    let shared = WriteOptions {
        mode: shared.mode,
        flush: shared.flush,
        verify: shared.verify,
        mkdir: shared.mkdir,
        ..WriteOptions::default()
    };
    let Checked { commit, mkdir } = shared.check(env)?;
    Ok(EngineOptions {
        mode: commit.mode,
        flush: commit.flush,
        verify: commit.verify,
        mkdir,
        network: network(env, own.network.as_ref())?,
        json: args::boolean(env, "options.json", own.json.as_ref(), false)?,
        rotate: own.rotate.as_ref().map(|given| rotate(env, given)).transpose()?,
        timeout: milliseconds(env, "options.timeout", own.timeout.as_ref(), DEFAULT_TIMEOUT)?,
    })
}

fn rotate<'env>(env: &'env Env, given: &Unknown<'_>) -> Result<'env, Rotate> {
    if raw::type_of(given) != ValueType::Object {
        return Err(args::wrong_type(env, "options.rotate", "of type Object", given));
    }
    let number = |name, field, most: f64| {
        let given = raw::get(env, given, field)?;
        if raw::type_of(&given) != ValueType::Number {
            return Err(args::wrong_type(env, name, "of type number", &given));
        }
        let number = raw::from_js::<f64>(env, &given).filter(|number| number.fract() == 0.0);
        let number = number.filter(|number| (1.0..=most).contains(number));
        number.ok_or_else(|| args::wrong_value(env, name, "must be a whole number, 1 or more", &given))
    };
    Ok(Rotate {
        size: number("options.rotate.size", c"size", 9_007_199_254_740_991.0)? as u64,
        keep: number("options.rotate.keep", c"keep", f64::from(u32::MAX - 1))? as u32,
    })
}

impl TornLine {
    fn of(path: &FilePath, torn: &Torn) -> Self {
        Self { path: path.beside(&torn.path), offset: torn.offset as f64, bytes: torn.bytes as f64 }
    }
}

impl AppendResult {
    fn of(path: &FilePath, done: Appended) -> Self {
        Self {
            lines: done.lines as f64,
            bytes: done.bytes as f64,
            offset: done.offset as f64,
            durable: done.durable,
            verified: verified(done.verified),
            rotated: done.rotated,
            torn: done.torn.as_ref().map(|torn| TornLine::of(path, torn)),
            lock_wait_ms: done.waited.as_secs_f64() * 1000.0,
            batch_size: u32::try_from(done.calls).unwrap_or(u32::MAX),
        }
    }
}
