//! The values of indexes that are kept from one update to the next: the script that has them, one in each environment.

use std::ffi::CStr;

use engine::index::document::{Operation, Pointer};
use engine::index::file::Numbers;
use engine::index::layout::Space;
use engine::index::text::{self, Text};
use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};

use crate::js::index::format::Format;
use crate::js::index::{json, lost};
use crate::js::value::once::{Once, run_script};
use crate::js::value::thrown::type_error;
use crate::js::value::{Result, copy, raw};

const SCRIPT: &str = include_str!("keep.js");

/// What a function has made of a value.
pub struct Compared<'env> {
    /// The next value: frozen, and as its text says it.
    pub next: Unknown<'env>,
    /// What makes its text of the one before, if that is as it is printed.
    pub edits: Vec<Operation>,
    /// How long their texts are together.
    pub added: usize,
}

/// Freezes a value that `JSON.parse` has made. Whether it can be kept: it is not nested too deep, and `JSON.stringify` prints all of its numbers.
pub fn freeze<'env>(env: &'env Env, value: &Unknown<'_>) -> Result<'env, bool> {
    let can_be_kept = script(env, c"freezeAll", &[*value])?;
    Ok(raw::from_js(env, &can_be_kept) == Some(true))
}

/// What was made of a frozen value. `None`: that is to be printed as a whole.
///
/// # Errors
/// `ERR_INVALID_RETURN_VALUE` for what JSON would lose.
pub fn compare<'env>(
    env: &'env Env,
    old: &Unknown<'_>,
    made: &Unknown<'_>,
    numbers: Numbers,
) -> Result<'env, Option<Compared<'env>>> {
    let reviver = json::reviver(env, numbers)?.unwrap_or_else(|| raw::undefined(env));
    let found = script(env, c"compare", &[*old, *made, reviver])?;
    if raw::type_of(&found) == ValueType::Undefined {
        return Ok(None);
    }
    let parts = raw::list(env, &raw::get(env, &found, c"edits")?)?;
    let parts: Vec<_> = parts.iter().map(|part| copy::text(env, part)).collect::<Result<'_, _>>()?;
    let added = parts.chunks(3).filter_map(|edit| edit.last()).map(String::len).sum();
    let edits = parts.chunks(3).map(operation).collect::<Option<_>>();
    if raw::from_js(env, &raw::get(env, &found, c"mayLose")?) != Some(false) {
        lost::check_deep(env, made)?;
    }
    let next = raw::get(env, &found, c"next")?;
    Ok(edits.map(|edits| Compared { next, edits, added }))
}

/// What a function has made of the frozen value `given`, for the next one: as JSON has it, and frozen.
///
/// # Errors
/// As [`compare`], and for what is no JSON.
pub fn pass_on<'env>(
    env: &'env Env,
    given: Option<&Unknown<'_>>,
    made: &Unknown<'_>,
    numbers: Numbers,
) -> Result<'env, Unknown<'env>> {
    if let Some(given) = given
        && let Some(compared) = compare(env, given, made, numbers)?
    {
        return Ok(compared.next);
    }
    let copy = json::round_trip(env, made, numbers)?;
    freeze(env, &copy)?;
    Ok(copy)
}

/// A function was called with a `copy` of the frozen value `given`, and has returned `next`, which may be the copy: then it has left the value as it is.
///
/// # Errors
/// `ERR_INVALID_RETURN_VALUE`, if it has changed the copy.
pub fn unchanged<'env>(
    env: &'env Env,
    format: &Format,
    given: &Unknown<'env>,
    copy: &Unknown<'_>,
    next: &Unknown<'_>,
) -> Result<'env, Option<Unknown<'env>>> {
    // Nothing is said here of what is too deep to be printed: that is found out where it is written.
    let is_changed = format
        .print(env, given)
        .is_ok_and(|before| !format.print(env, copy).is_ok_and(|after| raw::is_same(env, &before, &after)));
    if is_changed {
        let message = "The function changed the index in place and returned it, but with options.keep it is frozen, so the changes were lost: \
                       return a new index, such as { ...index, key: value }, and use strict mode, in which a change of what is frozen throws";
        return Err(type_error(env, "ERR_INVALID_RETURN_VALUE", message));
    }
    Ok(raw::is_same(env, next, copy).then_some(*given))
}

/// Whether edits of a text make what would be printed with this `space`, if that is how the text was printed.
pub fn can_edit(text: &Text, space: Option<&Space>) -> bool {
    space.is_none_or(|space| text.layout.is_indented_by(space) && text.layout.indent.as_deref() != Some(""))
}

/// Whether the text after one that is printed with this `space` can be made of it: lines that `JSON.stringify` puts there are none that
/// the next text is laid out by.
pub fn can_be_kept(space: Option<&Space>) -> bool {
    !matches!(space, Some(Space::Text(text)) if text.contains(['\n', '\r']))
}

fn operation(edit: &[String]) -> Option<Operation> {
    let [kind, pointer, value] = edit else { return None };
    let (at, value) = (Pointer::parse(pointer).ok()?, value.as_str().into());
    match kind.as_str() {
        "set" => Some(Operation::Set { at, value }),
        "add" => Some(Operation::Add { at, value }),
        "remove" => Some(Operation::Remove { at }),
        _ => None,
    }
}

/// Keeps the value of the text that has this edition, if that text is kept too, or `is_held` by an update that goes on. `numbers`: how it was
/// parsed; `size`: how much memory the text takes.
pub fn keep<'env>(
    env: &'env Env,
    edition: u64,
    numbers: Numbers,
    size: usize,
    value: &Unknown<'_>,
    is_held: bool,
) -> Result<'env, ()> {
    let editions = text::kept_editions();
    let is_kept = is_held || editions.contains(&edition);
    let editions = editions.into_iter().map(|edition| name(env, edition)).collect::<Result<'_, Vec<_>>>()?;
    script(env, c"retain", &[raw::array(env, &editions)?])?;
    if is_kept {
        script(
            env,
            c"keep",
            &[name(env, edition)?, word(env, numbers)?, raw::to_js(env, size as f64)?, *value],
        )?;
    }
    Ok(())
}

/// The value of the text that has this edition, if it is kept and was parsed in this way. It is not kept any more then.
pub fn take(env: &Env, edition: u64, numbers: Numbers) -> Result<'_, Option<Unknown<'_>>> {
    let found = script(env, c"take", &[name(env, edition)?, word(env, numbers)?])?;
    Ok((raw::type_of(&found) != ValueType::Undefined).then_some(found))
}

fn name(env: &Env, edition: u64) -> Result<'_, Unknown<'_>> {
    raw::to_js(env, edition as f64)
}

fn word(env: &Env, numbers: Numbers) -> Result<'_, Unknown<'_>> {
    raw::to_js(env, numbers as u32)
}

thread_local! {
    static COMPILED: Once = const { Once::new() };
}

fn script<'env>(env: &'env Env, name: &CStr, args: &[Unknown<'_>]) -> Result<'env, Unknown<'env>> {
    let exports = COMPILED.with(|compiled| compiled.get(env, || run_script(env, SCRIPT)))?;
    raw::invoke(env, &exports, name, args)
}
