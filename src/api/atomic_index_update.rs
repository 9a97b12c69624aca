//! `atomicIndexUpdate`: read, change and replace a JSON file, one process at a time.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};
use napi_derive::napi;

use super::options::{Checked, WriteOptions, WriteResult, milliseconds};
use crate::engine::index::UpdateOptions as EngineOptions;
use crate::engine::json::Layout;
use crate::engine::queue::Ticket;
use crate::js::error::{Failure, from_failure, invalid_return};
use crate::js::index_job::{CommitJob, Committed, OpenJob, Opened, Release};
use crate::js::signal::Signal;
use crate::js::task;
use crate::js::value::{self, Kept, Result, Thrown};
use crate::js::{args, error, promise};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Options of {@link atomicIndexUpdate}; `mode`, `flush`, `verify`, `mkdir` and `signal` are those of
/// {@link atomicWrite}.
#[napi(
    object,
    object_to_js = false,
    js_name = "UpdateOptions<T = any> extends Pick<WriteOptions, 'mode' | 'flush' | 'verify' | 'mkdir' | 'signal'>"
)]
#[derive(Default)]
pub struct UpdateOptions<'env> {
    /// What `fn` is given when the file does not exist. It is copied as JSON at the call, so that one
    /// value can serve many calls.
    ///
    /// @default undefined
    #[napi(ts_type = "T")]
    pub initial: Option<Unknown<'env>>,
    /// `JSON.stringify`'s.
    ///
    /// @default the file's own indent, else 2
    #[napi(ts_type = "number | string")]
    pub space: Option<Unknown<'env>>,
    /// Keep the version before this one: as `${path}.backup`, or under the given name. It costs no
    /// copy: the old file is linked. It is not touched when nothing is written.
    ///
    /// @default false
    #[napi(ts_type = "boolean | PathLike")]
    pub backup: Option<Unknown<'env>>,
    /// Milliseconds to wait for the index, from the call: for earlier calls of this process, then for
    /// other processes.
    ///
    /// @default 30_000
    #[napi(ts_type = "number")]
    pub timeout: Option<Unknown<'env>>,
}

/// What an update did.
#[napi(object, object_from_js = false, js_name = "UpdateResult extends WriteResult")]
pub struct UpdateResult {
    /// Milliseconds from the call until the index was ours.
    pub lock_wait_ms: f64,
    /// How many updates shared this commit.
    pub batch_size: u32,
}

/// Changes a JSON file, and never loses an update: any number of calls, worker threads and processes
/// may do it at once, and each works on what the one before it left.
///
/// `fn` gets the parsed index and returns the next one; the same object, changed in place, is fine.
/// It may be async, and it may run again for one call (when somebody changed the file without the
/// lock): it must have no side effects. What it throws is what the caller catches, the very same
/// value. Whatever goes wrong, the file is untouched then and the lock is free.
///
/// The text is written as by {@link atomicWrite}; text that equals the file's is not written again.
/// Indent and final newline stay as they are in the file. Waiting costs no thread, and a holder that
/// is killed holds nobody up. While an update runs, `.NAME.lock` lies beside the file.
///
/// Rejects as {@link atomicWrite} does, and with
/// - `ERR_ATOMIC_CORRUPT_INDEX`: the file is not JSON (an empty one is not); `offset`, `line` and
///   `column` say where. Its bytes are never overwritten;
/// - `ERR_ATOMIC_LOCK_TIMEOUT`: the index was not ours within `timeout`;
/// - `ERR_INVALID_RETURN_VALUE`: `fn` returned no object or array, or one that is not JSON.
///
/// Not promised: anything about programs that change the file without this function, other than
/// that their changes are noticed until right before the rename. Do not wait inside `fn` for another
/// update of the same file: that waits for this one.
#[napi(
    ts_generic_types = "T = any",
    ts_args_type = "path: PathLike, fn: (index: T) => T | Promise<T>, options?: UpdateOptions<T> | null",
    ts_return_type = "Promise<UpdateResult>"
)]
pub fn atomic_index_update<'env>(
    env: &'env Env,
    path: Unknown<'env>,
    update: Unknown<'env>,
    options: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    promise::answer(env, start(env, &path, &update, &options))
}

/// One call, for as long as it takes.
struct Call {
    update: Kept,
    shown: String,
    initial: Option<Vec<u16>>,
    space: Option<Space>,
    engine: EngineOptions,
    signal: Signal,
    deadline: Option<Instant>,
}

