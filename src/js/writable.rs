//! A file as a web stream, for `pipeTo` and `stream.pipeline`.
//!
//! Closing the stream ends the content, and only that: a source may end early and look complete, so it is
//! the caller who commits.

use std::rc::Rc;

use napi::Env;
use napi::bindgen_prelude::Unknown;

use super::file::File;
use super::value::{self, Result};

/// Whether a stream may hold something back, or has lost it: then what the file has is not all of its content.
pub fn is_in_use<'env>(env: &'env Env, stream: &Unknown<'_>) -> Result<'env, bool> {
    if value::from_js(env, &value::get(env, stream, c"locked")?) != Some(false) {
        return Ok(true);
    }
    let writer = value::invoke(env, stream, c"getWriter", &[])?;
    // `null` after a failure.
    let room = value::from_js::<f64>(env, &value::get(env, &writer, c"desiredSize")?);
    value::invoke(env, &writer, c"releaseLock", &[])?;
    Ok(room.is_none_or(|room| room <= 0.0))
}

/// `new WritableStream({ write, close, abort })`. It keeps the file alive.
pub fn stream<'env>(env: &'env Env, file: &Rc<File>) -> Result<'env, Unknown<'env>> {
    let sink = value::object(env)?;
    let writes = file.clone();
    let write = value::function(env, "write", move |env, chunk| writes.write(env, &chunk, None))?;
    let closes = file.clone();
    let close = value::function(env, "close", move |env, _| closes.end(env))?;
    let aborts = file.clone();
    let abort = value::function(env, "abort", move |env, _| aborts.dispose(env))?;
    for (name, method) in [(c"write", write), (c"close", close), (c"abort", abort)] {
        value::define(env, &sink, name, &method)?;
    }
    value::construct(env, &value::global(env, c"WritableStream")?, &[sink])
}
