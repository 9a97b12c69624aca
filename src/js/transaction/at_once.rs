//! A transaction of which all is known before its files are found, as one job, for `at-once.js`.

use std::ffi::CStr;
use std::sync::Arc;

use engine::cancel::Cancel;
use engine::data::Data;
use engine::error::Error;
use engine::transaction::job::{AtOnceJob, Finding, ToWrite};
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::error::from_engine;
use crate::js::task;
use crate::js::transaction::functions::inside_of;
use crate::js::transaction::jobs::{Args, committed_object, milliseconds, path, recovered_object, some};
use crate::js::transaction::natives::Native;
use crate::js::transaction::parse::ParsedWrite;
use crate::js::value::handle::{flag, make, with};
use crate::js::value::raw;
use crate::js::value::raw::list;
use crate::js::value::thrown::Result;

/// What the script calls.
pub const NATIVES: [(&CStr, Native); 3] = [
    (c"finding", |env, _| make(env, Finding::default())),
    (c"giveUp", |env, [finding, ..]| raw::to_js(env, with(env, &finding, Finding::give_up)?)),
    (c"writeAtOnce", write_at_once),
];

/// `(root, [[file, write, data]], inside, timeout, flush, cancel, finding) → { recovered, waited, committed }`: what came of the commit, or
/// `null` if two files are one.
fn write_at_once<'env>(
    env: &'env Env,
    [root, files, inside, timeout, flush, cancel, finding]: Args<'env>,
) -> Result<'env, Unknown<'env>> {
    let root = path(env, &root)?;
    let (mut writes, mut shown) = (Vec::new(), Vec::new());
    for file in list(env, &files)? {
        let [file, write, data] = some(env, &file)?;
        let (options, mkdir) =
            with(env, &write, |(options, mkdir, _): &ParsedWrite| (options.clone(), *mkdir))?;
        let file = path(env, &file)?;
        shown.push(file.shown);
        let data = with(env, &data, Arc::<Data>::clone)?;
        writes.push(ToWrite { path: file.absolute, mkdir, data, options });
    }
    let job = AtOnceJob::new(
        root.absolute,
        writes,
        flag(env, &flush),
        inside_of(env, &inside)?,
        milliseconds(env, &timeout),
        with(env, &cancel, Cancel::clone)?,
        with(env, &finding, Finding::clone)?,
    );
    task::answer(env, job, move |env, done| {
        let name = |error: &Error| error.entry().and_then(|at| shown.get(at)).unwrap_or(&root.shown).clone();
        let done = done.map_err(|error| from_engine(env, &error, &name(&error), || None))?;
        let recovered = done.recovered.map(|recovered| recovered_object(env, &recovered)).transpose()?;
        let committed = done.committed.map(|committed| committed_object(env, committed)).transpose()?;
        raw::record(
            env,
            &[
                (c"recovered", recovered.map_or_else(|| raw::null(env), Ok)?),
                (c"waited", raw::to_js(env, done.waited.as_secs_f64() * 1000.0)?),
                (c"committed", committed.map_or_else(|| raw::null(env), Ok)?),
            ],
        )
    })
}
