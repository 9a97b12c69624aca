//! Watching an index: a script over `node:fs`, because all of it is about events and iteration.
//!
//! A file is replaced by giving its name to another one, and a watch on the old one says nothing after that. So directories are
//! watched: that of the file, and those that decide where its path leads.

use std::cell::RefCell;
use std::rc::Rc;

use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};

use crate::js::index::format::Format;
use crate::js::index::read::Read;
use crate::js::index::schema::Schema;
use crate::js::value::once::{Once, run_script};
use crate::js::value::path::unsupported;
use crate::js::value::{FilePath, Kept, Result, Signal, Thrown, promise, raw, thrown};

const SCRIPTS: [&str; 2] = [include_str!("places.js"), include_str!("watch.js")];

/// What to watch, and how.
pub struct WatchArgs<'env> {
    /// The index.
    pub path: FilePath,
    /// Reads it.
    pub read: Read,
    /// What parses and prints it.
    pub format: Format,
    /// What it has to be like.
    pub schema: Option<Schema>,
    /// Whether a missing file counts as something.
    pub has_initial: bool,
    /// The user's function for what is broken, or `undefined`.
    pub on_error: Unknown<'env>,
    /// What the caller gave.
    pub signal: Option<Unknown<'env>>,
}

/// An async iterator of the versions of an index. Nothing is watched before its first step.
pub fn start<'env>(env: &'env Env, args: WatchArgs<'env>) -> Result<'env, Unknown<'env>> {
    let WatchArgs { path, read, format, schema, has_initial, on_error, signal } = args;
    let exports = script(env, &path.shown)?;
    // A character for each byte: a name need not be UTF-8.
    let bytes: String =
        path.absolute.as_os_str().as_encoded_bytes().iter().map(|byte| *byte as char).collect();
    let native = raw::object(env)?;
    raw::define(env, &native, c"shown", &raw::to_js(env, path.shown.as_str())?)?;
    let read = promise::callback(env, "read", move |env, []| read(env, ""))?;
    raw::define(env, &native, c"read", &read)?;
    let print = promise::callback(env, "print", move |env, [value]| format.print(env, &value))?;
    raw::define(env, &native, c"print", &print)?;
    let check = promise::callback(env, "check", move |env, [value]| match &schema {
        Some(schema) => schema.check_read(env, &value, &path.shown),
        None => Ok(value),
    })?;
    raw::define(env, &native, c"check", &check)?;
    listening(env, &native, signal)?;
    let (bytes, has_initial) = (raw::to_js(env, bytes)?, raw::to_js(env, has_initial)?);
    raw::invoke(env, &exports, c"watch", &[native, bytes, has_initial, on_error])
}

/// Gives `native` what it takes to heed a signal.
fn listening<'env>(env: &'env Env, native: &Unknown<'env>, given: Option<Unknown<'env>>) -> Result<'env, ()> {
    let given = given.map(|given| raw::KeptAny::new(env, &given)).transpose()?;
    let signal = Rc::new(RefCell::new(Signal::default()));
    let (aborted, unlisten) = (signal.clone(), signal.clone());
    let listen = promise::callback(env, "listen", move |env, [react]| {
        let given = given.as_ref().map(|given| given.get(env)).transpose()?;
        let attached = Signal::attach(env, given.as_ref())?;
        let react = Kept::new(env, &react)?;
        attached.on_abort(move |env| {
            if let Ok(react) = react.get(env) {
                drop(raw::call(env, &raw::undefined(env), &react, &[]));
            }
        });
        signal.replace(attached);
        Ok(raw::undefined(env))
    })?;
    raw::define(env, native, c"listen", &listen)?;
    let aborted = promise::callback(env, "aborted", move |env, []| {
        let Thrown(error) = thrown::abort(env, aborted.borrow().reason(env));
        Ok(error)
    })?;
    raw::define(env, native, c"aborted", &aborted)?;
    let unlisten = promise::callback(env, "unlisten", move |env, []| {
        let attached = unlisten.take();
        attached.detach(env).map(|()| raw::undefined(env))
    })?;
    raw::define(env, native, c"unlisten", &unlisten)
}

thread_local! {
    static COMPILED: Once = const { Once::new() };
}

fn script<'env>(env: &'env Env, shown: &str) -> Result<'env, Unknown<'env>> {
    let compile = || {
        let process = raw::global(env, c"process")?;
        if raw::type_of(&raw::get(env, &process, c"getBuiltinModule")?) != ValueType::Function {
            let instead = "watchIndex needs Node.js 20.16 or newer: install that, or read the index again and again with \
                           readIndex";
            return Err(unsupported(env, instead, shown));
        }
        let modules = "const fs = process.getBuiltinModule('node:fs')\n\
                       const { basename, dirname, join, parse } = process.getBuiltinModule('node:path')\n";
        run_script(
            env,
            &format!("(() => {{ 'use strict'\n{modules}{}\nreturn {{ watch }} }})()", SCRIPTS.concat()),
        )
    };
    COMPILED.with(|compiled| compiled.get(env, compile))
}
