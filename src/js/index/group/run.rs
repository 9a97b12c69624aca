//! One run of the function of a call, in reactions of that call.

use std::rc::Rc;
use std::time::Instant;

use engine::error::ErrorKind;
use engine::index::document::Document;
use engine::index::group::RunId;
use napi::Env;
use napi::bindgen_prelude::Unknown;

use super::{Group, Index};
use crate::js::error::from_engine;
use crate::js::index::apply;
use crate::js::index::call::{Call, Change, Request, Same, WeakCall};
use crate::js::index::crowd::Crowd;
use crate::js::index::patch::TextPatch;
use crate::js::inside::Code;
use crate::js::task;
use crate::js::value::thrown::internal;
use crate::js::value::{Kept, Result, Thrown, promise, raw};

/// What to do with what a function has made.
pub type Take = for<'env> fn(&Run, &'env Env, &Unknown<'env>) -> Result<'env, Unknown<'env>>;

/// One run of the function of a call.
#[derive(Clone)]
pub struct Run {
    /// The group that has the index.
    pub group: Rc<Group>,
    /// Whose function it is.
    pub call: Rc<Call>,
    /// Its name in the group.
    pub id: RunId,
    /// What the function was called with once more, to see whether it changes that.
    pub copy: Option<Rc<Kept>>,
}

