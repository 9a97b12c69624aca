//! A function that makes a patch: it looks into the text of the index, which nobody has to parse, or into the value where the group has that.

use std::rc::Rc;
use std::time::Instant;

use engine::index::group::Written;
use napi::bindgen_prelude::Unknown;
use napi::{Env, ValueType};

use super::run::Run;
use super::{Group, Index};
use crate::js::index::format::Format;
use crate::js::index::patch::{self, Patch, TextPatch};
use crate::js::index::view::{self, Maker};
use crate::js::value::{Result, promise, raw};

impl Run {
    /// Lets a function look into the text. `None`: there is none, so it looks into the value.
    pub(super) fn view<'env>(&self, env: &'env Env, maker: &Maker) -> Option<Result<'env, Unknown<'env>>> {
        if let Err(aborted) = self.call.check(env) {
            return Some(Err(aborted));
        }
        self.group.patch(|_| ())?;
        Some(self.view_text(env, maker))
    }

    fn view_text<'env>(&self, env: &'env Env, maker: &Maker) -> Result<'env, Unknown<'env>> {
        let (given, numbers) = (maker.function.get(env)?, self.group.options.numbers);
        let function = view::maker_of(env, &given, numbers)?;
        // The function may keep it for longer than the group is there.
        let (group, id) = (Rc::downgrade(&self.group), self.id);
        let look = promise::callback(env, "look", move |env, wanted: [Unknown<'_>; 4]| {
            let group = group.upgrade().filter(|group| group.policy.borrow().is_current(id));
            let found =
                group.and_then(|group| group.patch(|document| view::find(env, document, wanted, numbers)));
            found.unwrap_or_else(|| raw::null(env))
        })?;
        self.group.policy.borrow_mut().entered(Instant::now());
        match self.call_function(env, &given, &function, &look)? {
            (made, true) => self.follow(env, &made, Self::take_patch),
            (made, false) => self.accept(env, &made, Self::take_patch),
        }
    }

    /// Applies what the function has made to the text that it has looked into.
    fn take_patch<'env>(&self, env: &'env Env, made: &Unknown<'env>) -> Result<'env, Unknown<'env>> {
        let (shown, numbers) = (&self.call.request.shown, self.group.options.numbers);
        let patch = Patch::of(*made);
        let text = match raw::type_of(made) {
            // The text may be none of an index all the same.
            ValueType::Undefined => Some(TextPatch::nothing()),
            _ => TextPatch::new(env, &patch)?,
        };
        if let Some(text) = text
            && let Some(applied) = self.group.patch(|document| document.apply(&text.operations, numbers))
        {
            return match applied {
                Ok(()) => self.proceed(env, Index::Patched),
                Err(fault) => Err(text.failure(env, &fault, shown)),
            };
        }
        let function = patch.function(env, shown, &patch::numbers(env, numbers)?)?;
        let index = self.group.index(env, &self.call)?;
        let next = raw::call(env, &raw::undefined(env), &function, &[index])?;
        let next = self.group.format.check_returned(env, &next)?;
        self.proceed(env, Index::Parsed(next))
    }

    /// Whether there is no index, and what was made is what it would begin as: then none is made.
    pub(super) fn is_nothing(&self, env: &Env, next: &Unknown<'_>) -> bool {
        let is_fresh = matches!(self.group.policy.borrow().index(), None | Some(Index::Missing));
        let is_missing = self.group.held.borrow().as_ref().is_some_and(|held| held.text().is_none());
        let text = || self.group.format.snapshot(env, "index", next).ok();
        is_fresh && is_missing && text() == self.call.request.initial
    }
}

impl Group {
    /// What is known of the records of `index` is believed only if patches alone have had it since.
    pub(super) fn distrust(&self, env: &Env, index: &Unknown<'_>) {
        if self.is_foreign.take() || self.schema.is_some() || self.format != Format::Json {
            view::forget_records(env, index);
        }
    }

    /// There is no index, and there is to be none.
    pub(super) fn write_nothing(&self, env: &Env) {
        let outcome = self.held.borrow().as_ref().map(|held| held.nothing(env));
        let Some(outcome) = outcome else { return };
        self.policy.borrow_mut().written(Written::Done(outcome), Ok(()), Instant::now());
    }
}
