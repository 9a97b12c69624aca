//! A file as a web stream, for `pipeTo` and `stream.pipeline`.
//!
//! Closing the stream ends the content, and only that: a source may end early and look complete, so it is
//! the caller that commits.

use std::rc::Rc;

use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::file::handle::File;
use crate::js::value::thrown::type_error;
use crate::js::value::{Result, promise, raw};

/// Whether a stream may hold something back, or has lost it: then what the file has is not all of its content.
pub fn is_in_use<'env>(env: &'env Env, stream: &Unknown<'_>) -> Result<'env, bool> {
    if raw::from_js(env, &raw::get(env, stream, c"locked")?) != Some(false) {
        return Ok(true);
    }
    let writer = raw::invoke(env, stream, c"getWriter", &[])?;
    // `null` after a failure.
    let room = raw::from_js::<f64>(env, &raw::get(env, &writer, c"desiredSize")?);
    raw::invoke(env, &writer, c"releaseLock", &[])?;
    Ok(room.is_none_or(|room| room <= 0.0))
}

/// `new WritableStream({ write, close, abort })`. It keeps the file alive. `readable.pipe` is told what to call instead.
pub fn stream<'env>(env: &'env Env, file: &Rc<File>) -> Result<'env, Unknown<'env>> {
    let sink = raw::object(env)?;
    let writes = file.clone();
    let write = promise::function(env, "write", move |env, chunk| writes.write(env, &chunk, None))?;
    let closes = file.clone();
    let close = promise::function(env, "close", move |env, _| closes.end(env))?;
    let aborts = file.clone();
    let abort = promise::function(env, "abort", move |env, _| aborts.dispose(env))?;
    for (name, method) in [(c"write", write), (c"close", close), (c"abort", abort)] {
        raw::define(env, &sink, name, &method)?;
    }
    let stream = raw::construct(env, &raw::global(env, c"WritableStream")?, &[sink])?;
    // The first method of a destination that `readable.pipe` calls. A web stream has none of that name.
    let on = promise::callback(env, "on", |env, [_]| {
        Err(type_error(
            env,
            "ERR_INVALID_ARG_TYPE",
            "file.writable is a web stream, which readable.pipe() cannot write to. Call 'await \
             Readable.toWeb(readable).pipeTo(file.writable)' instead, or 'await pipeline(readable, file.writable)' of \
             'node:stream/promises', and then 'await file.commit()'",
        ))
    })?;
    raw::define(env, &stream, c"on", &on)?;
    Ok(stream)
}
