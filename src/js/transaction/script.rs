//! The script, compiled once in each environment.

use std::cell::Cell;
use std::ffi::CStr;
use std::ptr;

use napi::bindgen_prelude::Unknown;
use napi::{Env, JsValue as _, sys};

use crate::js::transaction::natives;
use crate::js::transaction::parse::Parse;
use crate::js::value::raw::{self, Kept};
use crate::js::value::thrown::Result;

const SCRIPTS: [&str; 5] = [
    include_str!("transaction.js"),
    include_str!("queue.js"),
    include_str!("states.js"),
    include_str!("group.js"),
    include_str!("calls.js"),
];
const EXPORTS: &str =
    "return { atomicTransaction, beginTransaction, snapshotRead, snapshotReadIndex, recover }";

/// A function of the script's.
#[derive(Clone, Copy, Debug)]
pub enum Exported {
    /// `atomicTransaction`
    Transaction,
    /// `beginTransaction`
    Begin,
    /// `snapshotRead`
    SnapshotRead,
    /// `snapshotReadIndex`
    SnapshotReadIndex,
    /// `recover`
    Recover,
}

impl Exported {
    fn name(self) -> &'static CStr {
        match self {
            Self::Transaction => c"atomicTransaction",
            Self::Begin => c"beginTransaction",
            Self::SnapshotRead => c"snapshotRead",
            Self::SnapshotReadIndex => c"snapshotReadIndex",
            Self::Recover => c"recover",
        }
    }
}

/// Calls a function of the script's, which answers with a promise.
pub fn call<'env>(
    env: &'env Env,
    parse: Parse,
    exported: Exported,
    args: &[Unknown<'_>],
) -> Result<'env, Unknown<'env>> {
    raw::invoke(env, &script(env, parse)?, exported.name(), args)
}

thread_local! {
    /// What the environment's script has returned. Not a `Kept`: the thread outlives its environment.
    static COMPILED: Cell<(sys::napi_env, sys::napi_ref)> = const { Cell::new((ptr::null_mut(), ptr::null_mut())) };
}

fn script(env: &Env, parse: Parse) -> Result<'_, Unknown<'_>> {
    let (of, reference) = COMPILED.get();
    if of == env.raw() {
        return raw::referenced(env, reference);
    }
    let source =
        raw::to_js(env, format!(";(native) => {{ 'use strict'\n{}\n{EXPORTS} }}", SCRIPTS.concat()))?;
    // SAFETY: a string of the current scope.
    let function = raw::value(env, |raw| unsafe { sys::napi_run_script(env.raw(), source.raw(), raw) })?;
    let exports = raw::call(env, &raw::undefined(env), &function, &[natives::object(env, parse)?])?;
    COMPILED.set((env.raw(), Kept::new(env, &exports)?.into_raw()));
    Ok(exports)
}
