//! Errors as JavaScript is to see them: the system's in the shape of `node:fs`, our own with a code.

use napi::{Env, JsValue as _, sys};

use super::memory;
use super::signal::Signal;
use super::value::{self, Thrown};
use crate::engine::error::{Error, ErrorKind};

/// Why a call is rejected.
#[derive(Debug)]
pub enum Failure {
    /// The engine failed.
    Engine(Error),
    /// An argument turned out to be wrong only after a closer look, on a worker.
    Argument(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl From<ErrorKind> for Failure {
    fn from(kind: ErrorKind) -> Self {
        Self::Engine(kind.into())
    }
}

/// Which constructor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Error,
    TypeError,
}

/// Made inside a promise reaction of the exported call, so that V8 adds the caller's `at async`
/// frames to the stack.
fn create<'env>(env: &'env Env, class: Class, message: &str) -> Thrown<'env> {
    let mut raw = std::ptr::null_mut();
    let Ok(text) = memory::string(env, message, false) else {
        return Thrown(value::undefined(env));
    };
    // SAFETY: `text` is a string of the current scope; a null code means none.
    let status = unsafe {
        match class {
            Class::Error => sys::napi_create_error(env.raw(), std::ptr::null_mut(), text.raw(), &mut raw),
            Class::TypeError => {
                sys::napi_create_type_error(env.raw(), std::ptr::null_mut(), text.raw(), &mut raw)
            }
        }
    };
    if status != sys::Status::napi_ok {
        return Thrown(value::undefined(env));
    }
    // SAFETY: the call succeeded.
    Thrown(unsafe { napi::Unknown::from_raw_unchecked(env.raw(), raw) })
}

impl<'env> Thrown<'env> {
    /// With the error that led to this one, if there was one.
    pub fn caused_by(self, env: &'env Env, cause: Option<Self>) -> Self {
        match cause {
            Some(cause) => self.with(env, c"cause", cause.0),
            None => self,
        }
    }

    fn with<T: napi::bindgen_prelude::ToNapiValue>(
        self,
        env: &'env Env,
        name: &std::ffi::CStr,
        property: T,
    ) -> Self {
        // A fresh error takes any property; should it ever not, the error is worth more than it.
        if let Ok(property) = value::to_js(env, property) {
            drop(value::set(env, &self.0, name, &property));
        }
        self
    }
}

/// A bug in this library, or an environment that is going away.
pub fn internal<'env>(env: &'env Env, message: &str) -> Thrown<'env> {
    create(env, Class::Error, message).with(env, c"code", "ERR_INTERNAL_ASSERTION")
}

/// A wrong argument: `TypeError` with `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, …
pub fn type_error<'env>(env: &'env Env, code: &str, message: &str) -> Thrown<'env> {
    create(env, Class::TypeError, message).with(env, c"code", code)
}

/// What `fn` returned is not an index.
pub fn invalid_return<'env>(env: &'env Env, message: &str, cause: Option<Thrown<'env>>) -> Thrown<'env> {
    type_error(env, "ERR_INVALID_RETURN_VALUE", message).caused_by(env, cause)
}

/// As Node's own: `AbortError`, `ABORT_ERR`, and the signal's reason as the cause.
pub fn abort<'env>(env: &'env Env, reason: Option<napi::Unknown<'env>>) -> Thrown<'env> {
    let error = create(env, Class::Error, "The operation was aborted").with(env, c"name", "AbortError").with(
        env,
        c"code",
        "ABORT_ERR",
    );
    match reason {
        Some(reason) => error.with(env, c"cause", reason),
        None => error,
    }
}

/// An engine's error about the file that the caller calls `path`.
fn from_engine<'env>(env: &'env Env, error: &Error, path: &str) -> Thrown<'env> {
    let other = error.other_path().map(|other| other.to_string_lossy());
    let path = other.as_deref().unwrap_or(path);
    let thrown = match error.kind() {
        ErrorKind::Aborted => return abort(env, None),
        ErrorKind::System { operation, dest, .. } => {
            let dest = dest.as_ref().map(|dest| dest.to_string_lossy().into_owned());
            let names = match &dest {
                Some(dest) => format!("'{path}' -> '{dest}'"),
                None => format!("'{path}'"),
            };
            let message = format!("{}: {}, {operation} {names}", error.code(), error.words());
            let thrown = create(env, Class::Error, &message)
                .with(env, c"errno", error.errno().unwrap_or_default())
                .with(env, c"code", error.code())
                .with(env, c"syscall", *operation)
                .with(env, c"path", path);
            match dest {
                Some(dest) => thrown.with(env, c"dest", dest),
                None => thrown,
            }
        }
        // Only what was made of a caller's value can be JSON no more: a `toJSON`, a raw value.
        ErrorKind::InvalidJson { .. } => return invalid_return(env, &error.to_string(), None),
        kind => {
            let thrown = create(env, Class::Error, &format!("{}: {error}, '{path}'", error.code()))
                .with(env, c"code", error.code())
                .with(env, c"path", path);
            match kind {
                ErrorKind::Verify { offset } => thrown.with(env, c"offset", *offset as f64),
                ErrorKind::CorruptIndex { offset, line, column, .. } => thrown
                    .with(env, c"offset", *offset as f64)
                    .with(env, c"line", *line as f64)
                    .with(env, c"column", *column as f64),
                _ => thrown,
            }
        }
    };
    if error.committed() { thrown.with(env, c"committed", true) } else { thrown }
}

/// Why a call about `path` failed, for the reaction that rejects its promise.
pub fn from_failure<'env>(env: &'env Env, failure: &Failure, path: &str, signal: &Signal) -> Thrown<'env> {
    match failure {
        Failure::Engine(error) if matches!(error.kind(), ErrorKind::Aborted) => {
            abort(env, signal.reason(env))
        }
        Failure::Engine(error) => from_engine(env, error, path),
        Failure::Argument(message) => type_error(env, "ERR_INVALID_ARG_VALUE", message),
    }
}
