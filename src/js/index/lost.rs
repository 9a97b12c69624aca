//! What a function returns, and JSON would lose without a word: a `Map`, a `Set`, an iterator becomes `{}`.

use std::cell::Cell;
use std::ptr;

use napi::bindgen_prelude::Unknown;
use napi::{Env, JsValue as _, ValueType, sys};

use crate::js::value::copy;
use crate::js::value::raw::{self, Kept};
use crate::js::value::thrown::{Result, invalid_return};

const SCRIPT: &str = include_str!("lost.js");

/// Refuses an index of which JSON would keep nothing.
///
/// # Errors
/// `ERR_INVALID_RETURN_VALUE`, which says what to return instead.
pub fn check_index<'env>(env: &'env Env, index: &Unknown<'_>) -> Result<'env, ()> {
    if is_plain(env, index) { Ok(()) } else { check(env, index, false) }
}

/// Refuses an index if something in it would be lost. `text`: what JSON makes of it.
///
/// # Errors
/// As [`check_index`].
pub fn check_contents<'env>(env: &'env Env, index: &Unknown<'_>, text: &Unknown<'_>) -> Result<'env, ()> {
    // All that is lost is written in this way.
    let nothing = raw::to_js(env, "{}")?;
    let found = raw::invoke(env, text, c"includes", &[nothing])?;
    if raw::from_js::<bool>(env, &found) == Some(false) { Ok(()) } else { check(env, index, true) }
}

fn check<'env>(env: &'env Env, index: &Unknown<'_>, is_deep: bool) -> Result<'env, ()> {
    let is_deep = raw::to_js(env, is_deep)?;
    // What fails is a getter's or a proxy's doing, which JSON.stringify has met too, or nested too deep for a look.
    let Ok(lost) = raw::call(env, &raw::undefined(env), &script(env)?, &[*index, is_deep]) else {
        return Ok(());
    };
    if raw::type_of(&lost) != ValueType::String {
        return Ok(());
    }
    Err(invalid_return(env, &copy::text(env, &lost)?, None))
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
    /// The environment's function, made once. Not a `Kept`: the thread outlives its environment.
    static COMPILED: Cell<(sys::napi_env, sys::napi_ref)> = const { Cell::new((ptr::null_mut(), ptr::null_mut())) };
}

fn script(env: &Env) -> Result<'_, Unknown<'_>> {
    let (of, reference) = COMPILED.get();
    if of == env.raw() {
        return raw::referenced(env, reference);
    }
    let source = raw::to_js(env, SCRIPT)?;
    // SAFETY: a string of the current scope.
    let function = raw::value(env, |raw| unsafe { sys::napi_run_script(env.raw(), source.raw(), raw) })?;
    COMPILED.set((env.raw(), Kept::new(env, &function)?.into_raw()));
    Ok(function)
}
