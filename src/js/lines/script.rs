//! The script, compiled once in each environment.

use std::cell::Cell;
use std::ptr;

use napi::bindgen_prelude::Unknown;
use napi::{Env, JsValue as _, sys};

use crate::js::lines::natives;
use crate::js::value::handle::{make, position};
use crate::js::value::raw::{self, Kept};
use crate::js::value::thrown::Result;
use crate::js::value::{FilePath, Thrown};

const SCRIPT: &str = include_str!("lines.js");

thread_local! {
    /// What the environment's script has returned. Not a `Kept`: the thread outlives its environment.
    static COMPILED: Cell<(sys::napi_env, sys::napi_ref)> = const { Cell::new((ptr::null_mut(), ptr::null_mut())) };
}

/// Lines as a caller gives them as one text, and how many there are.
///
/// # Errors
/// A `TypeError` for what is no line.
pub fn joined<'env>(env: &'env Env, lines: &Unknown<'_>, json: bool) -> Result<'env, (Unknown<'env>, usize)> {
    let joined = raw::invoke(env, &exports(env)?, c"joined", &[*lines, raw::to_js(env, json)?])?;
    let joined = raw::list(env, &joined)?;
    let [text, count] = std::array::from_fn(|at| joined.get(at).copied().unwrap_or(raw::undefined(env)));
    Ok((text, position(env, &count)))
}

/// The async iterable of the lines of a file.
pub fn read<'env>(
    env: &'env Env,
    path: FilePath,
    json: bool,
    on_torn: Unknown<'env>,
) -> Result<'env, Unknown<'env>> {
    let shown = raw::to_js(env, path.shown.as_str())?;
    let args = [make(env, path)?, raw::to_js(env, json)?, on_torn, shown];
    raw::invoke(env, &exports(env)?, c"read", &args)
}

/// An async iterable whose first step is rejected.
pub fn failing<'env>(env: &'env Env, Thrown(error): Thrown<'env>) -> Result<'env, Unknown<'env>> {
    raw::invoke(env, &exports(env)?, c"failing", &[error])
}

fn exports(env: &Env) -> Result<'_, Unknown<'_>> {
    let (of, reference) = COMPILED.get();
    if of == env.raw() {
        return raw::referenced(env, reference);
    }
    let source = raw::to_js(env, SCRIPT)?;
    // SAFETY: a string of the current scope.
    let function = raw::value(env, |raw| unsafe { sys::napi_run_script(env.raw(), source.raw(), raw) })?;
    let exports = raw::call(env, &raw::undefined(env), &function, &[natives::object(env)?])?;
    COMPILED.set((env.raw(), Kept::new(env, &exports)?.into_raw()));
    Ok(exports)
}
