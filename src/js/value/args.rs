//! Arguments, checked as `node:fs` checks them and refused in its words.

use napi::bindgen_prelude::{FromNapiValue, Unknown};
use napi::{Env, ValueType};

use crate::js::value::thrown::{Result, Thrown, type_error};
use crate::js::value::{copy, raw};

/// `ERR_INVALID_ARG_TYPE`.
pub fn wrong_type<'env>(env: &'env Env, name: &str, expected: &str, got: &Unknown<'_>) -> Thrown<'env> {
    let what = if name.contains('.') { "property" } else { "argument" };
    let message = format!("The \"{name}\" {what} must be {expected}. Received {}", describe(env, got));
    type_error(env, "ERR_INVALID_ARG_TYPE", &message)
}

/// `ERR_INVALID_ARG_VALUE`.
pub fn wrong_value<'env>(env: &'env Env, name: &str, reason: &str, got: &Unknown<'_>) -> Thrown<'env> {
    let what = if name.contains('.') { "property" } else { "argument" };
    let message = format!("The {what} '{name}' {reason}. Received {}", describe(env, got));
    type_error(env, "ERR_INVALID_ARG_VALUE", &message)
}

/// An options object, read once. `undefined` and `null` mean none.
pub fn options<'env, T: FromNapiValue>(
    env: &'env Env,
    expected: &str,
    options: &Unknown<'_>,
) -> Result<'env, Option<T>> {
    match raw::type_of(options) {
        ValueType::Undefined | ValueType::Null => Ok(None),
        ValueType::Object => raw::convert(env, options).map(Some),
        _ => Err(wrong_type(env, "options", expected, options)),
    }
}

/// `true` or `false`.
pub fn boolean<'env>(
    env: &'env Env,
    name: &str,
    given: Option<&Unknown<'_>>,
    default: bool,
) -> Result<'env, bool> {
    match given {
        None => Ok(default),
        Some(given) if raw::type_of(given) == ValueType::Boolean => {
            Ok(raw::from_js(env, given).unwrap_or(default))
        }
        Some(given) => Err(wrong_type(env, name, "of type boolean", given)),
    }
}

/// # Errors
/// `ERR_INVALID_ARG_VALUE`, if a file is given what only objects in stores have: it would be ignored.
pub fn only_in_stores<'env>(env: &'env Env, name: &str, given: Option<&Unknown<'_>>) -> Result<'env, ()> {
    match given {
        None => Ok(()),
        Some(given) => Err(wrong_value(env, name, "is only for objects in stores", given)),
    }
}

/// Permission bits: a number, or a string of octal digits.
pub fn mode<'env>(env: &'env Env, given: Option<&Unknown<'_>>) -> Result<'env, Option<u32>> {
    let Some(given) = given else { return Ok(None) };
    let mode = match raw::type_of(given) {
        ValueType::Number => raw::from_js::<f64>(env, given)
            .filter(|mode| mode.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(mode))
            .map(|mode| mode as u32),
        ValueType::String => {
            u32::from_str_radix(&copy::text(env, given)?, 8).ok().filter(|mode| *mode <= 0o7777)
        }
        _ => return Err(wrong_type(env, "options.mode", "of type number or string", given)),
    };
    let octal = "must be permission bits as a number or as a string of octal digits";
    // What `fs.stat` calls a mode has the file's type in it as well.
    mode.map(|mode| Some(mode & 0o7777)).ok_or_else(|| wrong_value(env, "options.mode", octal, given))
}

/// A text, or `None` for a value that is no string.
pub fn word<'env>(env: &'env Env, given: &Unknown<'_>) -> Result<'env, Option<String>> {
    match raw::type_of(given) {
        ValueType::String => copy::text(env, given).map(Some),
        _ => Ok(None),
    }
}

/// A function.
pub fn function<'env>(env: &'env Env, name: &str, given: &Unknown<'_>) -> Result<'env, ()> {
    match raw::type_of(given) {
        ValueType::Function => Ok(()),
        _ => Err(wrong_type(env, name, "of type function", given)),
    }
}

/// An index: an object or an array.
pub fn index<'env>(env: &'env Env, name: &str, given: &Unknown<'_>) -> Result<'env, ()> {
    match raw::type_of(given) {
        ValueType::Object => Ok(()),
        _ => Err(wrong_type(env, name, "of type object", given)),
    }
}

/// A value in the words that Node uses in its messages.
pub fn describe(env: &Env, what: &Unknown<'_>) -> String {
    describe_or_throw(env, what).unwrap_or_else(|_| "a value that cannot be shown".to_owned())
}

fn describe_or_throw<'env>(env: &'env Env, what: &Unknown<'_>) -> Result<'env, String> {
    let name_of = |value: &Unknown<'_>| raw::get(env, value, c"name").and_then(|name| copy::text(env, &name));
    Ok(match raw::type_of(what) {
        ValueType::Undefined => "undefined".to_owned(),
        ValueType::Null => "null".to_owned(),
        ValueType::Function => format!("function {}", name_of(what).unwrap_or_default()),
        ValueType::Object => match raw::get(env, what, c"constructor").and_then(|class| name_of(&class)) {
            Ok(class) if !class.is_empty() => format!("an instance of {class}"),
            _ => "an object".to_owned(),
        },
        ValueType::Symbol => "type symbol".to_owned(),
        ValueType::String => {
            let text = copy::text(env, what)?;
            let short: String = text.chars().take(25).collect();
            let more = if short.len() < text.len() { "..." } else { "" };
            format!("type string ('{}'{more})", short.replace('\0', "\\x00"))
        }
        kind => {
            let name = format!("{kind:?}").to_lowercase();
            let shown = raw::call(env, &raw::undefined(env), &raw::global(env, c"String")?, &[*what])?;
            format!("type {name} ({})", copy::text(env, &shown)?)
        }
    })
}

/// For scripts: `(name, expected, given) → TypeError`
pub fn make_wrong_type<'env>(
    env: &'env Env,
    [name, expected, given]: [Unknown<'env>; 3],
) -> Result<'env, Unknown<'env>> {
    Ok(wrong_type(env, &copy::text(env, &name)?, &copy::text(env, &expected)?, &given).0)
}

/// For scripts: `(name, reason, given) → TypeError`
pub fn make_wrong_value<'env>(
    env: &'env Env,
    [name, reason, given]: [Unknown<'env>; 3],
) -> Result<'env, Unknown<'env>> {
    Ok(wrong_value(env, &copy::text(env, &name)?, &copy::text(env, &reason)?, &given).0)
}