enum Space {
    Number(f64),
    Text(String),
}

fn start<'env>(env: &'env Env, path: &Unknown<'_>, update: &Unknown<'_>, options: &Unknown<'env>) -> Result<'env, Unknown<'env>> {
    let since = Instant::now();
    let path = args::path(env, "path", path)?;
    args::function(env, "fn", update)?;
    let own = args::options::<UpdateOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    let shared = args::options::<WriteOptions<'_>>(env, "of type Object", options)?.unwrap_or_default();
    let shared = WriteOptions { encoding: None, flag: None, if_changed: None, ..shared };
    let Checked { commit, mkdir } = shared.check(env)?;
    let backup = backup(env, own.backup.as_ref(), &path)?;
    let timeout = milliseconds(env, "options.timeout", own.timeout.as_ref(), DEFAULT_TIMEOUT)?;
    let initial = own.initial.as_ref().map(|initial| snapshot(env, initial)).transpose()?;
    let space = own.space.as_ref().map(|given| space(env, given)).transpose()?;
    let signal = Signal::attach(env, shared.signal.as_ref())?;
    let cancel = signal.cancel();
    let job = OpenJob::new(path.absolute, mkdir, Ticket::take(), since, timeout, cancel);
    let call = Call {
        update: Kept::new(env, update)?,
        shown: path.shown,
        initial,
        space,
        engine: EngineOptions { commit, backup },
        signal,
        deadline: since.checked_add(timeout),
    };
    task::start(env, job, move |env, outcome| match outcome {
        Ok(opened) => run(env, Rc::new(call), opened),
        Err(failure) => Err(call.failed(env, &failure)),
    })
}

fn backup<'env>(env: &'env Env, given: Option<&Unknown<'_>>, path: &args::FilePath) -> Result<'env, Option<PathBuf>> {
    match given {
        None => Ok(None),
        Some(given) if value::type_of(given) == ValueType::Boolean => {
            let wanted = args::boolean(env, "options.backup", Some(given), false)?;
            let mut beside = path.absolute.clone().into_os_string();
            beside.push(".backup");
            Ok(wanted.then(|| beside.into()))
        }
        Some(given) => Ok(Some(args::path(env, "options.backup", given)?.absolute)),
    }
}

/// A value as JSON, so that neither a later change nor `fn` itself can alter it.
fn snapshot<'env>(env: &'env Env, initial: &Unknown<'_>) -> Result<'env, Vec<u16>> {
    let json = value::global(env, c"JSON")?;
    let text = value::invoke(env, &json, c"stringify", &[*initial])?;
    match value::type_of(&text) {
        ValueType::String => value::utf16(env, &text),
        _ => Err(args::wrong_value(env, "options.initial", "must be JSON", initial)),
    }
}

fn space<'env>(env: &'env Env, given: &Unknown<'_>) -> Result<'env, Space> {
    match value::type_of(given) {
        ValueType::Number => Ok(Space::Number(value::from_js(env, given).unwrap_or_default())),
        ValueType::String => value::text(env, given).map(Space::Text),
        _ => Err(args::wrong_type(env, "options.space", "of type number or string", given)),
    }
}

/// Calls `fn` and commits what it returns. Whatever fails, the lock is free before the caller hears
/// of it.
fn run<'env>(env: &'env Env, call: Rc<Call>, opened: Opened) -> Result<'env, Unknown<'env>> {
    let opened = Rc::new(Cell::new(Some(opened)));
    let result = apply(env, &call, &opened).and_then(|next| {
        if !is_thenable(env, &next)? {
            return commit(env, &call, &opened, &next);
        }
        let promise = value::invoke(env, &value::global(env, c"Promise")?, c"resolve", &[next])?;
        let promise = call.signal.race(env, promise)?;
        let (call, opened) = (call.clone(), opened.clone());
        promise::then(env, &promise, move |env, next| commit(env, &call, &opened, &next))
    });
    let unsettled = match (result, opened.take()) {
        // The commit has it.
        (result, None) => return result,
        (result, still) => {
            opened.set(still);
            promise::of(env, result)?
        }
    };
    // `fn` may reject, or what it resolves to may be of no use.
    promise::finally(env, &unsettled, move |env| match opened.take() {
        Some(opened) => {
            call.signal.detach(env)?;
            task::start(env, Release(opened), |env, _| Ok(value::undefined(env)))
        }
        None => Ok(value::undefined(env)),
    })
}

