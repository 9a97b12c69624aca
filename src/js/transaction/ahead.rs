//! What indexes say once a commit that is under way is done, for the functions of the transactions after it.

use std::ffi::CStr;
use std::sync::Arc;

use engine::data::Data;
use engine::index::file::UpdateOptions;
use engine::index::layout::Layout;
use engine::index::text::Text;
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::error::from_engine;
use crate::js::transaction::natives::Native;
use crate::js::transaction::parse::ParsedUpdate;
use crate::js::transaction::textual::Locked;
use crate::js::value::copy;
use crate::js::value::handle::{change, is_handle, make, with};
use crate::js::value::thrown::Result;

/// What the script calls.
pub const NATIVES: [(&CStr, Native); 2] = [(c"upcoming", upcoming), (c"parseUpcoming", parse_upcoming)];

/// The text that is being written to an index. It is made when somebody wants to know it.
pub struct Upcoming {
    printed: Arc<Data>,
    layout: Layout,
    options: UpdateOptions,
    text: Option<Text>,
}

impl Upcoming {
    fn make(&mut self) -> engine::error::Result<()> {
        if self.text.is_none() {
            let printed = self.printed.try_clone()?;
            self.text = Some(Text::of_printed(printed, &self.layout, &self.options)?);
        }
        Ok(())
    }

    /// For the comparison with what is read. `None`: nobody was given it.
    pub fn into_text(self) -> Option<Text> {
        self.text
    }
}

/// `(data, index | undefined, update) → upcoming`: of what is about to be written in the place of what was read.
fn upcoming<'env>(
    env: &'env Env,
    [printed, index, update, ..]: [Unknown<'env>; 7],
) -> Result<'env, Unknown<'env>> {
    let layout = |index: &Locked| index.as_read().map(|known| known.text.layout.clone());
    let layout = is_handle(&index).then(|| with(env, &index, layout)).transpose()?.flatten();
    let upcoming = Upcoming {
        printed: with(env, &printed, Arc::<Data>::clone)?,
        layout: layout.unwrap_or_default(),
        options: with(env, &update, |update: &ParsedUpdate| update.options.clone())?,
        text: None,
    };
    make(env, upcoming)
}

/// `(upcoming, update, shown) → value`: what a reader would get.
fn parse_upcoming<'env>(
    env: &'env Env,
    [upcoming, update, shown, ..]: [Unknown<'env>; 7],
) -> Result<'env, Unknown<'env>> {
    let ParsedUpdate { options, format, .. } = with(env, &update, ParsedUpdate::clone)?;
    let shown = copy::text(env, &shown)?;
    let made = change(env, &upcoming, Upcoming::make)?;
    made.map_err(|error| from_engine(env, &error, &shown, || None))?;
    with(env, &upcoming, |upcoming: &Upcoming| {
        format.parse(env, upcoming.text.as_ref(), None, options.numbers, &shown)
    })?
}
