//! A patch that a function makes after a look at the index: see `patch/view.js`.

use std::sync::Arc;

use engine::index::document::{Document, Pointer};
use engine::index::file::Numbers;
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::index::patch::class;
use crate::js::index::textual;
use crate::js::value::thrown::no_memory;
use crate::js::value::{Kept, Result, copy, promise, raw};

/// A function that makes a patch.
pub struct Maker {
    /// The caller's: given a view it makes the patch.
    pub function: Kept,
    /// The function of an update that does the same with a parsed index.
    pub same: Kept,
}

/// The function of an update that does with a parsed index what `function` makes a patch for.
pub fn update_of<'env>(
    env: &'env Env,
    function: &Unknown<'_>,
    shown: &str,
    numbers: &Unknown<'_>,
) -> Result<'env, Unknown<'env>> {
    raw::invoke(env, &class(env)?, c"updateOf", &[*function, raw::to_js(env, shown)?, *numbers])
}

/// The function that is given what [`find`] looks with, and makes the patch.
pub fn maker_of<'env>(
    env: &'env Env,
    function: &Unknown<'_>,
    numbers: Numbers,
) -> Result<'env, Unknown<'env>> {
    let parse = match numbers {
        Numbers::Exact => promise::callback(env, "parse", move |env, [text]| {
            textual::parse(env, &copy::text(env, &text)?, numbers)
        })?,
        Numbers::Strict | Numbers::Lossy => raw::undefined(env),
    };
    raw::invoke(env, &class(env)?, c"makerOf", &[*function, parse])
}

/// What is known of the records of a parsed index is not to be believed any more: others than patches may have changed it.
pub fn forget_records(env: &Env, index: &Unknown<'_>) {
    // Fails only in an environment that is ending.
    drop(class(env).and_then(|class| raw::invoke(env, &class, c"forgetRecords", &[*index])));
}

/// `(kind, pointer, key, value)`: what a text says, as JSON texts.
pub fn find<'env>(
    env: &'env Env,
    document: &mut Document,
    [kind, pointer, key, value]: [Unknown<'env>; 4],
    numbers: Numbers,
) -> Result<'env, Unknown<'env>> {
    // It was looked at by the script.
    let Ok(pointer) = Pointer::parse(&copy::text(env, &pointer)?) else { return Ok(raw::undefined(env)) };
    match raw::from_js::<u32>(env, &kind) {
        Some(0) => match document.value_at(&pointer).map_err(|_| no_memory(env))? {
            Some(text) => raw::to_js(env, &*text),
            None => Ok(raw::undefined(env)),
        },
        Some(1) => match document.count_at(&pointer).map_err(|_| no_memory(env))? {
            Some(count) => raw::to_js(env, u32::try_from(count).unwrap_or(u32::MAX)),
            None => Ok(raw::undefined(env)),
        },
        _ => {
            let (key, value) = (copy::text(env, &key)?, copy::text(env, &value)?);
            let found = document.records_at(&pointer, &key, &value, numbers);
            let found = found.map_err(|_| no_memory(env))?;
            let record = |(at, text): (usize, Arc<str>)| {
                let at = raw::to_js(env, u32::try_from(at).unwrap_or(u32::MAX))?;
                raw::array(env, &[at, raw::to_js(env, &*text)?])
            };
            raw::array(env, &found.into_iter().map(record).collect::<Result<'_, Vec<_>>>()?)
        }
    }
}
