//! How long the steps of a call take, for the script that publishes it (`src/js/observe.js`).

use std::ffi::CStr;
use std::sync::Arc;

use engine::steps::{self, Step, Steps};
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::value::thrown::Result;
use crate::js::value::{handle, raw};

/// Those of a call that is to be made.
pub fn new(env: &Env) -> Result<'_, Unknown<'_>> {
    handle::make(env, Steps::new())
}

/// `function()`, in which that call is made.
pub fn within<'env>(
    env: &'env Env,
    steps: &Unknown<'_>,
    function: &Unknown<'_>,
) -> Result<'env, Unknown<'env>> {
    let steps = handle::with(env, steps, Arc::<Steps>::clone)?;
    steps::scope(Some(&steps), || raw::call(env, &raw::undefined(env), function, &[]))
}

/// Milliseconds, of each step that the call has been in.
pub fn read<'env>(env: &'env Env, steps: &Unknown<'_>) -> Result<'env, Unknown<'env>> {
    let steps = handle::with(env, steps, Arc::<Steps>::clone)?;
    let read = raw::object(env)?;
    for step in Step::ALL {
        if let Some(took) = steps.took(step) {
            raw::define(env, &read, name(step), &raw::to_js(env, took.as_secs_f64() * 1000.0)?)?;
        }
    }
    Ok(read)
}

fn name(step: Step) -> &'static CStr {
    match step {
        Step::Resolve => c"resolve",
        Step::Queue => c"queue",
        Step::Lock => c"lock",
        Step::Stage => c"stage",
        Step::Fsync => c"fsync",
        Step::Verify => c"verify",
        Step::Rename => c"rename",
        Step::DirectoryFsync => c"directoryFsync",
    }
}