/// `fn(index)`.
fn apply<'env>(env: &'env Env, call: &Call, opened: &Rc<Cell<Option<Opened>>>) -> Result<'env, Unknown<'env>> {
    let Some(holder) = opened.take() else { return Err(error::internal(env, "an update without its index")) };
    let text = match (&holder.snapshot, &call.initial) {
        (Some(snapshot), _) => Some(value::string(env, snapshot.as_str(), holder.ascii)),
        (None, Some(initial)) => Some(value::string_utf16(env, initial)),
        (None, None) => None,
    };
    opened.set(Some(holder));
    let index = match text {
        Some(text) => {
            let json = value::global(env, c"JSON")?;
            value::invoke(env, &json, c"parse", &[text?])?
        }
        None => value::undefined(env),
    };
    value::call(env, &value::undefined(env), &call.update.get(env)?, &[index])
}

fn is_thenable<'env>(env: &'env Env, value: &Unknown<'_>) -> Result<'env, bool> {
    match value::type_of(value) {
        ValueType::Object => Ok(value::type_of(&value::get(env, value, c"then")?) == ValueType::Function),
        _ => Ok(false),
    }
}

/// Writes the next index; begins again if the file has changed meanwhile.
fn commit<'env>(
    env: &'env Env,
    call: &Rc<Call>,
    opened: &Rc<Cell<Option<Opened>>>,
    next: &Unknown<'_>,
) -> Result<'env, Unknown<'env>> {
    if call.signal.cancel().is_cancelled() {
        return Err(error::abort(env, call.signal.reason(env)));
    }
    let text = stringify(env, call, opened, next)?;
    let Some(holder) = opened.take() else { return Err(error::internal(env, "an update without its index")) };
    let waited = holder.waited;
    let job = CommitJob::new(holder, text, call.engine.clone(), call.deadline, call.signal.cancel());
    let call = call.clone();
    task::start(env, job, move |env, outcome| match outcome {
        Ok(Committed::Written(receipt)) => {
            call.signal.detach(env)?;
            let write = value::to_js(env, WriteResult::from(receipt))?;
            let update = UpdateResult { lock_wait_ms: waited.as_secs_f64() * 1000.0, batch_size: 1 };
            let update = value::to_js(env, update)?;
            value::invoke(env, &value::global(env, c"Object")?, c"assign", &[write, update])
        }
        Ok(Committed::Changed(opened)) => run(env, call, opened),
        Err(failure) => Err(call.failed(env, &failure)),
    })
}

/// The text of the next index, in the layout of the last.
fn stringify<'env>(
    env: &'env Env,
    call: &Call,
    opened: &Rc<Cell<Option<Opened>>>,
    next: &Unknown<'_>,
) -> Result<'env, Vec<u16>> {
    if value::type_of(next) != ValueType::Object {
        let message = format!("The function must return an object or an array. Received {}", args::describe(env, next));
        return Err(invalid_return(env, &message, None));
    }
    let holder = opened.take();
    let Layout { indent, newline } = holder.as_ref().map(|holder| holder.layout.clone()).unwrap_or_default();
    opened.set(holder);
    let space = match &call.space {
        Some(Space::Number(space)) => value::to_js(env, *space)?,
        Some(Space::Text(space)) => value::to_js(env, space.as_str())?,
        None => value::to_js(env, indent)?,
    };
    let json = value::global(env, c"JSON")?;
    let not_json = |cause: Option<Thrown<'env>>| invalid_return(env, "What the function returned is not JSON", cause);
    let text = match value::invoke(env, &json, c"stringify", &[*next, value::null(env)?, space]) {
        Ok(text) if value::type_of(&text) == ValueType::String => text,
        Ok(_) => return Err(not_json(None)),
        Err(cause) => return Err(not_json(Some(cause))),
    };
    let mut units = value::utf16(env, &text)?;
    // A `toJSON` can make anything of an object.
    if !matches!(units.first(), Some(&first) if first == u16::from(b'{') || first == u16::from(b'[')) {
        return Err(not_json(None));
    }
    if newline {
        units.push(u16::from(b'\n'));
    }
    Ok(units)
}

impl Call {
    fn failed<'env>(&self, env: &'env Env, failure: &Failure) -> Thrown<'env> {
        match self.signal.detach(env) {
            Ok(()) => from_failure(env, failure, &self.shown, &self.signal),
            Err(thrown) => thrown,
        }
    }
}
