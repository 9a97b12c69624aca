//! Reads parts of an index.

use std::cell::RefCell;
use std::rc::Rc;

use engine::index::document::Pointer;
use engine::index::file::UpdateOptions;
use engine::index::look::{Look, LookJob, NextRecordsJob, OpenRecordsJob, Records, Wanted};
use engine::job::DropJob;
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::error::from_engine;
use crate::js::index::json;
use crate::js::index::read::{self, Read};
use crate::js::task;
use crate::js::value::handle::{make, with};
use crate::js::value::{FilePath, Result, promise, raw};

/// Records that are still to come; `None` while a job has them, and at the end.
type Open = Rc<RefCell<Option<Records>>>;

/// A read of what is wanted at `pointer`: it promises an object with the `value`, and says as `source` whether there is a file.
pub fn once(path: FilePath, options: UpdateOptions, pointer: Pointer, wanted: Wanted) -> Read {
    Rc::new(move |env, suffix| {
        let shown = format!("{}{suffix}", path.shown);
        let numbers = options.numbers;
        let file = read::with_suffix(&path.absolute, suffix);
        let job = LookJob::new(file, options.clone(), pointer.clone(), wanted);
        task::start(env, job, move |env, looked| {
            let looked = looked.map_err(|error| from_engine(env, &error, &shown, || None))?;
            let source = if matches!(looked, Look::Missing) { "initial" } else { "file" };
            let value = match looked {
                Look::Found(text) => json::parse(env, Some(&text), None, numbers)?,
                Look::Missing | Look::Nothing => raw::undefined(env),
            };
            let found = raw::record(env, &[(c"value", value), (c"source", raw::to_js(env, source)?)])?;
            // A search through backups writes to it.
            raw::invoke(env, &raw::global(env, c"Object")?, c"assign", &[raw::object(env)?, found])
        })
    })
}

/// The async iterable of the records of the container at `pointer`.
pub fn records<'env>(
    env: &'env Env,
    path: FilePath,
    options: UpdateOptions,
    pointer: Pointer,
) -> Result<'env, Unknown<'env>> {
    let numbers = options.numbers;
    let shown = path.shown.clone();
    let open = promise::callback(env, "open", move |env, []: [Unknown<'_>; 0]| {
        let (path, shown) = (path.absolute.clone(), path.shown.clone());
        let job = OpenRecordsJob { path, options: options.clone(), pointer: pointer.clone() };
        task::start(env, job, move |env, opened| match opened {
            Ok(Some(records)) => make::<Open>(env, Rc::new(RefCell::new(Some(records)))),
            Ok(None) => Ok(raw::undefined(env)),
            Err(error) => Err(from_engine(env, &error, &shown, || None)),
        })
    })?;
    let next = promise::callback(env, "next", move |env, [reader]| {
        let (open, shown) = (with(env, &reader, Open::clone)?, shown.clone());
        let Some(records) = open.take() else {
            return raw::array(env, &[raw::array(env, &[])?, raw::to_js(env, true)?]);
        };
        task::start(env, NextRecordsJob(records), move |env, read| {
            let (records, text, is_last) = read.map_err(|error| from_engine(env, &error, &shown, || None))?;
            open.replace(Some(records));
            raw::array(env, &[json::parse(env, Some(&text), None, numbers)?, raw::to_js(env, is_last)?])
        })
    })?;
    let close = promise::callback(env, "close", move |env, [reader]| {
        if let Some(records) = with(env, &reader, Open::clone)?.take() {
            task::run(env, DropJob(records), |_, _| {})?;
        }
        Ok(raw::undefined(env))
    })?;
    raw::invoke(env, &read::exports(env)?, c"records", &[open, next, close])
}
