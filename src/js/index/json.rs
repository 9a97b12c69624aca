//! An index as text and as a value.

use engine::index::file::Numbers;
use engine::index::layout::{Layout, Space};
use engine::index::number;
use engine::index::text::Text;
use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};

use crate::js::index::lost;
use crate::js::value::thrown::{Thrown, invalid_return, string_too_long};
use crate::js::value::{Result, args, copy, promise, raw};

/// `JSON.parse` of what the index says, or without one of `initial`; `undefined` without either. With `numbers` to be
/// kept, those that JavaScript would change become raw ones.
pub fn parse<'env>(
    env: &'env Env,
    index: Option<&Text>,
    initial: Option<&[u16]>,
    numbers: Numbers,
) -> Result<'env, Unknown<'env>> {
    let text = match (index, initial) {
        (Some(index), _) => copy::string(env, index.json(), index.ascii)?,
        (None, Some(initial)) => copy::string_utf16(env, initial)?,
        (None, None) => return Ok(raw::undefined(env)),
    };
    let numbers = if index.is_none_or(|index| index.keeps_digits) { numbers } else { Numbers::Lossy };
    parse_string(env, text, numbers)
}

/// `JSON.parse` of a text without a byte order mark.
pub fn parse_text<'env>(env: &'env Env, text: &str, numbers: Numbers) -> Result<'env, Unknown<'env>> {
    parse_string(env, copy::string(env, text, text.is_ascii())?, numbers)
}

fn parse_string<'env>(env: &'env Env, text: Unknown<'_>, numbers: Numbers) -> Result<'env, Unknown<'env>> {
    let arguments: Vec<_> = [Some(text), reviver(env, numbers)?].into_iter().flatten().collect();
    raw::invoke(env, &raw::global(env, c"JSON")?, c"parse", &arguments)
}

/// What a function has made, as it comes back from its text.
///
/// # Errors
/// As [`stringify()`].
pub fn round_trip<'env>(env: &'env Env, made: &Unknown<'_>, numbers: Numbers) -> Result<'env, Unknown<'env>> {
    let layout = Layout { indent: None, ..Layout::default() };
    let text = stringify(env, made, None, &layout, "")?;
    parse_string(env, text, numbers)
}

/// What `JSON.parse` needs to keep the digits of numbers, if they are to be kept.
pub fn reviver(env: &Env, numbers: Numbers) -> Result<'_, Option<Unknown<'_>>> {
    (numbers == Numbers::Exact).then(|| digit_keeper(env)).transpose()
}

/// The argument `name` as JSON, so that neither a later change nor the user's function can alter it.
///
/// # Errors
/// `ERR_INVALID_ARG_VALUE` for what is no JSON, or would lose something.
pub fn snapshot<'env>(env: &'env Env, name: &str, value: &Unknown<'_>) -> Result<'env, Vec<u16>> {
    match raw::invoke(env, &raw::global(env, c"JSON")?, c"stringify", &[*value]) {
        Ok(text) if raw::type_of(&text) == ValueType::String => {
            lost::check_argument(env, name, value, &text)?;
            copy::utf16(env, &text)
        }
        not_json => {
            let error = args::wrong_value(env, name, "must be a value that JSON.stringify can write", value);
            Err(error.caused_by(env, not_json.err()))
        }
    }
}

/// Whether V8 can keep the digits of a number.
pub fn can_keep_digits(env: &Env) -> Result<'_, bool> {
    let raw_json = raw::get(env, &raw::global(env, c"JSON")?, c"rawJSON")?;
    Ok(raw::type_of(&raw_json) == ValueType::Function)
}

/// A reviver for `JSON.parse` that makes raw numbers of those that JavaScript would change.
fn digit_keeper(env: &Env) -> Result<'_, Unknown<'_>> {
    promise::callback(env, "keepDigits", |env, [_, value, context]| {
        if raw::type_of(&value) != ValueType::Number {
            return Ok(value);
        }
        let source = raw::get(env, &context, c"source")?;
        if !number::changes(&copy::text(env, &source)?, Numbers::Exact) {
            return Ok(value);
        }
        raw::invoke(env, &raw::global(env, c"JSON")?, c"rawJSON", &[source])
    })
}

/// `JSON.stringify(index, null, space)`: a string, by default indented as its file is.
///
/// # Errors
/// `ERR_INVALID_RETURN_VALUE` for what is no JSON, `ERR_STRING_TOO_LONG`; `shown` is what the caller calls the file.
pub fn stringify<'env>(
    env: &'env Env,
    index: &Unknown<'_>,
    space: Option<&Space>,
    layout: &Layout,
    shown: &str,
) -> Result<'env, Unknown<'env>> {
    let space = match space {
        Some(Space::Number(space)) => raw::to_js(env, *space)?,
        Some(Space::Text(space)) => raw::to_js(env, space.as_str())?,
        None => raw::to_js(env, layout.space())?,
    };
    let json = raw::global(env, c"JSON")?;
    let text = raw::invoke(env, &json, c"stringify", &[*index, raw::null(env)?, space]).map_err(|cause| {
        if is_too_long(env, &cause) {
            return string_too_long(env, shown, None);
        }
        let reason = first_line_of(env, &cause).map(|line| format!(": {line}")).unwrap_or_default();
        invalid_return(env, &format!("The new index cannot be written as JSON{reason}"), Some(cause))
    })?;
    // A `toJSON` can make anything of an object.
    let is_index = raw::type_of(&text) == ValueType::String
        && matches!(copy::first_unit(env, &text)?, Some(0x5b | 0x7b));
    if !is_index {
        let message =
            "The new index cannot be written as JSON: its toJSON makes neither an object nor an array of it";
        return Err(invalid_return(env, message, None));
    }
    lost::check_contents(env, index, &text)?;
    Ok(text)
}

/// Of the message of an error. (V8's of a value that has itself in it goes on for lines.)
fn first_line_of(env: &Env, Thrown(error): &Thrown<'_>) -> Option<String> {
    let message = raw::get(env, error, c"message").ok()?;
    let text = (raw::type_of(&message) == ValueType::String).then(|| copy::text(env, &message).ok())??;
    text.lines().next().filter(|line| !line.is_empty()).map(str::to_owned)
}

/// Whether V8 has given up because a string would be longer than one can be. (Too deep an index is a `RangeError` too.)
fn is_too_long(env: &Env, Thrown(error): &Thrown<'_>) -> bool {
    let message = raw::get(env, error, c"message").and_then(|message| copy::text(env, &message));
    message.is_ok_and(|message| message == "Invalid string length")
}
