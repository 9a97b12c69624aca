//! What groups of updates and groups of transactions do alike with an index that patches change as text.

use engine::index::document::Document;
use engine::index::file::{Numbers, UpdateOptions};
use engine::index::layout::without_mark;
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::index::format::Format;
use crate::js::index::json;
use crate::js::index::schema::Schema;
use crate::js::value::Result;
use crate::js::value::thrown::no_memory;

/// Whether patches can be applied to the text: it is JSON, keeps its layout, and nothing has to check what it says.
pub fn suits(format: &Format, schema: Option<&Schema>, options: &UpdateOptions) -> bool {
    *format == Format::Json && schema.is_none() && options.space.is_none()
}

/// What a text says after its patches, for a function; and the text without them.
pub fn parse_next(env: &Env, document: Document, numbers: Numbers) -> (Result<'_, Unknown<'_>>, Document) {
    match document.advance() {
        Ok((next, before)) => (parse(env, next.text(), numbers), Document::new(before)),
        Err(document) => (Err(no_memory(env)), Document::new(document.into_parts().0)),
    }
}

/// What a text says.
pub fn parse<'env>(env: &'env Env, text: &str, numbers: Numbers) -> Result<'env, Unknown<'env>> {
    json::parse_text(env, without_mark(text), numbers)
}
