//! Finding the files of transactions, for `found.js`.

use std::sync::Arc;

use engine::data::Data;
use engine::process::drop_later;
use engine::transaction::job::{Find, FindJob};
use engine::transaction::session::{Files, Session};
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::error::from_engine;
use crate::js::task;
use crate::js::transaction::jobs::{Args, path, some};
use crate::js::transaction::textual;
use crate::js::value::handle::{self, flag, is_handle, make, take, with};
use crate::js::value::raw;
use crate::js::value::raw::list;
use crate::js::value::thrown::Result;

/// `(root, [[file, mkdir, isDirectory]], session | undefined, files | undefined) → [session, [position | Error], [position | null]]`: with a session
/// that goes on, and with the positions among the files of another one.
pub fn find<'env>(
    env: &'env Env,
    [root, files, session, known, ..]: Args<'env>,
) -> Result<'env, Unknown<'env>> {
    let root = path(env, &root)?;
    let session = is_handle(&session).then(|| take::<Session>(env, &session)).transpose()?;
    let known = is_handle(&known).then(|| with(env, &known, Files::clone)).transpose()?;
    let (mut finds, mut shown) = (Vec::new(), Vec::new());
    for file in list(env, &files)? {
        let [file, mkdir, is_directory] = some(env, &file)?;
        let file = path(env, &file)?;
        shown.push(file.shown);
        finds.push(Find {
            path: file.absolute,
            mkdir: flag(env, &mkdir),
            is_directory: flag(env, &is_directory),
        });
    }
    task::answer(env, FindJob::new(root.absolute, finds, session, known), move |env, found| {
        let found = found.map_err(|error| from_engine(env, &error, &root.shown, || None))?;
        let mut files = Vec::new();
        for (file, shown) in found.files.iter().zip(&shown) {
            files.push(match file {
                Ok(at) => raw::to_js(env, *at as f64)?,
                Err(error) => from_engine(env, error, shown, || None).0,
            });
        }
        let known = found.known.iter().map(|at| match at {
            Some(at) => raw::to_js(env, *at as f64),
            None => raw::null(env),
        });
        let known = raw::array(env, &known.collect::<Result<'_, Vec<_>>>()?)?;
        raw::array(env, &[make(env, found.session)?, raw::array(env, &files)?, known])
    })
}

/// `(session) → keys`, for functions that run while the session has its turns, or is about to take them.
pub fn keys<'env>(env: &'env Env, [session, ..]: Args<'env>) -> Result<'env, Unknown<'env>> {
    let keys = with(env, &session, Session::keys)?;
    make::<Arc<[_]>>(env, keys.into())
}

/// `(session) → files`, which another session may have too.
pub fn files<'env>(env: &'env Env, [session, ..]: Args<'env>) -> Result<'env, Unknown<'env>> {
    make(env, with(env, &session, Session::files)?)
}

/// `(files | index | data)`: lets go what nobody has taken.
pub fn forget<'env>(env: &'env Env, [known, ..]: Args<'env>) -> Result<'env, Unknown<'env>> {
    handle::forget::<Files>(env, &known);
    handle::forget::<textual::Locked>(env, &known);
    if let Some(data) = handle::forget::<Arc<Data>>(env, &known) {
        let size = data.size();
        drop_later(data, size);
    }
    Ok(raw::undefined(env))
}
