//! The engine's errors as JavaScript is to see them: the system's in the shape of `node:fs`, our own with a code.

use std::time::UNIX_EPOCH;

use engine::error::{Error, ErrorKind, Place};
use engine::lock::holder::{Holder, Timeout};
use engine::stats;
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::value::thrown::{abort, error as plain_error, invalid_return, string_too_long, type_error};
use crate::js::value::{Result, Thrown, promise, raw};

/// Why a call about what the caller calls `path` failed, for the reaction that rejects its promise; `reason` asks
/// the caller's signal, after an abort only: it runs a getter.
pub fn from_engine<'env>(
    env: &'env Env,
    error: &Error,
    path: &str,
    reason: impl FnOnce() -> Option<Unknown<'env>>,
) -> Thrown<'env> {
    // What the caller has given or withdrawn has not failed.
    if !matches!(
        error.kind(),
        ErrorKind::Aborted | ErrorKind::InvalidJson { .. } | ErrorKind::LoneSurrogate { .. }
    ) {
        stats::failed(error.code());
    }
    let other = error.other_path().map(|other| other.to_string_lossy());
    let path = other.as_deref().unwrap_or(path);
    let advice = error.advice().map(|advice| format!(": {}", advice.text())).unwrap_or_default();
    let thrown = match error.kind() {
        ErrorKind::Aborted => return abort(env, reason()),
        ErrorKind::System { operation, dest, .. } => {
            let dest = dest.as_ref().map(|dest| dest.to_string_lossy().into_owned());
            let names = match &dest {
                Some(dest) => format!("'{path}' -> '{dest}'"),
                None => format!("'{path}'"),
            };
            let message = format!("{}: {}, {operation} {names}{advice}", error.code(), error.words());
            let thrown = plain_error(env, &message)
                .with(env, c"errno", error.errno().unwrap_or_default())
                .with(env, c"code", error.code())
                .with(env, c"syscall", *operation)
                .with(env, c"path", path);
            match dest {
                Some(dest) => thrown.with(env, c"dest", dest),
                None => thrown,
            }
        }
        ErrorKind::TooLong { size } => return string_too_long(env, path, Some(*size)),
        // Only a text that was made of a caller's value can be no JSON: by a `toJSON`, or a raw value.
        ErrorKind::InvalidJson { .. } => return invalid_return(env, &error.to_string(), None),
        ErrorKind::LoneSurrogate { index } => {
            let message = "The argument 'data' must be well-formed UTF-16 to be written as UTF-8. \
                           There is a lone surrogate at index";
            type_error(env, error.code(), &format!("{message} {index}"))
        }
        kind => {
            let thrown = plain_error(env, &format!("{}: {error}, '{path}'{advice}", error.code()))
                .with(env, c"code", error.code())
                .with(env, c"path", path);
            match kind {
                ErrorKind::Verify { offset: Some(offset) } => thrown.with(env, c"offset", *offset as f64),
                ErrorKind::NoLocks { .. } => thrown
                    .with(env, c"errno", error.errno().unwrap_or_default())
                    .with(env, c"syscall", "flock"),
                ErrorKind::CorruptIndex { place, .. } => at(env, thrown, place),
                ErrorKind::LossyIndex { place, literal } => {
                    at(env, thrown, place).with(env, c"literal", literal.as_str())
                }
                ErrorKind::LockTimeout(timeout) => held(env, thrown, timeout),
                ErrorKind::Duplicate { first } => thrown.with(env, c"duplicateOf", *first as f64),
                _ => thrown,
            }
        }
    };
    let thrown = match error.replaced() {
        Some(replaced) => thrown.with(env, c"replaced", replaced as f64),
        None => thrown,
    };
    let thrown = match error.entry() {
        Some(entry) => thrown.of_entry(env, entry),
        None => thrown,
    };
    if error.committed() { thrown.with(env, c"committed", true) } else { thrown }
}

/// For a script that makes errors of this code itself: a function that counts one.
pub fn counter<'env>(env: &'env Env, code: &'static str) -> Result<'env, Unknown<'env>> {
    promise::callback(env, "count", move |env, []: [Unknown<'_>; 0]| {
        stats::failed(code);
        Ok(raw::undefined(env))
    })
}

/// Who has the lock that a call has waited for, and where it is.
fn held<'env>(env: &'env Env, thrown: Thrown<'env>, timeout: &Timeout) -> Thrown<'env> {
    let thrown = match &timeout.lock {
        Some(lock) => thrown.with(env, c"lock", lock.to_string_lossy().into_owned()),
        None => thrown,
    };
    match timeout.holder.as_ref().map(|by| holder(env, by)) {
        Some(Ok(holder)) => thrown.with(env, c"holder", holder),
        // In an environment that is ending.
        Some(Err(Thrown(_))) | None => thrown,
    }
}

/// Who has a lock.
pub fn holder<'env>(env: &'env Env, Holder { pid, host, since }: &Holder) -> Result<'env, Unknown<'env>> {
    let holder = raw::object(env)?;
    let since = since.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let since = raw::construct(env, &raw::global(env, c"Date")?, &[raw::to_js(env, since as f64)?])?;
    raw::define(env, &holder, c"pid", &raw::to_js(env, *pid)?)?;
    raw::define(env, &holder, c"host", &raw::to_js(env, host.as_str())?)?;
    raw::define(env, &holder, c"since", &since)?;
    Ok(holder)
}

fn at<'env>(env: &'env Env, thrown: Thrown<'env>, place: &Place) -> Thrown<'env> {
    thrown.with(env, c"offset", place.offset as f64).with(env, c"line", place.line as f64).with(
        env,
        c"column",
        place.column as f64,
    )
}
