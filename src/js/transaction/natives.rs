//! What the script calls: arguments, JSON, the functions of users. Each function throws what it fails with.

use std::ffi::CStr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use engine::cancel::Cancel;
use engine::data::Data;
use engine::error::{Error, ErrorKind};
use engine::index::file::Snapshot;
use engine::lock::holder::{Blocker, Timeout};
use engine::stats;
use engine::steps::{self, Steps};
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::error::from_engine;
use crate::js::index::codec::Previous;
use crate::js::index::patch::{self, Patch};
use crate::js::task::{self, Timer};
use crate::js::transaction::parse::{Parse, ParsedUpdate, ParsedWrite};
use crate::js::transaction::textual::{self, Locked};
use crate::js::transaction::{ahead, at_once, found, functions, jobs, kept, written};
use crate::js::value::handle::{change, flag, is_handle, make, position, take, with};
use crate::js::value::thrown::{Result, abort, invalid_state};
use crate::js::value::{FilePath, Kept, Thrown, args, copy, data, path, promise, raw};

/// A function that the script calls.
pub type Native = for<'env> fn(&'env Env, [Unknown<'env>; 7]) -> Result<'env, Unknown<'env>>;

/// What to do with a root in a store of objects.
const WITHOUT_TRANSACTIONS: &str = "transactions are for files; in an object store atomicPublish replaces all objects \
                                    below a prefix at once, readRelease reads them, and atomicIndexUpdate changes one index";
/// What to do with an object in a transaction of files.
const OUTSIDE_THE_ROOT: &str = "a transaction changes files below its root; change the object after it, with atomicWrite \
                                or atomicIndexUpdate";

/// All that the script may call.
pub fn object(env: &Env, parse: Parse) -> Result<'_, Unknown<'_>> {
    let object = raw::object(env)?;
    let plain: &[(&'static CStr, Native)] = &[
        (c"root", root),
        (c"file", file),
        (c"data", given_data),
        (c"bytes", bytes),
        (c"checked", checked),
        (c"patch", |env, [patch, shown, options, ..]| Patch::update(env, &patch, &shown, &options)),
        (c"patches", |env, _| patch::class(env)),
        (c"isMade", is_made),
        (c"checkRead", check_read),
        (c"parse", parse_index),
        (c"parseBytes", parse_bytes),
        (c"check", check_index),
        (c"isSame", is_same),
        (c"stringify", stringify),
        (c"cancel", |env, _| make(env, Cancel::new())),
        (c"abort", cancel),
        (c"aborted", aborted),
        (c"wrongType", wrong_type),
        (c"ended", |env, [what, ..]| Err(invalid_state(env, &copy::text(env, &what)?))),
        (c"failure", failure),
        (c"now", |env, _| raw::to_js(env, now().as_secs_f64() * 1000.0)),
        (c"after", after),
        (c"stop", stop),
        (c"turn", turn),
        (c"takeSteps", |env, _| traced(env, steps::take())),
        (c"newSteps", |env, [of_one, ..]| traced(env, is_handle(&of_one).then(Steps::new))),
        (c"addSteps", add_steps),
        (c"timed", timed),
        (c"committed", committed),
        (c"find", found::find),
        (c"keys", found::keys),
        (c"files", found::files),
        (c"forget", found::forget),
        (c"lock", jobs::lock),
        (c"commit", jobs::commit),
        (c"release", jobs::release),
        (c"read", jobs::read),
        (c"snapshot", jobs::snapshot),
        (c"recover", jobs::recover),
    ];
    for (name, native) in plain
        .iter()
        .chain(&functions::NATIVES)
        .chain(&textual::NATIVES)
        .chain(&written::NATIVES)
        .chain(&kept::NATIVES)
        .chain(&ahead::NATIVES)
        .chain(&at_once::NATIVES)
    {
        define(env, &object, name, *native)?;
    }
    let Parse { write, update, timeout } = parse;
    let writing = promise::callback(env, "write", move |env, [options]: [Unknown<'_>; 1]| {
        let parsed = write(env, &options)?;
        let (exclusive, mkdir) = (parsed.0.exclusive, parsed.1);
        raw::array(env, &[make(env, parsed)?, raw::to_js(env, exclusive)?, raw::to_js(env, mkdir)?])
    })?;
    raw::define(env, &object, c"write", &writing)?;
    let updating = promise::callback(env, "update", move |env, [file, options]: [Unknown<'_>; 2]| {
        let path = with(env, &file, FilePath::clone)?;
        let parsed = update(env, &path, &options)?;
        let (mkdir, keeps_value) = (parsed.options.mkdir, parsed.keeps_value);
        let backup = match &parsed.options.backup {
            Some(backup) => make(
                env,
                FilePath { absolute: backup.path.clone(), shown: backup.path.to_string_lossy().into_owned() },
            )?,
            None => raw::undefined(env),
        };
        let is_text = textual::is_text(&parsed);
        let facts = [raw::to_js(env, keeps_value)?, raw::to_js(env, is_text)?];
        raw::array(env, &[&[make(env, parsed)?, raw::to_js(env, mkdir)?, backup], &facts[..]].concat())
    })?;
    raw::define(env, &object, c"update", &updating)?;
    let waiting = promise::callback(env, "timeout", move |env, [given]: [Unknown<'_>; 1]| {
        raw::to_js(env, timeout(env, &given)?.as_secs_f64() * 1000.0)
    })?;
    raw::define(env, &object, c"timeout", &waiting)?;
    Ok(object)
}

fn define<'env>(env: &'env Env, object: &Unknown<'_>, name: &CStr, native: Native) -> Result<'env, ()> {
    let function = promise::callback(env, &name.to_string_lossy(), native)?;
    raw::define(env, object, name, &function)
}

/// `(root) → root`
fn root<'env>(env: &'env Env, [root, ..]: [Unknown<'env>; 7]) -> Result<'env, Unknown<'env>> {
    make(env, path::local(env, "root", &root, WITHOUT_TRANSACTIONS)?)
}

/// `(root, name, path) → [handle, shown, absolute]`: relative paths are below the root.
fn file<'env>(env: &'env Env, [root, name, path, ..]: [Unknown<'env>; 7]) -> Result<'env, Unknown<'env>> {
    let root = with(env, &root, FilePath::clone)?;
    let name = copy::text(env, &name)?;
    let found = path::local_in(env, &name, &path, &root.absolute, OUTSIDE_THE_ROOT)?;
    let shown = raw::to_js(env, found.shown.as_str())?;
    // Two names that are not UTF-8 must not become one.
    let absolute = match found.absolute.to_str() {
        Some(absolute) => absolute.to_owned(),
        None => format!("\0{}", found.absolute.as_os_str().as_encoded_bytes().escape_ascii()),
    };
    let absolute = raw::to_js(env, absolute)?;
    raw::array(env, &[make(env, found)?, shown, absolute])
}

/// `(data, write) → data`: copied.
fn given_data<'env>(env: &'env Env, [given, write, ..]: [Unknown<'env>; 7]) -> Result<'env, Unknown<'env>> {
    let encoding = with(env, &write, |(_, _, encoding): &ParsedWrite| encoding.clone())?;
    make(env, Arc::new(encoding.copy(env, &given)?))
}

/// `(data) → Buffer`
fn bytes<'env>(env: &'env Env, [given, ..]: [Unknown<'env>; 7]) -> Result<'env, Unknown<'env>> {
    let given = with(env, &given, Arc::<Data>::clone)?;
    let bytes = given.try_clone().and_then(Data::into_bytes);
    let bytes = bytes.map_err(|error| from_engine(env, &error, "", || None))?;
    raw::to_js(env, napi::bindgen_prelude::Buffer::from(bytes))
}

/// `(snapshot, update, shown) → value`
fn parse_index<'env>(
    env: &'env Env,
    [snapshot, update, shown, ..]: [Unknown<'env>; 7],
) -> Result<'env, Unknown<'env>> {
    let ParsedUpdate { options, initial, format, .. } = with(env, &update, ParsedUpdate::clone)?;
    let shown = copy::text(env, &shown)?;
    let parse = |index: &Locked| {
        let text = index.as_read().map(|known| &known.text);
        format.parse(env, text, initial.as_deref(), options.numbers, &shown)
    };
    change(env, &snapshot, Locked::put_back)?;
    with(env, &snapshot, parse)?
}

/// `(buffer | null, update, shown) → value`: what a file says, or without one what the update begins with.
fn parse_bytes<'env>(
    env: &'env Env,
    [given, update, shown, ..]: [Unknown<'env>; 7],
) -> Result<'env, Unknown<'env>> {
    let ParsedUpdate { options, initial, format, .. } = with(env, &update, ParsedUpdate::clone)?;
    let shown = copy::text(env, &shown)?;
    match copy::bytes(env, &given)? {
        Some(bytes) => format.parse_bytes(env, bytes, &shown),
        None => format.parse(env, None, initial.as_deref(), options.numbers, &shown),
    }
}

/// `(value, update) → value`: throws unless it can be an index.
fn check_index<'env>(env: &'env Env, [next, update, ..]: [Unknown<'env>; 7]) -> Result<'env, Unknown<'env>> {
    let format = with(env, &update, |update: &ParsedUpdate| update.format.clone())?;
    format.check_returned(env, &next).map(|_| next)
}

/// `(fn, update, shown, isEach) → fn`: for an index that passes the schema of the update. What it returns is checked at once with `isEach`, else by
/// `isMade`, together with what other calls make of it.
fn checked<'env>(
    env: &'env Env,
    [function, update, shown, is_each, ..]: [Unknown<'env>; 7],
) -> Result<'env, Unknown<'env>> {
    match with(env, &update, |update: &ParsedUpdate| update.schema.clone())? {
        Some(schema) => schema.checked(env, &function, &copy::text(env, &shown)?, flag(env, &is_each)),
        None => Ok(function),
    }
}

/// `(value, update) → boolean`: throws if it does not pass the schema of the update. `false`: that takes its time.
fn is_made<'env>(env: &'env Env, [value, update, ..]: [Unknown<'env>; 7]) -> Result<'env, Unknown<'env>> {
    let is_made = match with(env, &update, |update: &ParsedUpdate| update.schema.clone())? {
        // Of several calls: no error of one.
        Some(schema) => schema.check_made(env, &value, "")?,
        None => true,
    };
    raw::to_js(env, is_made)
}

/// `(value, update, shown) → value`, or a promise of it: what was read, if it passes the schema of the update.
fn check_read<'env>(
    env: &'env Env,
    [value, update, shown, ..]: [Unknown<'env>; 7],
) -> Result<'env, Unknown<'env>> {
    match with(env, &update, |update: &ParsedUpdate| update.schema.clone())? {
        Some(schema) => schema.check_read(env, &value, &copy::text(env, &shown)?),
        None => Ok(value),
    }
}

/// `(update, update) → boolean`: whether the options are the same, but for `initial`.
fn is_same<'env>(env: &'env Env, [one, other, ..]: [Unknown<'env>; 7]) -> Result<'env, Unknown<'env>> {
    let is_same = |one: &ParsedUpdate| with(env, &other, |other: &ParsedUpdate| one.is_like(other));
    let is_same = with(env, &one, is_same)??;
    raw::to_js(env, is_same)
}

/// `(value, snapshot | undefined, update, shown) → data`
fn stringify<'env>(
    env: &'env Env,
    [value, snapshot, update, shown, ..]: [Unknown<'env>; 7],
) -> Result<'env, Unknown<'env>> {
    let ParsedUpdate { options, format, .. } = with(env, &update, ParsedUpdate::clone)?;
    let shown = copy::text(env, &shown)?;
    let print = |snapshot: Option<&Snapshot>| {
        let previous = snapshot.map_or(Previous::None, |known| Previous::Parsed(&known.text));
        format.stringify(env, &value, previous, options.space.as_ref(), &shown)
    };
    let text = match is_handle(&snapshot) {
        true => with(env, &snapshot, |index: &Locked| print(index.as_read()))?,
        false => print(None),
    }?;
    make(env, Arc::new(data::text(env, &text)?))
}

/// `(cancel)`
fn cancel<'env>(env: &'env Env, [cancel, ..]: [Unknown<'env>; 7]) -> Result<'env, Unknown<'env>> {
    with(env, &cancel, Cancel::cancel)?;
    Ok(raw::undefined(env))
}

/// `(signal) → AbortError`
fn aborted<'env>(env: &'env Env, [signal, ..]: [Unknown<'env>; 7]) -> Result<'env, Unknown<'env>> {
    Ok(abort(env, Some(raw::get(env, &signal, c"reason")?)).0)
}

/// `(name, expected, value) → TypeError`
fn wrong_type<'env>(
    env: &'env Env,
    [name, expected, value, ..]: [Unknown<'env>; 7],
) -> Result<'env, Unknown<'env>> {
    let (name, expected) = (copy::text(env, &name)?, copy::text(env, &expected)?);
    Ok(args::wrong_type(env, &name, &expected, &value).0)
}

/// `(code, shown, waited) → Error`
fn failure<'env>(
    env: &'env Env,
    [code, shown, waited, ..]: [Unknown<'env>; 7],
) -> Result<'env, Unknown<'env>> {
    let shown = copy::text(env, &shown)?;
    let code = copy::text(env, &code)?;
    let error: Error = match code.as_str() {
        "ERR_ATOMIC_CONFLICT" => ErrorKind::Conflict.into(),
        "EEXIST" => Error::taken(),
        "ENOENT" => Error::missing(),
        _ => {
            let waited = Duration::from_millis(raw::from_js::<f64>(env, &waited).unwrap_or(0.0) as u64);
            let blocker = if code == "earlier" { Blocker::EarlierCall } else { Blocker::Changes };
            Timeout::new(waited, blocker, None, &PathBuf::from(&shown)).into()
        }
    };
    let Thrown(error) = from_engine(env, &error, &shown, || None);
    Ok(error)
}

/// Since the first call. Not `performance`, which programs replace, tests above all.
fn now() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// `(ms, fn) → timer`: not `setTimeout`, for the same reason.
fn after<'env>(env: &'env Env, [ms, function, ..]: [Unknown<'env>; 7]) -> Result<'env, Unknown<'env>> {
    let time = Duration::from_secs_f64(raw::from_js::<f64>(env, &ms).unwrap_or(0.0) / 1000.0);
    let function = Kept::new(env, &function)?;
    let timer = task::after(env, time, move |env| {
        // The script's functions do not throw; in an environment that is ending nothing can be called.
        drop(function.get(env).and_then(|function| raw::call(env, &raw::undefined(env), &function, &[])));
    });
    match timer {
        Some(timer) => make(env, timer),
        None => Ok(raw::undefined(env)),
    }
}

/// `(timer)`
fn stop<'env>(env: &'env Env, [timer, ..]: [Unknown<'env>; 7]) -> Result<'env, Unknown<'env>> {
    if is_handle(&timer) {
        drop(take::<Timer>(env, &timer)?);
    }
    Ok(raw::undefined(env))
}

/// `(fn)`: called when the event loop has turned.
fn turn<'env>(env: &'env Env, [function, ..]: [Unknown<'env>; 7]) -> Result<'env, Unknown<'env>> {
    let function = Kept::new(env, &function)?;
    task::later(env, move |env| {
        drop(function.get(env).and_then(|function| raw::call(env, &raw::undefined(env), &function, &[])));
    });
    Ok(raw::undefined(env))
}

/// What the script has for the steps of a call; `undefined` if nobody wants to know them.
fn traced(env: &Env, steps: Option<Arc<Steps>>) -> Result<'_, Unknown<'_>> {
    steps.map_or_else(|| Ok(raw::undefined(env)), |steps| make(env, steps))
}

fn steps_of<'env>(env: &'env Env, handle: &Unknown<'_>) -> Result<'env, Option<Arc<Steps>>> {
    if is_handle(handle) { with(env, handle, |steps: &Arc<Steps>| Some(steps.clone())) } else { Ok(None) }
}

/// `(own, shared)`: what was done for a call together with others.
fn add_steps<'env>(env: &'env Env, [own, shared, ..]: [Unknown<'env>; 7]) -> Result<'env, Unknown<'env>> {
    if let (Some(own), Some(shared)) = (steps_of(env, &own)?, steps_of(env, &shared)?) {
        own.add(&shared);
    }
    Ok(raw::undefined(env))
}

/// `(steps, start)`: starts a job that these steps are of.
fn timed<'env>(env: &'env Env, [steps, start, ..]: [Unknown<'env>; 7]) -> Result<'env, Unknown<'env>> {
    let steps = steps_of(env, &steps)?;
    steps::scope(steps.as_ref(), || raw::call(env, &raw::undefined(env), &start, &[]))
}

/// `(calls)`: so many were committed together.
fn committed<'env>(env: &'env Env, [calls, ..]: [Unknown<'env>; 7]) -> Result<'env, Unknown<'env>> {
    stats::transacted(position(env, &calls));
    Ok(raw::undefined(env))
}
