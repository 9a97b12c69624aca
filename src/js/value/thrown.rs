//! What JavaScript throws or is to catch, and how our own errors are made: a value that is thrown is passed on as
//! it is, the very same, also when it is no `Error`.

use std::ffi::CStr;
use std::ptr;

use napi::bindgen_prelude::{ToNapiValue, Unknown};
use napi::{Env, JsValue as _, sys};

/// What JavaScript threw, or is to catch.
pub struct Thrown<'env>(pub Unknown<'env>);

/// The result of anything that can run JavaScript.
pub type Result<'env, T> = std::result::Result<T, Thrown<'env>>;

/// Turns the status of a call into a result; a pending exception becomes the error.
pub fn check(env: &Env, status: sys::napi_status) -> Result<'_, ()> {
    if status == sys::Status::napi_ok {
        return Ok(());
    }
    let mut exception = ptr::null_mut();
    let mut pending = false;
    // SAFETY: plain calls on the current environment, with valid places for their results.
    unsafe {
        if sys::napi_is_exception_pending(env.raw(), &mut pending) == sys::Status::napi_ok
            && pending
            && sys::napi_get_and_clear_last_exception(env.raw(), &mut exception) == sys::Status::napi_ok
        {
            return Err(Thrown(Unknown::from_raw_unchecked(env.raw(), exception)));
        }
    }
    Err(internal(env, &format!("N-API call failed: {}", napi::Status::from(status))))
}

/// `undefined`.
pub fn undefined(env: &Env) -> Unknown<'_> {
    let mut raw = ptr::null_mut();
    // SAFETY: cannot fail on a live environment.
    unsafe {
        sys::napi_get_undefined(env.raw(), &mut raw);
        Unknown::from_raw_unchecked(env.raw(), raw)
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
/// that would need an error again. An error that cannot be made becomes `undefined`, which no code is left to see.
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
        return Thrown(undefined(env));
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

    /// With a property.
    pub fn with<T: ToNapiValue>(self, env: &'env Env, name: &CStr, property: T) -> Self {
        // SAFETY: on the thread of `env`; the values belong to the current scope, `name` ends in a NUL.
        unsafe {
            if let Ok(property) = T::to_napi_value(env.raw(), property) {
                sys::napi_set_named_property(env.raw(), self.0.raw(), name.as_ptr(), property);
            }
        }
        self
    }
}

/// An `Error` without properties of its own yet.
pub fn error<'env>(env: &'env Env, message: &str) -> Thrown<'env> {
    create(env, Class::Error, message)
}

/// A bug in this library, or an environment that is going away.
pub fn internal<'env>(env: &'env Env, message: &str) -> Thrown<'env> {
    create(env, Class::Error, message).with(env, c"code", "ERR_INTERNAL_ASSERTION")
}

/// A wrong argument: `TypeError` with `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, …
pub fn type_error<'env>(env: &'env Env, code: &str, message: &str) -> Thrown<'env> {
    create(env, Class::TypeError, message).with(env, c"code", code)
}

/// There is no memory for a copy of what was given: what Node says of a buffer that cannot be made.
pub fn no_memory<'env>(env: &'env Env) -> Thrown<'env> {
    error(env, "Failed to allocate memory").with(env, c"code", "ERR_MEMORY_ALLOCATION_FAILED")
}

/// A method that does not go with what was done before.
pub fn invalid_state<'env>(env: &'env Env, message: &str) -> Thrown<'env> {
    create(env, Class::Error, &format!("Invalid state: {message}")).with(env, c"code", "ERR_INVALID_STATE")
}

/// What `fn` returned is not an index.
pub fn invalid_return<'env>(env: &'env Env, message: &str, cause: Option<Thrown<'env>>) -> Thrown<'env> {
    type_error(env, "ERR_INVALID_RETURN_VALUE", message).caused_by(env, cause)
}

/// A text that is longer than a string of V8's can be, in Node's words; `size` in bytes, if it is known.
pub fn string_too_long<'env>(env: &'env Env, path: &str, size: Option<u64>) -> Thrown<'env> {
    let what = size.map_or("the next index".to_owned(), |size| format!("an index of {size} bytes"));
    let message = format!(
        "Cannot create a string longer than {LONGEST:#x} characters, as {what} needs it: divide it among several files, \
         '{path}'"
    );
    let thrown = error(env, &message).with(env, c"code", "ERR_STRING_TOO_LONG").with(env, c"path", path);
    match size {
        Some(size) => thrown.with(env, c"size", size as f64),
        None => thrown,
    }
}

/// The longest string of V8 on 64-bit systems, in UTF-16 units: `buffer.constants.MAX_STRING_LENGTH`.
pub const LONGEST: usize = (1 << 29) - 24;

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
