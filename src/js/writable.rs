//! A file as a web stream, for `pipeTo` and `stream.pipeline`.
//!
//! Closing the stream ends the content, and only that: a source may end early and look complete, so it is
//! the caller who commits.

use std::rc::Rc;

use napi::Env;
use napi::bindgen_prelude::Unknown;

use super::file::File;
use super::value::{self, Result};

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
