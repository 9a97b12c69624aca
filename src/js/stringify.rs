//! The text of an index, laid out as its file is.

use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};

use super::call::Space;
use super::error::invalid_return;
use super::memory;
use super::value::{self, Result};
use crate::engine::json::Layout;

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
        Some(Space::Number(space)) => value::to_js(env, *space)?,
        Some(Space::Text(space)) => value::to_js(env, space.as_str())?,
        None => value::to_js(env, layout.indent.as_str())?,
    };
    let not_json = |cause| invalid_return(env, "What the function returned is not JSON", cause);
    let json = value::global(env, c"JSON")?;
    let text = value::invoke(env, &json, c"stringify", &[*index, value::null(env)?, space])
        .map_err(|cause| not_json(Some(cause)))?;
    // A `toJSON` can make anything of an object.
    let is_index = value::type_of(&text) == ValueType::String
        && matches!(memory::first_unit(env, &text)?, Some(0x5b | 0x7b));
    if is_index { Ok(text) } else { Err(not_json(None)) }
}
