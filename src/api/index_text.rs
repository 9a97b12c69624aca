//! How the text of an index is read and printed: the options that calls on an index share.

use engine::index::file::{Numbers, UpdateOptions as EngineOptions};
use engine::index::layout::Space;
use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};

use crate::api::atomic_index_update::UpdateOptions;
use crate::js::index::format::Format;
use crate::js::index::json;
use crate::js::index::schema::Schema;
use crate::js::transaction::ParsedUpdate;
use crate::js::value::thrown::LONGEST;
use crate::js::value::{Result, args, copy, raw};

/// How to parse, check and print an index, wherever it is.
pub fn parse_text<'env>(env: &'env Env, own: &UpdateOptions<'_>) -> Result<'env, ParsedUpdate> {
    let format = Format::from_options(env, own.codec.as_ref())?;
    let snapshot = |initial| format.snapshot(env, "options.initial", initial);
    let initial = own.initial.as_ref().map(snapshot).transpose()?;
    let space = own.space.as_ref().map(|given| space(env, given)).transpose()?;
    let numbers = own.numbers.as_ref().map(|given| numbers(env, given)).transpose()?.unwrap_or_default();
    // How JSON is laid out, and what its numbers lose, means nothing to a codec.
    let (space, numbers) = if format == Format::Json { (space, numbers) } else { (None, Numbers::Lossy) };
    let options = EngineOptions {
        format: format.known(),
        space,
        numbers,
        longest: Some(LONGEST),
        ..EngineOptions::default()
    };
    let schema = Schema::from_options(env, own.schema.as_ref(), own.migrate.as_ref())?;
    Ok(ParsedUpdate { options, initial, format, schema, keeps_value: false })
}

fn numbers<'env>(env: &'env Env, given: &Unknown<'_>) -> Result<'env, Numbers> {
    let wrong = |reason| args::wrong_value(env, "options.numbers", reason, given);
    match args::word(env, given)?.as_deref() {
        Some("strict") => Ok(Numbers::Strict),
        Some("lossy") => Ok(Numbers::Lossy),
        Some("exact") if json::can_keep_digits(env)? => Ok(Numbers::Exact),
        Some("exact") => Err(wrong("needs JSON.rawJSON, which Node.js has from version 22 on")),
        _ => Err(wrong("must be 'strict', 'lossy' or 'exact'")),
    }
}

fn space<'env>(env: &'env Env, given: &Unknown<'_>) -> Result<'env, Space> {
    match raw::type_of(given) {
        ValueType::Number => Ok(Space::Number(raw::from_js(env, given).unwrap_or_default())),
        ValueType::String => match copy::text(env, given)? {
            // Anything else would make the text no JSON.
            space if space.chars().all(|c| matches!(c, ' ' | '\t' | '\n' | '\r')) => Ok(Space::Text(space)),
            _ => Err(args::wrong_value(env, "options.space", "must consist of white space", given)),
        },
        _ => Err(args::wrong_type(env, "options.space", "of type number or string", given)),
    }
}
