//! What is written of an index that was parsed.

use engine::data::Data;
use napi::Env;
use napi::bindgen_prelude::Unknown;

use super::Group;
use crate::js::index::codec::Previous;
use crate::js::index::held::Held;
use crate::js::value::{Result, data};

impl Group {
    /// The next text; `shown` is what the caller calls the file.
    pub(super) fn text<'env>(
        &self,
        env: &'env Env,
        index: &Unknown<'_>,
        held: &mut dyn Held,
        shown: &str,
    ) -> Result<'env, Data> {
        let previous = match held.text() {
            None => Previous::None,
            Some(text) if self.options.anyway => Previous::Any(text),
            Some(text) => Previous::Parsed(text),
        };
        let space = self.options.space.as_ref();
        let text = self.format.stringify(env, index, previous, space, shown)?;
        held.forget();
        data::text(env, &text)
    }
}
