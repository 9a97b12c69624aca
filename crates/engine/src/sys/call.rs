//! A system call that failed, as the platform layer reports it.

use std::io;

/// A system call that failed, among the several that a function here makes.
#[derive(Debug)]
pub struct CallError {
    /// The call, by the name that `node:fs` uses for it.
    pub call: &'static str,
    /// The system's error.
    pub source: io::Error,
}

/// The result of a function that makes several system calls.
pub type CallResult<T> = Result<T, CallError>;

/// For `map_err`: the failure of this call.
pub(super) fn failed<E: Into<io::Error>>(call: &'static str) -> impl FnOnce(E) -> CallError {
    move |error| CallError { call, source: error.into() }
}
