//! Group commit: carries out what the policy of a group (`engine/group`) decides.
//!
//! A group belongs to the call that has the index: to the reaction that calls its function or waits for it, or to the
//! job that writes. A thread that ends drops its reactions, and with them the group and the lock.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use engine::data::Data;
use engine::error::{Error, ErrorKind};
use engine::index::file::{Snapshot, UpdateOptions};
use engine::index::group::{self as policy, RunId, Verdict};
use engine::index::job::{Come, CommitJob, Committed, OpenJob, Opened, Outcome};
use engine::job::DropJob;
use engine::lock::holder::{Blocker, Holder, Timeout};
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::index::call::{self, Call, Command, Request, WeakCall};
use crate::js::index::{apply, json};
use crate::js::inside::{Code, Context};
use crate::js::task::{self, Timer};
use crate::js::value::{Kept, Result, Thrown, data, promise, raw};

/// A text this large takes some 20 ms to parse, and then more to print.
const LARGE: usize = 8 << 20;

type Policy = policy::Group<WeakCall, Kept, Outcome>;
type Action = policy::Action<WeakCall, Kept, Outcome>;

/// Updates that share an index.
struct Group {
    policy: RefCell<Policy>,
    /// `None`: a job has it, or it is gone.
    opened: RefCell<Option<Opened>>,
    /// Where the index is.
    path: PathBuf,
    /// Since when it has been ours. Nothing is read on this thread to tell.
    since: SystemTime,
    /// How all are written.
    options: UpdateOptions,
    /// Lets the policy check the calls that wait for a function.
    timer: RefCell<Option<Timer>>,
    /// On while functions have the index.
    context: Cell<Option<Context>>,
}

/// Starts a call, whose index is opened by `job`.
pub fn start(env: &Env, request: Request, job: OpenJob) -> Result<'_, Unknown<'_>> {
    let call = Call::new(request);
    let answer = call.next_command(env)?;
    task::run(env, job, move |env, outcome| match outcome {
        Ok(Come::Open(opened)) => Group::lead(env, &call, *opened),
        Ok(Come::Follower) => {}
        Err(failure) => {
            let failure = failure.inside(|| call.request.inside.names());
            call.send(env, Command::Settle(Arc::new(Err(failure)), 1));
        }
    })?;
    Ok(answer)
}

impl Group {
    /// Starts with `leader`, which has `opened` the index.
    fn lead(env: &Env, leader: &Rc<Call>, opened: Opened) {
        leader.waited.set(opened.waited);
        let group = Self {
            policy: RefCell::new(Policy::new(WeakCall(Rc::downgrade(leader)))),
            path: opened.path().to_owned(),
            since: SystemTime::now(),
            opened: RefCell::new(Some(opened)),
            options: leader.request.options.clone(),
            timer: RefCell::default(),
            context: Cell::default(),
        };
        Rc::new(group).carry_out(env);
    }

    /// Does what is to be done, until there is nothing left but to wait.
    fn carry_out(self: &Rc<Self>, env: &Env) {
        while let Some(action) = self.next() {
            match action {
                Action::Run(call, id) => self.run(env, &call, id),
                Action::Interrupt(WeakCall(call)) => {
                    call.upgrade().iter().for_each(|call| call.request.signal.interrupt(env));
                }
                Action::Write { index, sole, keep } => self.write(env, &index, sole, keep),
                Action::Release => self.release(env),
                Action::Tell(calls, verdict) => self.tell(env, &calls, &verdict),
            }
        }
    }

    fn next(&self) -> Option<Action> {
        self.policy.borrow_mut().next(Instant::now(), || self.take_follower())
    }

    /// Takes the next call of this thread out of the queue, if it is to be written in the same way.
    fn take_follower(&self) -> Option<WeakCall> {
        let suits = |Request { options, .. }: &_| *options == self.options;
        let suits = |id| call::find(id).is_some_and(|call| suits(&call.request));
        let call = call::find(self.opened.borrow().as_ref()?.take_follower(suits)?)?;
        call.waited.set(call.request.since.elapsed());
        Some(WeakCall(Rc::downgrade(&call)))
    }

