//! The script, compiled once in each environment.

use std::ffi::CStr;

use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::transaction::natives;
use crate::js::transaction::parse::Parse;
use crate::js::value::once::{Once, run_script};
use crate::js::value::raw;
use crate::js::value::thrown::Result;

const SCRIPTS: [&str; 10] = [
    include_str!("transaction.js"),
    include_str!("remembered.js"),
    include_str!("queue.js"),
    include_str!("found.js"),
    include_str!("kept.js"),
    include_str!("states.js"),
    include_str!("ahead.js"),
    include_str!("at-once.js"),
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
    static COMPILED: Once = const { Once::new() };
}

fn script(env: &Env, parse: Parse) -> Result<'_, Unknown<'_>> {
    let compile = || {
        let function =
            run_script(env, &format!(";(native) => {{ 'use strict'\n{}\n{EXPORTS} }}", SCRIPTS.concat()))?;
        raw::call(env, &raw::undefined(env), &function, &[natives::object(env, parse)?])
    };
    COMPILED.with(|compiled| compiled.get(env, compile))
}