impl Run {
    /// Makes the change. The promise settles when the call is over, in whichever commit.
    pub fn apply<'env>(self, env: &'env Env, ahead: Option<Kept>) -> Result<'env, Unknown<'env>> {
        let rest = match (&self.call.request.change, &ahead) {
            (Change::Patch(patch, _), None) => self.patch(env, patch),
            (Change::View(maker), None) => self.view(env, maker),
            (Change::Crowd(crowd), _) => Some(self.crowd(env, crowd)),
            _ => None,
        };
        if let Some(rest) = rest {
            return rest.or_else(|error| self.fail(env, error));
        }
        let next = self.call.check(env).and_then(|()| match &self.call.request.change {
            Change::Call(_) | Change::Patch(..) | Change::View(_) => self.enter(env, ahead),
            Change::Crowd(_) => Err(internal(env, "patches without a text")),
            Change::Value(text) => {
                self.group.policy.borrow_mut().entered(Instant::now());
                let numbers = self.group.options.numbers;
                let Request { schema, shown, .. } = &self.call.request;
                let next = self.group.format.parse(env, None, Some(text), numbers, shown)?;
                let next =
                    schema.as_ref().map_or(Ok(next), |schema| schema.check_slowly(env, &next, shown))?;
                let is_promise = raw::is_promise(env, &next);
                Ok((next, is_promise))
            }
        });
        let rest = next.and_then(|(next, is_promise)| match is_promise {
            true => self.follow(env, &next, Self::take),
            false => self.accept(env, &next, Self::take),
        });
        rest.or_else(|error| self.fail(env, error))
    }

    /// Applies a patch to the text of the index. `None`: the index is parsed, and so is the patch to be.
    fn patch<'env>(&self, env: &'env Env, patch: &TextPatch) -> Option<Result<'env, Unknown<'env>>> {
        if let Err(aborted) = self.call.check(env) {
            return Some(Err(aborted));
        }
        self.group.policy.borrow_mut().entered(Instant::now());
        let numbers = self.group.options.numbers;
        Some(match self.group.patch(|document| document.apply(&patch.operations, numbers))? {
            Ok(()) => self.proceed(env, Index::Patched),
            Err(fault) => Err(patch.failure(env, &fault, &self.call.request.shown)),
        })
    }

    /// Applies patches to the text of the index. Those for which there is none, or no time, are each a call of its own from here on, right behind
    /// this one.
    fn crowd<'env>(&self, env: &'env Env, crowd: &Crowd) -> Result<'env, Unknown<'env>> {
        self.group.policy.borrow_mut().entered(Instant::now());
        let (all, numbers) = (crowd.own(), self.group.options.numbers);
        let apply = |document: &mut Document| {
            crowd.apply(|patch| document.apply(&patch.operations, numbers));
        };
        if crowd.is_parted() || self.group.patch(apply).is_none() {
            crowd.leave();
        }
        let (mut calls, mut promises) = (Vec::new(), Vec::new());
        let own = crowd.own();
        if own < all {
            for (function, patch) in
                crowd.functions(env, &self.call.request, all)?.iter().zip(&crowd.patches[own..])
            {
                let call =
                    self.call.alone(Change::Patch(patch.clone(), Same::Made(Kept::new(env, function)?)));
                promises.push(call.next_command(env)?);
                calls.push(WeakCall(Rc::downgrade(&call)));
            }
        }
        self.call.run_is_over();
        let first = if own > 0 { Some(self.call.next_command(env)?) } else { None };
        {
            let mut policy = self.group.policy.borrow_mut();
            policy.run_next(calls.into_iter());
            match own {
                0 => policy.left(self.id),
                // As one that has failed by itself: nothing is written for it.
                _ if crowd.count() == 0 => policy.failed(self.id),
                _ => policy.accepted(self.id, Index::Patched),
            }
        }
        self.group.carry_out(env);
        match first {
            Some(first) if promises.is_empty() => Ok(first),
            first => crowd.parted(env, first, &promises),
        }
    }

    /// Goes on with what the run has made of the index.
    pub(super) fn proceed<'env>(&self, env: &'env Env, next: Index) -> Result<'env, Unknown<'env>> {
        self.call.run_is_over();
        self.group.policy.borrow_mut().accepted(self.id, next);
        let rest = self.call.next_command(env)?;
        self.group.carry_out(env);
        Ok(rest)
    }

    /// Calls the function. What it returned, and whether that is a promise.
    fn enter<'env>(&self, env: &'env Env, ahead: Option<Kept>) -> Result<'env, (Unknown<'env>, bool)> {
        let function = self.call.request.function(env)?;
        let function = function.ok_or_else(|| internal(env, "an index that no function has had"))?;
        let index = ahead.map_or_else(|| self.group.index(env, &self.call), |index| index.get(env))?;
        self.group.policy.borrow_mut().entered(Instant::now());
        let given = match &self.call.request.change {
            Change::View(maker) => {
                self.group.distrust(env, &index);
                maker.function.get(env)?
            }
            Change::Patch(..) => function,
            _ => {
                self.group.is_foreign.set(true);
                function
            }
        };
        self.call_function(env, &given, &function, &index)
    }

    /// Calls `function`, which calls the one that was `given`. What it returned, and whether that is a promise.
    pub(super) fn call_function<'env>(
        &self,
        env: &'env Env,
        given: &Unknown<'env>,
        function: &Unknown<'env>,
        index: &Unknown<'env>,
    ) -> Result<'env, (Unknown<'env>, bool)> {
        let code = Code::of(env, given);
        let needs_context = code.needs_context();
        if needs_context {
            self.group.enter(env);
        }
        let keys = self.group.held.borrow().as_ref().map(|held| held.keys()).unwrap_or_default();
        let next = apply::call(env, &self.call, function, index, keys, needs_context)?;
        let is_promise = raw::is_thenable(env, &next)?;
        code.returned(is_promise);
        Ok((next, is_promise))
    }

    /// Waits for what the function has promised, which `take` is for.
    pub(super) fn follow<'env>(
        &self,
        env: &'env Env,
        next: &Unknown<'env>,
        take: Take,
    ) -> Result<'env, Unknown<'env>> {
        self.call.promised();
        // Following takes two turns of the microtask queue at least: by then the caller's promise hangs on the
        // reactions below, and an error made there knows the caller.
        let mut next = raw::follow(env, next)?;
        let Request { signal, fn_timeout, .. } = &self.call.request;
        if self.group.set_timer(env) || signal.is_given() || fn_timeout.is_some() {
            next = signal.race(env, next)?;
        }
        self.call.is_late.set(false);
        self.call.timer.replace(fn_timeout.and_then(|time| {
            let run = self.clone();
            task::after(env, time, move |env| run.is_late(env))
        }));
        let (made, failed) = (self.clone(), self.clone());
        let rest = promise::then(env, &next, move |env, next| made.accept(env, &next, take))?;
        promise::catch(env, &rest, move |env, error| failed.fail(env, Thrown(error)))
    }

    /// The function has taken too long.
    fn is_late(&self, env: &Env) {
        if self.group.policy.borrow().is_current(self.id) {
            self.call.is_late.set(true);
            self.call.request.signal.interrupt(env);
        }
    }

    /// The function has made what `take` is for; or the run is over already, because others did not wait for it.
    pub(super) fn accept<'env>(
        &self,
        env: &'env Env,
        next: &Unknown<'env>,
        take: Take,
    ) -> Result<'env, Unknown<'env>> {
        if self.group.policy.borrow().is_current(self.id) {
            if self.call.is_late.get() {
                return self.give_up(env);
            }
            if let Err(aborted) = self.call.check(env) {
                self.call.stop.abort(env, self.call.request.signal.reason(env));
                return Err(aborted);
            }
            return take(self, env, next);
        }
        let rest = self.call.next_command(env)?;
        self.group.carry_out(env);
        Ok(rest)
    }

    /// Takes the next index.
    fn take<'env>(&self, env: &'env Env, next: &Unknown<'env>) -> Result<'env, Unknown<'env>> {
        let next = match &self.copy {
            None if self.group.is_as_given(env, next) => return self.run_on_a_copy(env),
            None => *next,
            Some(copy) => self.group.unchanged(env, copy, next)?.unwrap_or(*next),
        };
        if matches!(self.call.request.change, Change::View(_)) && self.is_nothing(env, &next) {
            return self.proceed(env, Index::Missing);
        }
        let next = self.group.format.check_returned(env, &next)?;
        self.proceed(env, Index::Parsed(next))
    }

    /// Calls the function once more, which has returned what it was given, with a copy that it can change.
    fn run_on_a_copy<'env>(&self, env: &'env Env) -> Result<'env, Unknown<'env>> {
        // For the function it is the same run.
        self.call.attempts.update(|attempts| attempts.saturating_sub(1));
        let copy = self.group.copy(env, &self.call)?;
        let ahead = Kept::new(env, &copy.get(env)?)?;
        let run = Self { copy: Some(Rc::new(copy)), ..self.clone() };
        let (next, is_promise) = run.enter(env, Some(ahead))?;
        if is_promise { run.follow(env, &next, Self::take) } else { run.accept(env, &next, Self::take) }
    }

    /// Does not wait any longer for what the function has promised, and does not call it again.
    fn give_up<'env>(&self, env: &'env Env) -> Result<'env, Unknown<'env>> {
        let Request { fn_timeout, shown, .. } = &self.call.request;
        let kind = ErrorKind::FnTimeout { limit: fn_timeout.unwrap_or_default() };
        let error = from_engine(env, &kind.into(), shown, || None);
        self.call.stop.abort(env, Some(error.0));
        self.call.run_is_over();
        self.call.keep_failure(env, error)?;
        let rest = self.call.next_command(env)?;
        self.group.policy.borrow_mut().given_up(self.id);
        self.group.carry_out(env);
        Ok(rest)
    }

    /// The function has failed; or the run is over already, and this is what its call has failed with in the end.
    fn fail<'env>(&self, env: &'env Env, error: Thrown<'env>) -> Result<'env, Unknown<'env>> {
        if !self.group.policy.borrow().is_current(self.id) {
            return Err(error);
        }
        self.call.run_is_over();
        self.call.keep_failure(env, error)?;
        let rest = self.call.next_command(env)?;
        // A patch does all or nothing to a text, and a function of one only looks into it.
        let is_untouched =
            matches!(self.call.request.change, Change::Patch(..) | Change::View(_)) && self.group.is_text();
        match is_untouched {
            true => self.group.policy.borrow_mut().failed_untouched(self.id),
            false => self.group.policy.borrow_mut().failed(self.id),
        }
        self.group.carry_out(env);
        Ok(rest)
    }
}
