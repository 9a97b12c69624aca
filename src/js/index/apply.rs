//! The user's function: it is given the index, and returns the next one.

use std::sync::Arc;

use engine::process::Key;
use engine::process::inside::Function;
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::index::call::{Call, Request};
use crate::js::inside::Context;
use crate::js::value::Result;

/// `fn(index)`, or `fn(index, run)`. Calls that it makes are to know that it is waited for, and that the call has what these `keys` are for.
/// `needs_context`: also those that it makes after it has returned.
pub fn call<'env>(
    env: &'env Env,
    call: &Call,
    function: &Unknown<'env>,
    index: &Unknown<'env>,
    keys: Arc<[Key]>,
    needs_context: bool,
) -> Result<'env, Unknown<'env>> {
    let Request { shown, inside, .. } = &call.request;
    let running = Function::of_update(keys, shown.clone(), inside.clone());
    let inside = running.inside();
    call.running.set(Some(running));
    call.attempts.set(call.attempts.get() + 1);
    let told = call.stop.argument(env, function, call.attempts.get())?;
    let both = [*index, told.unwrap_or(*index)];
    let arguments = if told.is_some() { &both[..] } else { &both[..1] };
    let run = if needs_context { Context::run } else { Context::run_without };
    run(env, inside, function, arguments)
}
