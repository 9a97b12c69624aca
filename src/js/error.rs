//! Errors as JavaScript is to see them: the system's in the shape of `node:fs`, our own with a code.

use std::ffi::CStr;
use std::ptr;

use napi::bindgen_prelude::{ToNapiValue, Unknown};
use napi::{Env, JsValue as _, sys};

use super::signal::Signal;
use super::value::{self, Thrown};
use crate::engine::error::{Error, ErrorKind};

/// Why a call is rejected.
#[derive(Debug)]
pub enum Failure {
    /// The engine failed.
    Engine(Error),
    /// An argument turned out to be wrong only after a closer look, on a worker.
    Argument {
        /// What is wrong.
        message: String,
        /// Of which entry of a batch.
        entry: Option<usize>,
    },
}

impl Failure {
    /// Whether the new file has its name nevertheless.
    pub fn is_committed(&self) -> bool {
        matches!(self, Self::Engine(error) if error.committed())
    }

    /// Whether a text is to blame, and not the world.
    pub fn is_invalid_json(&self) -> bool {
        matches!(self, Self::Engine(error) if matches!(error.kind(), ErrorKind::InvalidJson { .. }))
    }

    /// The same failure, of the entry at this position in a batch.
    pub fn of_entry(self, entry: usize) -> Self {
        match self {
            Self::Engine(error) => Self::Engine(error.of_entry(entry)),
            Self::Argument { message, .. } => Self::Argument { message, entry: Some(entry) },
        }
    }

    /// Which entry of a batch failed.
    pub fn entry(&self) -> Option<usize> {
        match self {
            Self::Engine(error) => error.entry(),
            Self::Argument { entry, .. } => *entry,
        }
    }
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
///
/// Nothing in here asks for errors: in an environment that is ending every call fails, and telling of
/// that would need an error again. What cannot be made is `undefined`, and nobody is left to see it.
fn create<'env>(env: &'env Env, class: Class, message: &str) -> Thrown<'env> {
    let (mut text, mut raw, code) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: `message` is valid UTF-8 of that length, `text` is a string if the first call says so,
    // and a null code means none.
    let status = unsafe {
        match sys::napi_create_string_utf8(
            env.raw(),
            message.as_ptr().cast(),
            message.len() as isize,
            &mut text,
        ) {
            sys::Status::napi_ok if class == Class::Error => {
                sys::napi_create_error(env.raw(), code, text, &mut raw)
            }
            sys::Status::napi_ok => sys::napi_create_type_error(env.raw(), code, text, &mut raw),
            failed => failed,
        }
    };
    if status != sys::Status::napi_ok {
        return Thrown(value::undefined(env));
    }
    // SAFETY: the call succeeded.
    Thrown(unsafe { Unknown::from_raw_unchecked(env.raw(), raw) })
}

impl<'env> Thrown<'env> {
    /// With the error that led to this one, if there was one.
    pub fn caused_by(self, env: &'env Env, cause: Option<Self>) -> Self {
        match cause {
            Some(cause) => self.with(env, c"cause", cause.0),
            None => self,
        }
    }

    /// Tells which entry of a batch failed.
    pub fn of_entry(self, env: &'env Env, entry: usize) -> Self {
        self.with(env, c"entry", entry as f64)
    }

    fn with<T: ToNapiValue>(self, env: &'env Env, name: &CStr, property: T) -> Self {
        // SAFETY: on the thread of `env`; the values belong to the current scope, `name` ends in a NUL.
        unsafe {
            if let Ok(property) = T::to_napi_value(env.raw(), property) {
                sys::napi_set_named_property(env.raw(), self.0.raw(), name.as_ptr(), property);
            }
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

/// A method that does not go with what was done before.
pub fn invalid_state<'env>(env: &'env Env, message: &str) -> Thrown<'env> {
    create(env, Class::Error, &format!("Invalid state: {message}")).with(env, c"code", "ERR_INVALID_STATE")
}

/// What `fn` returned is not an index.
pub fn invalid_return<'env>(env: &'env Env, message: &str, cause: Option<Thrown<'env>>) -> Thrown<'env> {
    type_error(env, "ERR_INVALID_RETURN_VALUE", message).caused_by(env, cause)
}

/// As Node's own: `AbortError`, `ABORT_ERR`, and the signal's reason as the cause.
pub fn abort<'env>(env: &'env Env, reason: Option<Unknown<'env>>) -> Thrown<'env> {
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
pub fn from_engine<'env>(env: &'env Env, error: &Error, path: &str) -> Thrown<'env> {
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
                ErrorKind::Verify { offset: Some(offset) } => thrown.with(env, c"offset", *offset as f64),
                ErrorKind::CorruptIndex { offset, line, column, .. } => thrown
                    .with(env, c"offset", *offset as f64)
                    .with(env, c"line", *line as f64)
                    .with(env, c"column", *column as f64),
                ErrorKind::Duplicate { first } => thrown.with(env, c"duplicateOf", *first as f64),
                _ => thrown,
            }
        }
    };
    let thrown = match error.replaced() {
        Some(replaced) => thrown.with(env, c"replaced", replaced as f64),
        None => thrown,
    };
    if error.committed() { thrown.with(env, c"committed", true) } else { thrown }
}

/// Why a call about `path` failed, for the reaction that rejects its promise.
pub fn from_failure<'env>(env: &'env Env, failure: &Failure, path: &str, signal: &Signal) -> Thrown<'env> {
    let thrown = match failure {
        Failure::Engine(error) if matches!(error.kind(), ErrorKind::Aborted) => {
            return abort(env, signal.reason(env));
        }
        Failure::Engine(error) => from_engine(env, error, path),
        Failure::Argument { message, .. } => type_error(env, "ERR_INVALID_ARG_VALUE", message),
    };
    match failure.entry() {
        Some(entry) => thrown.of_entry(env, entry),
        None => thrown,
    }
}
