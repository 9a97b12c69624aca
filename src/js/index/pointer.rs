//! What JSON pointers among arguments have to be like, for looks and for patches.

use engine::index::document::Pointer;
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::value::{Result, args};

/// How many steps one may have.
pub const MOST_STEPS: u32 = Pointer::MOST_STEPS as u32;

/// What is said of one that is none, or too long.
pub fn form() -> String {
    format!(
        "must be a JSON pointer with at most {MOST_STEPS} keys: empty, or with a '/' before each key, in which '~1' is a '/' and '~0' a '~'"
    )
}

/// The argument `name`, which is `given` and says `text`.
///
/// # Errors
/// `ERR_INVALID_ARG_VALUE`.
pub fn parse<'env>(env: &'env Env, name: &str, given: &Unknown<'_>, text: &str) -> Result<'env, Pointer> {
    Pointer::parse(text).map_err(|_| args::wrong_value(env, name, &form(), given))
}