    /// Lets the function of a call change the index, in a reaction of that call.
    fn run(self: &Rc<Self>, env: &Env, WeakCall(call): &WeakCall, id: RunId) {
        let Some(call) = call.upgrade() else { return self.policy.borrow_mut().failed(id) };
        // If parsing fails here, it fails again where the caller gets the error.
        let ahead = self.is_large().then(|| Kept::new(env, &self.index(env, &call).ok()?).ok()).flatten();
        let (group, is_ahead) = (self.clone(), ahead.is_some());
        let command = Command::Run(Box::new(move |env, call| Run { group, call, id }.apply(env, ahead)));
        if is_ahead {
            // In between the event loop turns: it stands still for the parsing, and then for the printing, and not
            // for both together.
            task::later(env, move |env| call.send(env, command));
        } else {
            call.send(env, command);
        }
    }

    /// Whether the index is to be parsed, and that takes long.
    fn is_large(&self) -> bool {
        let opened = self.opened.borrow();
        let snapshot = opened.as_ref().and_then(|opened| opened.snapshot.as_ref());
        self.policy.borrow().index().is_none() && snapshot.is_some_and(|it| it.json().len() >= LARGE)
    }

    /// The index for the function of `call`.
    fn index<'env>(&self, env: &'env Env, call: &Call) -> Result<'env, Unknown<'env>> {
        if let Some(index) = self.policy.borrow().index() {
            return index.get(env);
        }
        let opened = self.opened.borrow();
        let snapshot = opened.as_ref().and_then(|opened| opened.snapshot.as_ref());
        json::parse(env, snapshot, call.request.initial.as_deref(), self.options.numbers)
    }

    /// Lets the policy check the calls that wait for a function. `false`: there are none.
    fn set_timer(self: &Rc<Self>, env: &Env) -> bool {
        let patience = self.policy.borrow().patience(Instant::now());
        let Some(patience) = patience else { return false };
        if self.timer.borrow().is_none() {
            let group = self.clone();
            let timer = task::after(env, patience, move |env| {
                group.timer.take();
                group.policy.borrow_mut().tick(Instant::now());
                group.carry_out(env);
                group.set_timer(env);
            });
            self.timer.replace(timer);
        }
        true
    }

    /// Lets functions run in a context of their own, until they are over.
    fn enter(&self, env: &Env) {
        let context = self.context.take();
        self.context.set(Some(context.unwrap_or_else(|| Context::enter(env))));
    }

    fn functions_are_over(&self, env: &Env) {
        self.timer.take();
        if let Some(context) = self.context.take() {
            context.leave(env);
        }
    }

    /// Writes what the functions have made.
    fn write(self: &Rc<Self>, env: &Env, index: &Kept, sole: Option<WeakCall>, keep: bool) {
        self.functions_are_over(env);
        let Some(mut opened) = self.opened.take() else { return };
        let sole = sole.and_then(|WeakCall(call)| call.upgrade());
        let shown = sole.as_ref().map_or("", |call| &call.request.shown);
        match self.text(env, index, &mut opened, shown) {
            Ok(text) => {
                let cancel = sole.map(|call| call.request.signal.cancel()).unwrap_or_default();
                let job = CommitJob::new(opened, text, self.options.clone(), keep, cancel);
                let group = self.clone();
                // Fails only in an environment that is ending.
                drop(task::run(env, job, move |env, committed| group.written(env, committed)));
            }
            Err(error) => {
                // Fails only in an environment that is ending.
                let _ = sole.map(|call| call.keep_failure(env, error));
                self.opened.replace(Some(opened));
                self.policy.borrow_mut().refused();
            }
        }
    }

    /// The next text; `shown` is what the caller calls the file.
    fn text<'env>(
        &self,
        env: &'env Env,
        index: &Kept,
        opened: &mut Opened,
        shown: &str,
    ) -> Result<'env, Data> {
        let text =
            json::stringify(env, &index.get(env)?, self.options.space.as_ref(), &opened.layout(), shown)?;
        // The version before is not needed any more.
        opened.snapshot.iter_mut().for_each(Snapshot::forget);
        data::text(env, &text)
    }

    fn written(self: &Rc<Self>, env: &Env, committed: task::Outcome<Committed>) {
        let Committed { written, opened } = committed.unwrap_or_else(Committed::from);
        let held = opened.map(|opened| drop(self.opened.replace(Some(opened))));
        self.policy.borrow_mut().written(written, held, Instant::now());
        self.carry_out(env);
    }

    fn tell(&self, env: &Env, calls: &[WeakCall], verdict: &Verdict<Outcome>) {
        for call in calls.iter().filter_map(|WeakCall(call)| call.upgrade()) {
            let failed = |error: Error| Command::Settle(Arc::new(Err(error)), 1);
            let command = match verdict {
                Verdict::Settled(outcome) => Command::Settle(outcome.clone(), calls.len()),
                Verdict::Aborted => failed(ErrorKind::Aborted.into()),
                Verdict::TimedOut { changed } => {
                    let Request { since, inside, .. } = &call.request;
                    let (blocker, holder) = match changed {
                        true => (Blocker::Changes, None),
                        false => (Blocker::EarlierCall, Some(Holder::since(self.since))),
                    };
                    let timeout = Timeout::new(since.elapsed(), blocker, holder, &self.path);
                    failed(Error::from(timeout).inside(|| inside.names()))
                }
                Verdict::Finished => Command::Finish,
            };
            call.send(env, command);
        }
    }

    /// Gives the index back as it is.
    fn release(self: &Rc<Self>, env: &Env) {
        self.functions_are_over(env);
        let Some(opened) = self.opened.take() else { return };
        let group = self.clone();
        // Fails only in an environment that is ending.
        drop(task::run(env, DropJob(opened), move |env, _| {
            group.policy.borrow_mut().released();
            group.carry_out(env);
        }));
    }
}

