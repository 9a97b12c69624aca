//! Calling functions of users: what they are called inside of, and that calls which they make know what the transaction holds.

use std::ffi::CStr;
use std::sync::Arc;

use engine::process::inside::Function;
use engine::process::{Inside, Key};
use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};

use crate::js::error::from_engine;
use crate::js::inside::{self, Code, Context};
use crate::js::transaction::natives::Native;
use crate::js::value::handle::{is_handle, make, take, with};
use crate::js::value::thrown::Result;
use crate::js::value::{copy, raw};

/// What the script calls.
pub const NATIVES: [(&CStr, Native); 5] = [
    (c"inside", current),
    (c"checkNested", check_nested),
    (c"enter", |env, _| make(env, Context::enter(env))),
    (c"leave", leave),
    (c"call", call),
];

/// `() → inside | undefined`: what a call that is made now is made inside of; `undefined`: of nothing.
fn current<'env>(env: &'env Env, _: [Unknown<'env>; 7]) -> Result<'env, Unknown<'env>> {
    let inside = inside::current(env);
    if inside.is_none() { Ok(raw::undefined(env)) } else { make(env, inside) }
}

/// What the script has for it.
pub fn inside_of<'env>(env: &'env Env, inside: &Unknown<'_>) -> Result<'env, Inside> {
    if is_handle(inside) { with(env, inside, Inside::clone) } else { Ok(Inside::default()) }
}

/// `(shown)`: throws if a transaction may not be waited for here.
fn check_nested<'env>(env: &'env Env, [shown, ..]: [Unknown<'env>; 7]) -> Result<'env, Unknown<'env>> {
    match inside::current(env).check_nested(true) {
        Ok(()) => Ok(raw::undefined(env)),
        Err(error) => Err(from_engine(env, &error, &copy::text(env, &shown)?, || None)),
    }
}

/// `(context)`
fn leave<'env>(env: &'env Env, [context, ..]: [Unknown<'env>; 7]) -> Result<'env, Unknown<'env>> {
    take::<Context>(env, &context)?.leave(env);
    Ok(raw::undefined(env))
}

/// `(keys, inside, shown, fn, argument, given) → [result, running]`: calls that the function makes are to know that the transaction has
/// these files, until `running` is gone. `given`: the function of the caller's that it calls, if it is not that.
fn call<'env>(
    env: &'env Env,
    [keys, inside, shown, function, argument, given, ..]: [Unknown<'env>; 7],
) -> Result<'env, Unknown<'env>> {
    let keys = with(env, &keys, Arc::<[Key]>::clone)?;
    let outer = inside_of(env, &inside)?;
    let running = Function::of_transaction(keys, copy::text(env, &shown)?, outer);
    let code = Code::of(env, if raw::type_of(&given) == ValueType::Function { &given } else { &function });
    let run = if code.needs_context() { Context::run } else { Context::run_without };
    let returned = run(env, running.inside(), &function, &[argument])?;
    let is_thenable = raw::is_thenable(env, &returned)?;
    code.returned(is_thenable);
    let running = if is_thenable {
        running.promised();
        make(env, running)?
    } else {
        raw::undefined(env)
    };
    raw::array(env, &[returned, running])
}
