//! `keep: 'value'`: functions get a frozen value, which is that of the last commit if nobody has written since, and of the text only that is
//! made anew what they have changed.
//!
//! A value is kept if two things are known of it and its text: that `JSON.parse` of the text makes the value, and that all of the value is printed as
//! this text. The first one holds because what a function has put there is printed and parsed, the second one because the text was printed.

use std::cell::RefCell;

use engine::index::layout::Space;
use engine::index::text::next_edition;
use napi::Env;
use napi::bindgen_prelude::Unknown;

use super::{Group, Index};
use crate::js::index::call::Call;
use crate::js::index::held::{Held, Next};
use crate::js::index::keep::{self, Compared};
use crate::js::index::{json, lost};
use crate::js::value::thrown::type_error;
use crate::js::value::{Kept, Result, raw};

/// The values that a group has.
#[derive(Default)]
pub struct Values {
    /// That of the text as it is stored, if it is known.
    stored: RefCell<Option<Stored>>,
    /// What the function was given that was called last.
    given: RefCell<Option<Kept>>,
    /// What is kept when the next text is written.
    made: RefCell<Option<Made>>,
}

/// The value of the text as it is stored, frozen.
struct Stored {
    value: Kept,
    /// All of the value is printed as this text.
    is_printed: bool,
}

/// The value of the text that is being written.
pub struct Made {
    value: Kept,
    /// What the text is to be known by.
    pub edition: u64,
}

impl Values {
    /// What is kept when the next text is written, which is now.
    pub fn take_made(&self) -> Option<Made> {
        self.made.take()
    }
}

impl Group {
    /// The frozen value for the function of `call`.
    pub(super) fn frozen<'env>(&self, env: &'env Env, call: &Call) -> Result<'env, Unknown<'env>> {
        let value = match self.policy.borrow().index() {
            Some(Index::Parsed(made)) => self.freeze(env, made)?,
            _ => self.stored(env, call)?,
        };
        let given = raw::is_object(&value).then(|| Kept::new(env, &value)).transpose()?;
        self.values.given.replace(given);
        Ok(value)
    }

    fn stored<'env>(&self, env: &'env Env, call: &Call) -> Result<'env, Unknown<'env>> {
        if let Some(Stored { value, .. }) = &*self.values.stored.borrow() {
            return value.get(env);
        }
        let held = self.held.borrow();
        let text = held.as_ref().and_then(|held| held.text());
        let numbers = self.options.numbers;
        let edition = text.and_then(|text| text.edition);
        let kept = edition.map(|edition| keep::take(env, edition, numbers)).transpose()?.flatten();
        let is_printed = kept.is_some();
        let value = match kept {
            Some(kept) => kept,
            None => keep::freeze(env, &self.parse(env, text, call)?)?,
        };
        // What is there without a file, each call says for itself.
        if text.is_some() && raw::is_object(&value) {
            self.values.stored.replace(Some(Stored { value: Kept::new(env, &value)?, is_printed }));
        }
        Ok(value)
    }

    /// What a function has made, for the next one: as JSON has it.
    fn freeze<'env>(&self, env: &'env Env, made: &Kept) -> Result<'env, Unknown<'env>> {
        let (made, numbers) = (made.get(env)?, self.options.numbers);
        let given = self.values.given.borrow();
        if let Some(given) = &*given
            && let Some(compared) = keep::compare(env, &given.get(env)?, &made, numbers)?
        {
            check(env, &compared, &made)?;
            return Ok(compared.next);
        }
        keep::freeze(env, &json::round_trip(env, &made, numbers)?)
    }

    /// Whether a function has returned the very value that it was given: it has changed nothing, or its changes of what is frozen were lost without
    /// an error, as in sloppy mode.
    pub(super) fn is_as_given(&self, env: &Env, next: &Unknown<'_>) -> bool {
        let given = self.values.given.borrow();
        let given = given.as_ref().and_then(|given| given.get(env).ok());
        given.is_some_and(|given| raw::is_same(env, &given, next))
    }

    /// A copy of what a function was given, which it can change.
    pub(super) fn thaw<'env>(&self, env: &'env Env) -> Result<'env, Kept> {
        let given = self.values.given.borrow();
        let given = given.as_ref().map_or_else(|| Ok(raw::undefined(env)), |given| given.get(env))?;
        Kept::new(env, &keep::thaw(env, &given)?)
    }

    /// A function that was called with such a `copy` has returned `next`, which may be the copy: then this is the value that it has left as it is.
    ///
    /// # Errors
    /// `ERR_INVALID_RETURN_VALUE`, if it has changed the copy.
    pub(super) fn unchanged<'env>(
        &self,
        env: &'env Env,
        copy: &Kept,
        next: &Unknown<'_>,
    ) -> Result<'env, Option<Unknown<'env>>> {
        let given = self.values.given.borrow();
        let given = given.as_ref().map_or_else(|| Ok(raw::undefined(env)), |given| given.get(env))?;
        let copy = copy.get(env)?;
        if keep::is_changed(env, &given, &copy)? {
            let message = "The function changed the index in place and returned it, but with options.keep it is frozen, so the changes were lost: \
                           return a new index, such as { ...index, key: value }, and use strict mode, in which a change of what is frozen throws";
            return Err(type_error(env, "ERR_INVALID_RETURN_VALUE", message));
        }
        Ok(raw::is_same(env, next, &copy).then_some(given))
    }

    /// The edits of the text that make the next one of it. `None`: all is to be printed.
    pub(super) fn edited<'env>(
        &self,
        env: &'env Env,
        index: &Kept,
        held: &mut dyn Held,
    ) -> Result<'env, Option<Next>> {
        self.values.made.take();
        let stored = self.values.stored.borrow();
        let Some(Stored { value, is_printed }) = &*stored else { return Ok(None) };
        let made = index.get(env)?;
        let Some(compared) = keep::compare(env, &value.get(env)?, &made, self.options.numbers)? else {
            return Ok(None);
        };
        check(env, &compared, &made)?;
        let is_known = match &self.options.space {
            // Lines that `JSON.stringify` puts there are none that the next text is laid out by.
            Some(Space::Text(text)) => !text.contains(['\n', '\r']),
            _ => true,
        };
        if is_known {
            let value = Kept::new(env, &compared.next)?;
            self.values.made.replace(Some(Made { value, edition: next_edition() }));
        }
        let is_laid_out = held.text().is_some_and(|text| {
            self.options.space.as_ref().is_none_or(|space| {
                text.layout.is_indented_by(space) && text.layout.indent.as_deref() != Some("")
            })
        });
        if !is_printed || !is_laid_out {
            return Ok(None);
        }
        Ok(held.take_document().map(|document| Next::Edited(document, compared.edits)))
    }

    /// The write is over, and the index was read again or is not held any more. `made`: the value of what was written.
    pub(super) fn keep(&self, env: &Env, made: Option<&Made>) {
        self.values.stored.take();
        let Some(Made { value, edition }) = made else { return };
        let held = self.held.borrow();
        let text = held.as_ref().and_then(|held| held.text());
        let (is_held, numbers) =
            (text.is_some_and(|text| text.edition == Some(*edition)), self.options.numbers);
        // Fails only in an environment that is ending.
        let _ = value.get(env).and_then(|value| keep::keep(env, *edition, numbers, &value, is_held));
    }
}

/// What JSON would lose of it is refused.
fn check<'env>(env: &'env Env, compared: &Compared<'_>, made: &Unknown<'_>) -> Result<'env, ()> {
    if compared.may_lose { lost::check_deep(env, made) } else { Ok(()) }
}
