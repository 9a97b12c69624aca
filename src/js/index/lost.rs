//! What a function returns or a caller gives, and JSON would lose without a word: a `Map`, a `Set`, an iterator becomes `{}`.

use napi::bindgen_prelude::Unknown;
use napi::{Env, JsValue as _, ValueType, sys};

use crate::js::value::copy;
use crate::js::value::once::{Once, run_script};
use crate::js::value::raw;
use crate::js::value::thrown::{Result, invalid_return, type_error};

const SCRIPT: &str = include_str!("lost.js");

/// What keeps nothing of it, in messages.
pub const JSON: &str = "JSON";
/// See [`JSON`].
pub const CODEC: &str = "the codec";

/// Refuses an index of which `keeper` would keep nothing.
///
/// # Errors
/// `ERR_INVALID_RETURN_VALUE`, which says what to return instead.
pub fn check_index<'env>(env: &'env Env, index: &Unknown<'_>, keeper: &str) -> Result<'env, ()> {
    if is_plain(env, index) { Ok(()) } else { returned(env, index, false, keeper) }
}

/// Refuses an index if something in it would be lost. `text`: what JSON makes of it.
///
/// # Errors
/// As [`check_index`].
pub fn check_contents<'env>(env: &'env Env, index: &Unknown<'_>, text: &Unknown<'_>) -> Result<'env, ()> {
    if may_lose(env, text)? { check_deep(env, index) } else { Ok(()) }
}

/// As [`check_contents`], of what may lose something.
///
/// # Errors
/// As [`check_index`].
pub fn check_deep<'env>(env: &'env Env, index: &Unknown<'_>) -> Result<'env, ()> {
    returned(env, index, true, JSON)
}

/// Refuses the argument `name` if something in it would be lost. `text`: what JSON makes of it.
///
/// # Errors
/// `ERR_INVALID_ARG_VALUE`, which says what to give instead.
pub fn check_argument<'env>(
    env: &'env Env,
    name: &str,
    value: &Unknown<'_>,
    text: &Unknown<'_>,
) -> Result<'env, ()> {
    if !may_lose(env, text)? {
        return Ok(());
    }
    match find(env, value, true, Some(name), JSON)? {
        Some(message) => Err(type_error(env, "ERR_INVALID_ARG_VALUE", &message)),
        None => Ok(()),
    }
}

/// Refuses what a function has returned, or the argument `name`, if a codec would lose something in it.
///
/// # Errors
/// As [`check_index`] and [`check_argument`].
pub fn check_for_codec<'env>(env: &'env Env, value: &Unknown<'_>, name: Option<&str>) -> Result<'env, ()> {
    if name.is_none() {
        return returned(env, value, true, CODEC);
    }
    match find(env, value, true, name, CODEC)? {
        Some(message) => Err(type_error(env, "ERR_INVALID_ARG_VALUE", &message)),
        None => Ok(()),
    }
}

fn may_lose<'env>(env: &'env Env, text: &Unknown<'_>) -> Result<'env, bool> {
    // All that is lost is written in this way.
    let nothing = raw::to_js(env, "{}")?;
    let found = raw::invoke(env, text, c"includes", &[nothing])?;
    Ok(raw::from_js::<bool>(env, &found) != Some(false))
}

fn returned<'env>(env: &'env Env, index: &Unknown<'_>, is_deep: bool, keeper: &str) -> Result<'env, ()> {
    match find(env, index, is_deep, None, keeper)? {
        Some(message) => Err(invalid_return(env, &message, None)),
        None => Ok(()),
    }
}

/// What would be lost, and what to do instead.
fn find<'env>(
    env: &'env Env,
    value: &Unknown<'_>,
    is_deep: bool,
    name: Option<&str>,
    keeper: &str,
) -> Result<'env, Option<String>> {
    let is_deep = raw::to_js(env, is_deep)?;
    let name = name.map_or_else(|| Ok(raw::undefined(env)), |name| raw::to_js(env, name))?;
    let keeper = raw::to_js(env, keeper)?;
    // What fails is a getter's or a proxy's doing, which JSON.stringify has met too, or nested too deep for a look.
    let Ok(lost) = raw::call(env, &raw::undefined(env), &script(env)?, &[*value, is_deep, name, keeper])
    else {
        return Ok(None);
    };
    if raw::type_of(&lost) == ValueType::String { copy::text(env, &lost).map(Some) } else { Ok(None) }
}

/// An array, or an object of no class, of whatever realm.
fn is_plain(env: &Env, value: &Unknown<'_>) -> bool {
    let mut is_array = false;
    // SAFETY: a value of the current scope.
    unsafe { sys::napi_is_array(env.raw(), value.raw(), &mut is_array) };
    let prototype = |of: &Unknown<'_>| {
        // SAFETY: a value of the current scope, and an object.
        raw::value(env, |raw| unsafe { sys::napi_get_prototype(env.raw(), of.raw(), raw) }).ok()
    };
    let is_null = |value: &Unknown<'_>| raw::type_of(value) == ValueType::Null;
    is_array
        || prototype(value)
            .is_some_and(|class| is_null(&class) || prototype(&class).is_some_and(|end| is_null(&end)))
}

thread_local! {
    static COMPILED: Once = const { Once::new() };
}

fn script(env: &Env) -> Result<'_, Unknown<'_>> {
    COMPILED.with(|compiled| compiled.get(env, || run_script(env, SCRIPT)))
}
