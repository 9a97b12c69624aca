//! The script, compiled once in each environment.

use std::cell::Cell;
use std::ffi::CStr;
use std::ptr;

use napi::bindgen_prelude::Unknown;
use napi::{Env, JsValue as _, sys};

use crate::js::value::raw::{self, Kept};
use crate::js::value::thrown::Result;

const SCRIPT: &str = include_str!("cloud.js");

thread_local! {
    /// What the environment's script has returned. Not a `Kept`: the thread outlives its environment.
    static COMPILED: Cell<(sys::napi_env, sys::napi_ref)> = const { Cell::new((ptr::null_mut(), ptr::null_mut())) };
}

/// Calls a function of the script's.
pub fn call<'env>(env: &'env Env, name: &CStr, args: &[Unknown<'_>]) -> Result<'env, Unknown<'env>> {
    raw::invoke(env, &exports(env)?, name, args)
}

fn exports(env: &Env) -> Result<'_, Unknown<'_>> {
    let (of, reference) = COMPILED.get();
    if of == env.raw() {
        return raw::referenced(env, reference);
    }
    let source = raw::to_js(env, SCRIPT)?;
    // SAFETY: a string of the current scope.
    let exports = raw::value(env, |raw| unsafe { sys::napi_run_script(env.raw(), source.raw(), raw) })?;
    COMPILED.set((env.raw(), Kept::new(env, &exports)?.into_raw()));
    Ok(exports)
}
