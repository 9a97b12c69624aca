//! The script, compiled once in each environment.

use std::ffi::CStr;

use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::value::once::{Once, run_script};
use crate::js::value::raw;
use crate::js::value::thrown::Result;

const SCRIPT: &str = include_str!("cloud.js");

thread_local! {
    static COMPILED: Once = const { Once::new() };
}

/// Calls a function of the script's.
pub fn call<'env>(env: &'env Env, name: &CStr, args: &[Unknown<'_>]) -> Result<'env, Unknown<'env>> {
    let exports = COMPILED.with(|compiled| compiled.get(env, || run_script(env, SCRIPT)))?;
    raw::invoke(env, &exports, name, args)
}
