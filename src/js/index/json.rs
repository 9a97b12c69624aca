//! An index as text and as a value.

use engine::index::file::Snapshot;
use engine::index::layout::{Layout, Space};
use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};

use crate::js::value::thrown::invalid_return;
use crate::js::value::{Result, copy, raw};

/// `JSON.parse` of what the file has, or without a file of `initial`; `undefined` without either.
pub fn parse<'env>(
    env: &'env Env,
    snapshot: Option<&Snapshot>,
    initial: Option<&[u16]>,
) -> Result<'env, Unknown<'env>> {
    let text = match (snapshot, initial) {
        (Some(snapshot), _) => copy::string(env, snapshot.json(), snapshot.ascii)?,
        (None, Some(initial)) => copy::string_utf16(env, initial)?,
        (None, None) => return Ok(raw::undefined(env)),
    };
    raw::invoke(env, &raw::global(env, c"JSON")?, c"parse", &[text])
}

/// `JSON.stringify(index, null, space)`: a string, by default indented as its file is.
///
/// # Errors
/// `ERR_INVALID_RETURN_VALUE` for what is no JSON.
pub fn stringify<'env>(
    env: &'env Env,
    index: &Unknown<'_>,
    space: Option<&Space>,
    layout: &Layout,
) -> Result<'env, Unknown<'env>> {
    let space = match space {
        Some(Space::Number(space)) => raw::to_js(env, *space)?,
        Some(Space::Text(space)) => raw::to_js(env, space.as_str())?,
        None => raw::to_js(env, layout.space())?,
    };
    let not_json =
        |cause| invalid_return(env, "The result of the function 'fn' cannot be written as JSON", cause);
    let json = raw::global(env, c"JSON")?;
    let text = raw::invoke(env, &json, c"stringify", &[*index, raw::null(env)?, space])
        .map_err(|cause| not_json(Some(cause)))?;
    // A `toJSON` can make anything of an object.
    let is_index = raw::type_of(&text) == ValueType::String
        && matches!(copy::first_unit(env, &text)?, Some(0x5b | 0x7b));
    if is_index { Ok(text) } else { Err(not_json(None)) }
}
