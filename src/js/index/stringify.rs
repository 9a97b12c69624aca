//! The text of an index, laid out as its file is.

use engine::index::json::Layout;
use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};

use crate::js::index::call::Space;
use crate::js::value::thrown::{Result, invalid_return};
use crate::js::value::{copy, raw};

/// `JSON.stringify(index, null, space)`: a string.
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
        None => raw::to_js(env, layout.indent.as_str())?,
    };
    let not_json = |cause| invalid_return(env, "What the function returned is not JSON", cause);
    let json = raw::global(env, c"JSON")?;
    let text = raw::invoke(env, &json, c"stringify", &[*index, raw::null(env)?, space])
        .map_err(|cause| not_json(Some(cause)))?;
    // A `toJSON` can make anything of an object.
    let is_index = raw::type_of(&text) == ValueType::String
        && matches!(copy::first_unit(env, &text)?, Some(0x5b | 0x7b));
    if is_index { Ok(text) } else { Err(not_json(None)) }
}
