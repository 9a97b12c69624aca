//! `keep: 'value'` in transactions, by the means of `index/keep`: what is frozen and kept, and why that is right, is said in `index/group/value`.

use std::ffi::CStr;
use std::sync::Arc;

use engine::data::Data;
use engine::index::document::Operation;
use engine::index::text::next_edition;
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::index::codec::Previous;
use crate::js::index::json;
use crate::js::index::keep::{self, Compared};
use crate::js::index::schema::Schema;
use crate::js::transaction::natives::Native;
use crate::js::transaction::parse::ParsedUpdate;
use crate::js::transaction::textual::Locked;
use crate::js::value::handle::{change, flag, make, position, with};
use crate::js::value::{Result, copy, data, raw};

/// What the script calls.
pub const NATIVES: [(&CStr, Native); 7] = [
    (c"storedValue", stored_value),
    (c"freeze", |env, [value, ..]| keep::freeze(env, &value).map(|_| value)),
    (c"passOn", pass_on),
    (c"thaw", thaw),
    (c"unchanged", unchanged),
    (c"nextOfKept", next_of_kept),
    (c"keepValue", keep_value),
];

/// What is to be written of a value that will be kept.
pub enum Content {
    /// All of it.
    Text(Arc<Data>),
    /// What makes the next text of the one that was read.
    Edits(Vec<Operation>),
}

/// `(index, update, shown) → [value, isPrinted, canBeKept]`: frozen. `isPrinted`: all of it is printed as its text.
fn stored_value<'env>(
    env: &'env Env,
    [index, update, shown, ..]: [Unknown<'env>; 7],
) -> Result<'env, Unknown<'env>> {
    let ParsedUpdate { options, initial, format, .. } = with(env, &update, ParsedUpdate::clone)?;
    let shown = copy::text(env, &shown)?;
    change(env, &index, Locked::put_back)?;
    with(env, &index, |index: &Locked| {
        let text = index.as_read().map(|known| &known.text);
        let edition = text.and_then(|text| text.edition);
        let kept = edition.map(|edition| keep::take(env, edition, options.numbers)).transpose()?.flatten();
        let is_printed = kept.is_some();
        let (value, can_be_kept) = match kept {
            Some(kept) => (kept, true),
            None => {
                let parsed = format.parse(env, text, initial.as_deref(), options.numbers, &shown)?;
                let is_whole = keep::freeze(env, &parsed)?;
                // What is there without a file, each call says for itself.
                (parsed, is_whole && text.is_some() && raw::is_object(&parsed))
            }
        };
        raw::array(env, &[value, raw::to_js(env, is_printed)?, raw::to_js(env, can_be_kept)?])
    })?
}

/// `(given | undefined, made, update) → value`: what a function has made of a frozen value, for the next one: frozen as well.
fn pass_on<'env>(
    env: &'env Env,
    [given, made, update, ..]: [Unknown<'env>; 7],
) -> Result<'env, Unknown<'env>> {
    let numbers = with(env, &update, |update: &ParsedUpdate| update.options.numbers)?;
    let given = raw::is_object(&given).then_some(&given);
    let next = keep::pass_on(env, given, &made, numbers)?;
    Schema::pass_on(env, &made, &next)?;
    Ok(next)
}

/// `(value, update) → value`: a copy that can be changed of what a function has made of a frozen value, or was given.
fn thaw<'env>(env: &'env Env, [value, update, ..]: [Unknown<'env>; 7]) -> Result<'env, Unknown<'env>> {
    let numbers = with(env, &update, |update: &ParsedUpdate| update.options.numbers)?;
    let copy = json::round_trip(env, &value, numbers)?;
    Schema::pass_on(env, &value, &copy)?;
    Ok(copy)
}

/// `(given, copy, next, update) → value`: see [`keep::unchanged`].
fn unchanged<'env>(
    env: &'env Env,
    [given, copy, next, update, ..]: [Unknown<'env>; 7],
) -> Result<'env, Unknown<'env>> {
    let format = with(env, &update, |update: &ParsedUpdate| update.format.clone())?;
    Ok(keep::unchanged(env, &format, &given, &copy, &next)?.unwrap_or(next))
}

/// `(stored, isPrinted, made, index, update, shown) → [content, edition, next, size] | undefined`: what is to be written of what functions have made
/// of the value of the text that was read, and what is kept then. `undefined`: nothing is kept.
fn next_of_kept<'env>(
    env: &'env Env,
    [stored, is_printed, made, index, update, shown, ..]: [Unknown<'env>; 7],
) -> Result<'env, Unknown<'env>> {
    let ParsedUpdate { options, format, .. } = with(env, &update, ParsedUpdate::clone)?;
    let space = options.space.as_ref();
    if !keep::can_be_kept(space) {
        return Ok(raw::undefined(env));
    }
    let Some(Compared { next, edits, added }) = keep::compare(env, &stored, &made, options.numbers)? else {
        return Ok(raw::undefined(env));
    };
    let shown = copy::text(env, &shown)?;
    change(env, &index, Locked::put_back)?;
    let (content, size) = with(env, &index, |index: &Locked| {
        let text = index.as_read().map(|known| &known.text);
        match text {
            Some(text) if flag(env, &is_printed) && keep::can_edit(text, space) => {
                Ok((Content::Edits(edits), text.json().len() + added))
            }
            text => {
                let previous = text.map_or(Previous::None, Previous::Parsed);
                let printed = format.stringify(env, &next, previous, space, &shown)?;
                let text = data::text(env, &printed)?;
                let size = text.size();
                Ok((Content::Text(Arc::new(text)), size))
            }
        }
    })??;
    raw::array(
        env,
        &[make(env, content)?, raw::to_js(env, next_edition() as f64)?, next, raw::to_js(env, size as f64)?],
    )
}

/// `(edition, update, size, value)`: keeps the value of the text that was written under this edition.
fn keep_value<'env>(
    env: &'env Env,
    [edition, update, size, value, ..]: [Unknown<'env>; 7],
) -> Result<'env, Unknown<'env>> {
    let numbers = with(env, &update, |update: &ParsedUpdate| update.options.numbers)?;
    let edition = position(env, &edition) as u64;
    keep::keep(env, edition, numbers, position(env, &size), &value, false)?;
    Ok(raw::undefined(env))
}
