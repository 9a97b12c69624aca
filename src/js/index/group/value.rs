//! `keep: 'value'`: functions get a frozen value, which is that of the last commit if nobody has written since, and of the text only that is
//! made anew what they have changed.
//!
//! A value is kept if two things are known of it and its text: that `JSON.parse` of the text makes the value, and that all of the value is printed as
//! this text. The first one holds because what a function has put there is printed and parsed; the second one because the text was printed of that
//! very value, and not of what the function has returned, whose getters may tell something else each time. Without both, all is as without the option.

use std::cell::{Cell, RefCell};

use engine::index::document::Operation;
use engine::index::text::next_edition;
use napi::Env;
use napi::bindgen_prelude::Unknown;

use super::{Group, Index};
use crate::js::index::call::Call;
use crate::js::index::held::{Held, Next};
use crate::js::index::json;
use crate::js::index::keep::{self, Compared};
use crate::js::index::schema::Schema;
use crate::js::value::{Kept, Result, raw};

/// So many functions of a commit are given what is made of the index by comparing it. The ones behind them take turns as without the option: frozen
/// arrays are slow to copy, which is worth it for the few functions after which the text need not be printed.
const MOST_COMPARED: u32 = 8;

/// The values that a group has.
#[derive(Default)]
pub struct Values {
    /// That of the text as it is stored, if it is known.
    stored: RefCell<Option<Stored>>,
    /// What the function was given that was called last.
    given: RefCell<Option<Kept>>,
    /// How many functions of this commit were given what one before them has made.
    passed_on: Cell<u32>,
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
    /// How much memory the text takes.
    size: usize,
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
            Some(Index::Parsed(made)) => {
                let count = self.values.passed_on.get();
                self.values.passed_on.set(count.saturating_add(1));
                if count >= MOST_COMPARED {
                    self.values.given.take();
                    return self.unfrozen(env, made, count == MOST_COMPARED);
                }
                self.freeze(env, made)?
            }
            _ => {
                self.values.passed_on.set(0);
                self.stored(env, call)?
            }
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
        let (value, can_be_kept) = match kept {
            Some(kept) => (kept, true),
            None => {
                let parsed = self.parse(env, text, call)?;
                (parsed, keep::freeze(env, &parsed)?)
            }
        };
        // What is there without a file, each call says for itself.
        if text.is_some() && can_be_kept && raw::is_object(&value) {
            self.values.stored.replace(Some(Stored { value: Kept::new(env, &value)?, is_printed }));
        }
        Ok(value)
    }

    /// What a function has made, for the next one: as JSON has it.
    fn freeze<'env>(&self, env: &'env Env, made: &Kept) -> Result<'env, Unknown<'env>> {
        let (made, numbers) = (made.get(env)?, self.options.numbers);
        let given = self.values.given.borrow();
        let given = given.as_ref().map(|given| given.get(env)).transpose()?;
        let next = keep::pass_on(env, given.as_ref(), &made, numbers)?;
        Schema::pass_on(env, &made, &next)?;
        Ok(next)
    }

    /// What a function has made, for the next one: as it is, or a copy of it.
    fn unfrozen<'env>(
        &self,
        env: &'env Env,
        made: &Kept,
        may_be_frozen: bool,
    ) -> Result<'env, Unknown<'env>> {
        let made = made.get(env)?;
        if !may_be_frozen {
            return Ok(made);
        }
        self.changeable(env, &made)
    }

    /// A copy that can be changed of what a function has made.
    fn changeable<'env>(&self, env: &'env Env, made: &Unknown<'_>) -> Result<'env, Unknown<'env>> {
        let copy = json::round_trip(env, made, self.options.numbers)?;
        Schema::pass_on(env, made, &copy)?;
        Ok(copy)
    }

    /// Whether a function has returned the very value that it was given: it has changed nothing, or its changes of what is frozen were lost without
    /// an error, as in sloppy mode.
    pub(super) fn is_as_given(&self, env: &Env, next: &Unknown<'_>) -> bool {
        let given = self.values.given.borrow();
        let given = given.as_ref().and_then(|given| given.get(env).ok());
        given.is_some_and(|given| raw::is_same(env, &given, next))
    }

    /// A copy of what the function of `call` was given, which it can change.
    pub(super) fn copy<'env>(&self, env: &'env Env, call: &Call) -> Result<'env, Kept> {
        if self.policy.borrow().index().is_none() {
            let held = self.held.borrow();
            let text = held.as_ref().and_then(|held| held.text());
            return Kept::new(env, &self.parse(env, text, call)?);
        }
        Kept::new(env, &self.changeable(env, &self.given(env)?)?)
    }

    fn given<'env>(&self, env: &'env Env) -> Result<'env, Unknown<'env>> {
        let given = self.values.given.borrow();
        given.as_ref().map_or_else(|| Ok(raw::undefined(env)), |given| given.get(env))
    }

    /// As [`keep::unchanged`], of the value that the function was given before.
    pub(super) fn unchanged<'env>(
        &self,
        env: &'env Env,
        copy: &Kept,
        next: &Unknown<'_>,
    ) -> Result<'env, Option<Unknown<'env>>> {
        keep::unchanged(env, &self.format, &self.given(env)?, &copy.get(env)?, next)
    }

    /// What is to be written; `shown` is what the caller calls the file.
    pub(super) fn next_text<'env>(
        &self,
        env: &'env Env,
        index: &Kept,
        held: &mut dyn Held,
        shown: &str,
    ) -> Result<'env, Next> {
        let made = index.get(env)?;
        let Some(Compared { next, edits, added, .. }) = self.compared(env, &made)? else {
            return self.text(env, &made, held, shown).map(Next::Text);
        };
        let size = held.text().map_or(0, |text| text.json().len()) + added;
        if let Some(edited) = self.edited(edits, held) {
            self.keep_next(env, &next, size)?;
            return Ok(edited);
        }
        let text = self.text(env, &next, held, shown)?;
        self.keep_next(env, &next, text.size())?;
        Ok(Next::Text(text))
    }

    /// What the functions have made, compared with what is stored. `None`: nothing of it will be kept.
    fn compared<'env>(&self, env: &'env Env, made: &Unknown<'_>) -> Result<'env, Option<Compared<'env>>> {
        self.values.made.take();
        let stored = self.values.stored.borrow();
        let Some(Stored { value, .. }) = &*stored else { return Ok(None) };
        keep::compare(env, &value.get(env)?, made, self.options.numbers)
    }

    /// The edits of the text that make the next one of it. `None`: all is to be printed.
    fn edited(&self, edits: Vec<Operation>, held: &mut dyn Held) -> Option<Next> {
        let is_printed = self.values.stored.borrow().as_ref().is_some_and(|stored| stored.is_printed);
        let is_laid_out = held.text().is_some_and(|text| keep::can_edit(text, self.options.space.as_ref()));
        if !is_printed || !is_laid_out {
            return None;
        }
        held.take_document().map(|document| Next::Edited(document, edits))
    }

    /// Keeps a value once its text, which takes so much memory, is written.
    fn keep_next<'env>(&self, env: &'env Env, value: &Unknown<'_>, size: usize) -> Result<'env, ()> {
        if keep::can_be_kept(self.options.space.as_ref()) {
            let value = Kept::new(env, value)?;
            self.values.made.replace(Some(Made { value, size, edition: next_edition() }));
        }
        Ok(())
    }

    /// The write is over, and the index was read again or is not held any more. `made`: the value of what was written.
    pub(super) fn keep(&self, env: &Env, made: Option<&Made>) {
        self.values.stored.take();
        let Some(Made { value, size, edition }) = made else { return };
        let held = self.held.borrow();
        let text = held.as_ref().and_then(|held| held.text());
        let (is_held, numbers) =
            (text.is_some_and(|text| text.edition == Some(*edition)), self.options.numbers);
        // Fails only in an environment that is ending.
        let _ = value.get(env).and_then(|value| keep::keep(env, *edition, numbers, *size, &value, is_held));
    }
}
