//! What `index.js` needs to publish calls on channels; not public.

use napi::Env;
use napi::bindgen_prelude::Unknown;
use napi_derive::napi;

use crate::js::steps;
use crate::js::value::promise;

/// The steps of a call that is to be made.
#[napi(skip_typescript)]
pub fn new_steps(env: &Env) -> napi::Result<Unknown<'_>> {
    promise::or_throw(env, steps::new(env))
}

/// Makes that call.
#[napi(skip_typescript)]
pub fn within_steps<'env>(
    env: &'env Env,
    steps: Unknown<'env>,
    call: Unknown<'env>,
) -> napi::Result<Unknown<'env>> {
    promise::or_throw(env, steps::within(env, &steps, &call))
}

/// How long they took.
#[napi(skip_typescript)]
pub fn read_steps<'env>(env: &'env Env, steps: Unknown<'env>) -> napi::Result<Unknown<'env>> {
    promise::or_throw(env, steps::read(env, &steps))
}
