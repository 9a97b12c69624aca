//! A batch of objects: the peer takes the entries over from the first on.

use std::cell::Cell;

use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};

use crate::js::cloud::{peer, script};
use crate::js::value::path::{self, unsupported};
use crate::js::value::{Iteration, Result, Target, Thrown, promise, raw};

/// Lets the peer write `first`, which was taken from `entries`, and the rest of them.
pub fn write<'env>(
    env: &'env Env,
    entries: &Iteration,
    first: Unknown<'_>,
    shown: &str,
    options: Unknown<'_>,
) -> Result<'env, Unknown<'env>> {
    let (iterator, is_async) = entries.iterator(env)?;
    let at = Cell::new(0);
    let check = promise::callback(env, "check", move |env, [entry]: [Unknown<'_>; 1]| {
        check(env, &entry, at.replace(at.get() + 1))
    })?;
    let remaining = script::call(env, c"remaining", &[iterator, raw::to_js(env, is_async)?, first, check])?;
    let close = raw::get(env, &remaining, c"close")?;
    match peer::call(env, shown, c"atomicWriteAll", &[raw::get(env, &remaining, c"entries")?, options]) {
        Ok(written) => raw::invoke(env, &raw::follow(env, &written)?, c"finally", &[close]),
        Err(error) => {
            raw::call(env, &raw::undefined(env), &close, &[])?;
            Err(error)
        }
    }
}

/// What is no entry at all is for the peer to refuse.
fn check<'env>(env: &'env Env, entry: &Unknown<'env>, at: usize) -> Result<'env, Unknown<'env>> {
    if raw::type_of(entry) == ValueType::Object
        && let Ok(Target::Local(file)) = path::target(env, "entry.path", &raw::get(env, entry, c"path")?)
    {
        return Err(mixed(env, &file.shown, at));
    }
    Ok(raw::undefined(env))
}

/// An entry that is a file among objects, or an object among files.
pub fn mixed<'env>(env: &'env Env, shown: &str, at: usize) -> Thrown<'env> {
    let instead =
        "the entries of one call are all files or all objects in stores: call atomicWriteAll once for each";
    unsupported(env, instead, shown).of_entry(env, at)
}