/// One run of the function of a call.
#[derive(Clone)]
struct Run {
    group: Rc<Group>,
    call: Rc<Call>,
    id: RunId,
}

impl Run {
    /// Calls the function. The promise settles when the call is over, in whichever commit.
    fn apply<'env>(self, env: &'env Env, ahead: Option<Kept>) -> Result<'env, Unknown<'env>> {
        let index = || ahead.map_or_else(|| self.group.index(env, &self.call), |index| index.get(env));
        let next = self.call.check(env).and_then(|()| index()).and_then(|index| {
            self.group.policy.borrow_mut().entered(Instant::now());
            let function = self.call.request.function.get(env)?;
            let code = Code::of(env, &function);
            let needs_context = code.needs_context();
            if needs_context {
                self.group.enter(env);
            }
            let key = self.group.opened.borrow().as_ref().map(|opened| opened.key().clone());
            let next = apply::call(env, &self.call, &function, &index, key, needs_context)?;
            let is_promise = raw::is_thenable(env, &next)?;
            code.returned(is_promise);
            Ok((next, is_promise))
        });
        let rest = next.and_then(|(next, is_promise)| match is_promise {
            true => self.follow(env, &next),
            false => self.accept(env, &next),
        });
        rest.or_else(|error| self.fail(env, error))
    }

    /// Waits for the next index.
    fn follow<'env>(&self, env: &'env Env, next: &Unknown<'_>) -> Result<'env, Unknown<'env>> {
        self.call.promised();
        // Following takes two turns of the microtask queue at least: by then the caller's promise hangs on the
        // reactions below, and an error made there knows the caller.
        let mut next = raw::follow(env, next)?;
        let signal = &self.call.request.signal;
        if self.group.set_timer(env) || signal.is_given() {
            next = signal.race(env, next)?;
        }
        let (made, failed) = (self.clone(), self.clone());
        let rest = promise::then(env, &next, move |env, next| made.accept(env, &next))?;
        promise::catch(env, &rest, move |env, error| failed.fail(env, Thrown(error)))
    }

    /// The function has made the next index; or the run is over already, because others did not wait for it.
    fn accept<'env>(&self, env: &'env Env, next: &Unknown<'_>) -> Result<'env, Unknown<'env>> {
        if self.group.policy.borrow().is_current(self.id) {
            let next = apply::check(env, &self.call, next)?;
            self.call.running.take();
            self.group.policy.borrow_mut().accepted(self.id, next);
        }
        let rest = self.call.next_command(env)?;
        self.group.carry_out(env);
        Ok(rest)
    }

    /// The function has failed; or the run is over already, and this is what its call has failed with in the end.
    fn fail<'env>(&self, env: &'env Env, error: Thrown<'env>) -> Result<'env, Unknown<'env>> {
        if !self.group.policy.borrow().is_current(self.id) {
            return Err(error);
        }
        self.call.running.take();
        self.call.keep_failure(env, error)?;
        let rest = self.call.next_command(env)?;
        self.group.policy.borrow_mut().failed(self.id);
        self.group.carry_out(env);
        Ok(rest)
    }
}
