//! What the script calls. Each function throws what it fails with.

use std::cell::RefCell;
use std::ffi::CStr;
use std::rc::Rc;

use engine::job::DropJob;
use engine::lines::{Item, Lost, OpenLinesJob, Piece, ReadLinesJob, Reader};
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::error::from_engine;
use crate::js::index::lost;
use crate::js::task;
use crate::js::value::handle::{flag, make, position, with};
use crate::js::value::thrown::{LONGEST, Result};
use crate::js::value::{FilePath, args, copy, promise, raw};

type Native = for<'env> fn(&'env Env, [Unknown<'env>; 3]) -> Result<'env, Unknown<'env>>;

/// An open file; `None` while a job has it, and once it is closed.
type Open = Rc<RefCell<Option<Reader>>>;

/// All that the script may call.
pub fn object(env: &Env) -> Result<'_, Unknown<'_>> {
    let object = raw::object(env)?;
    let natives: &[(&'static CStr, Native)] = &[
        (c"wrongType", args::make_wrong_type),
        (c"wrongValue", args::make_wrong_value),
        (c"checkLost", check_lost),
        (c"open", open),
        (c"next", next),
        (c"place", place),
        (c"close", close),
    ];
    for (name, native) in natives {
        let function = promise::callback(env, &name.to_string_lossy(), *native)?;
        raw::define(env, &object, name, &function)?;
    }
    Ok(object)
}

/// `(name, value, text)`
fn check_lost<'env>(env: &'env Env, [name, value, text]: [Unknown<'env>; 3]) -> Result<'env, Unknown<'env>> {
    lost::check_argument(env, &copy::text(env, &name)?, &value, &text)?;
    Ok(raw::undefined(env))
}

/// `(file, isJson) → reader`
fn open<'env>(env: &'env Env, [file, json, _]: [Unknown<'env>; 3]) -> Result<'env, Unknown<'env>> {
    let path = with(env, &file, FilePath::clone)?;
    let job = OpenLinesJob { path: path.absolute, json: flag(env, &json), longest: LONGEST };
    task::start(env, job, move |env, opened| match opened {
        Ok(reader) => make::<Open>(env, Rc::new(RefCell::new(Some(reader)))),
        Err(error) => Err(from_engine(env, &error, &path.shown, || None)),
    })
}

/// `(reader, file) → [[line or what is none], places, isLast]`
fn next<'env>(env: &'env Env, [reader, file, _]: [Unknown<'env>; 3]) -> Result<'env, Unknown<'env>> {
    let open = with(env, &reader, Open::clone)?;
    let shown = with(env, &file, |path: &FilePath| path.shown.clone())?;
    let Some(reader) = open.take() else {
        return raw::array(env, &[raw::array(env, &[])?, raw::undefined(env), raw::to_js(env, true)?]);
    };
    task::start(env, ReadLinesJob(reader), move |env, read| match read {
        Ok((reader, piece)) => {
            open.replace(Some(reader));
            answer(env, &piece)
        }
        Err(error) => Err(from_engine(env, &error, &shown, || None)),
    })
}

fn answer<'env>(env: &'env Env, piece: &Piece) -> Result<'env, Unknown<'env>> {
    let (mut items, mut places) = (Vec::with_capacity(piece.items.len()), Vec::new());
    for item in &piece.items {
        let (shown, place) = match item {
            Item::Line(range, place) => {
                let text = piece.text(range);
                (copy::string(env, text, text.is_ascii())?, place)
            }
            Item::Lost(place, why) => (torn(env, *place, why.word())?, place),
        };
        items.push(shown);
        places.push(*place);
    }
    let items = raw::array(env, &items)?;
    raw::array(env, &[items, make::<Vec<Lost>>(env, places)?, raw::to_js(env, piece.is_last)?])
}

fn torn<'env>(env: &'env Env, place: Lost, reason: &str) -> Result<'env, Unknown<'env>> {
    let torn = raw::object(env)?;
    for (name, number) in [(c"line", place.line), (c"offset", place.offset), (c"bytes", place.bytes)] {
        raw::define(env, &torn, name, &raw::to_js(env, number as f64)?)?;
    }
    raw::define(env, &torn, c"reason", &raw::to_js(env, reason)?)?;
    Ok(torn)
}

/// `(places, at) → what to tell of a line that is no JSON`
fn place<'env>(env: &'env Env, [places, at, _]: [Unknown<'env>; 3]) -> Result<'env, Unknown<'env>> {
    let at = position(env, &at);
    let place = with(env, &places, |places: &Vec<Lost>| places.get(at).copied())?;
    place.map_or_else(|| Ok(raw::undefined(env)), |place| torn(env, place, "json"))
}

/// `(reader)`
fn close<'env>(env: &'env Env, [reader, ..]: [Unknown<'env>; 3]) -> Result<'env, Unknown<'env>> {
    if let Some(reader) = with(env, &reader, Open::clone)?.take() {
        task::run(env, DropJob(reader), |_, _| {})?;
    }
    Ok(raw::undefined(env))
}
