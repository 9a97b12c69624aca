//! Group commit: carries out what the policy of a group (`engine/group`) decides.
//!
//! A group belongs to the call that has the index: to the reaction that calls its function or waits for it, or to the
//! job that writes. A thread that ends drops its reactions, and with them the group and the lock.

mod lost;
mod printed;
mod run;
mod start;
mod textual;
mod value;
mod view;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use engine::error::{Error, ErrorKind};
use engine::index::document::Document;
use engine::index::file::UpdateOptions as EngineOptions;
use engine::index::group::{self as policy, Member, RunId, Verdict, Written};
use engine::index::text::Text;
use engine::steps::{self, Steps};
use napi::Env;
use napi::bindgen_prelude::Unknown;
use run::Run;
pub use start::start;
use value::{Made, Values};

use crate::js::index::call::{self, Call, Change, Command, Request, WeakCall};
use crate::js::index::format::Format;
use crate::js::index::held::{Doubt, Held, Next, Now, Outcome, Patience, Replace, Replaced, failed};
use crate::js::index::schema::Schema;
use crate::js::inside::Context;
use crate::js::task::{self, Timer};
use crate::js::value::{Kept, Result, Thrown};

/// A text this large takes some 20 ms to parse, and then more to print.
const LARGE: usize = 8 << 20;

type Policy = policy::Group<WeakCall, Index, Outcome>;
type Action = policy::Action<WeakCall, Index, Outcome>;

/// An index between the calls that share it.
enum Index {
    /// As functions have it.
    Parsed(Kept),
    /// As the document of the group is, which nobody had to parse so far.
    Patched,
    /// There is none, and nothing was made of it.
    Missing,
}

/// Updates that share an index.
pub struct Group {
    policy: RefCell<Policy>,
    /// `None`: it is being replaced, or it is gone.
    held: RefCell<Option<Box<dyn Held>>>,
    /// Its text, as long as patches alone have changed it; it is not with `held` then.
    document: RefCell<Option<Document>>,
    /// Functions get frozen values.
    keeps_value: bool,
    values: Values,
    /// Others than patches have had the value.
    is_foreign: Cell<bool>,
    /// Makes the errors of calls that are not served in time.
    patience: RefCell<Patience>,
    /// How all are written.
    options: EngineOptions,
    /// What parses and prints the index for all.
    format: Format,
    /// What all ask of the index.
    schema: Option<Schema>,
    /// What all have asked of a store.
    store: String,
    /// When the last of its calls is not willing to wait any longer; `None`: never.
    until: Cell<Option<Instant>>,
    /// Those of its last write, if a call wants to know its steps.
    steps: RefCell<Option<Arc<Steps>>>,
    /// Those of the wait for the index, while it is to be had again, if a call wants to know.
    wait: RefCell<Option<Arc<Steps>>>,
    /// Lets the policy check the calls that wait for a function, or for a write.
    timer: RefCell<Option<Timer>>,
    /// On while functions have the index.
    context: Cell<Option<Context>>,
}

impl Group {
    /// Starts with `leader`, which has the index.
    pub fn lead(env: &Env, leader: &Rc<Call>, held: Box<dyn Held>) {
        Self::new(leader, held, Policy::new).carry_out(env);
    }

    /// Starts with `leader`, whose change was to be written already.
    pub fn lead_on(env: &Env, leader: &Rc<Call>, held: Box<dyn Held>, written: Written<Outcome>) {
        let group = Self::new(leader, held, Policy::writing);
        group.policy.borrow_mut().written(written, Ok(()), Instant::now());
        group.carry_out(env);
    }

    fn new(leader: &Rc<Call>, held: Box<dyn Held>, begin: fn(WeakCall) -> Policy) -> Rc<Self> {
        leader.waited.set(held.waited());
        let Request { options, format, schema, store, keeps_value, deadline, .. } = &leader.request;
        Rc::new(Self {
            policy: RefCell::new(begin(WeakCall(Rc::downgrade(leader)))),
            patience: RefCell::new(held.patience()),
            held: RefCell::new(Some(held)),
            document: RefCell::default(),
            keeps_value: *keeps_value,
            values: Values::default(),
            is_foreign: Cell::default(),
            options: options.clone(),
            format: format.clone(),
            schema: schema.clone(),
            store: store.clone(),
            until: Cell::new(*deadline),
            steps: RefCell::new(leader.request.steps.as_ref().map(|_| Steps::new())),
            wait: RefCell::default(),
            timer: RefCell::default(),
            context: Cell::default(),
        })
    }

    /// Does what is to be done, until there is nothing left but to wait.
    fn carry_out(self: &Rc<Self>, env: &Env) {
        while let Some(action) = self.next() {
            match action {
                Action::Run(call, id) => self.run(env, &call, id),
                Action::Interrupt(WeakCall(call)) => {
                    if let Some(call) = call.upgrade() {
                        call.timer.take();
                        call.stop.abort(env, None);
                        call.request.signal.interrupt(env);
                    }
                }
                Action::Write { index, sole, keep } => self.write(env, index, sole, keep),
                Action::Release => self.release(env),
                Action::Tell(calls, verdict) => self.tell(env, &calls, &verdict),
            }
        }
    }

    fn next(&self) -> Option<Action> {
        let is_parsed = matches!(self.policy.borrow().index(), Some(Index::Parsed(_)));
        self.policy.borrow_mut().next(Instant::now(), || self.take_follower(is_parsed))
    }

    /// Takes the next call of this thread out of the queue, if it is to be written in the same way. A patch for which a large part of the text
    /// is to be taken apart stays: it leads the next commit, and a worker does that when it reads the index.
    fn take_follower(&self, is_parsed: bool) -> Option<WeakCall> {
        let suits = |Request { change, options, format, schema, store, keeps_value, .. }: &_| {
            *options == self.options
                && *keeps_value == self.keeps_value
                && *format == self.format
                && *schema == self.schema
                && *store == self.store
                && (is_parsed || self.is_ready(change))
        };
        let found = Cell::new(None);
        let suits = |id| {
            let call = call::find(id).filter(|call| suits(&call.request));
            let is_one = call.is_some();
            found.set(call);
            is_one
        };
        self.held.borrow().as_ref()?.take_follower(&suits)?;
        // The queue gives out the first that suits, so no other was asked for after it.
        let call = found.take()?;
        call.waited.set(call.request.since.elapsed());
        if let Some(own) = &call.request.steps {
            own.end();
            self.steps.borrow_mut().get_or_insert_with(Steps::new);
        }
        let until = self.until.get().zip(call.request.deadline);
        self.until.set(until.map(|(until, deadline)| until.max(deadline)));
        Some(WeakCall(Rc::downgrade(&call)))
    }

    /// Lets the function of a call change the index, in a reaction of that call.
    fn run(self: &Rc<Self>, env: &Env, WeakCall(call): &WeakCall, id: RunId) {
        let Some(call) = call.upgrade() else { return self.policy.borrow_mut().failed(id) };
        let is_parsed = match &call.request.change {
            Change::Call(_) => true,
            Change::Patch(..) | Change::View(_) => !self.has_text(),
            Change::Crowd(_) | Change::Value(_) => false,
        };
        let is_large = is_parsed && self.is_large();
        // If parsing fails here, it fails again where the caller gets the error.
        let ahead = is_large.then(|| Kept::new(env, &self.index(env, &call).ok()?).ok()).flatten();
        let (group, is_ahead) = (self.clone(), ahead.is_some());
        let command =
            Command::Run(Box::new(move |env, call| Run { group, call, id, copy: None }.apply(env, ahead)));
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
        let held = self.held.borrow();
        let text = held.as_ref().and_then(|held| held.text());
        self.policy.borrow().index().is_none() && text.is_some_and(|text| text.json().len() >= LARGE)
    }

    /// The index for the function of `call`.
    fn index<'env>(&self, env: &'env Env, call: &Call) -> Result<'env, Unknown<'env>> {
        if self.keeps_value {
            return self.frozen(env, call);
        }
        match self.policy.borrow().index() {
            Some(Index::Parsed(index)) => return index.get(env),
            Some(Index::Patched) => return self.parse_patched(env),
            Some(Index::Missing) | None => self.put_back(),
        }
        let held = self.held.borrow();
        self.parse(env, held.as_ref().and_then(|held| held.text()), call)
    }

    /// What the index says, for the function of `call`.
    fn parse<'env>(&self, env: &'env Env, text: Option<&Text>, call: &Call) -> Result<'env, Unknown<'env>> {
        let Request { initial, shown, .. } = &call.request;
        self.format.parse(env, text, initial.as_deref(), self.options.numbers, shown)
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

    /// Writes what the functions have made, if it passes the schema.
    fn write(self: &Rc<Self>, env: &Env, index: Index, sole: Option<WeakCall>, keep: bool) {
        self.functions_are_over(env);
        let sole = sole.and_then(|WeakCall(call)| call.upgrade());
        let index = match index {
            Index::Parsed(index) => index,
            Index::Patched => return self.write_patched(env, sole, keep),
            Index::Missing => return self.write_nothing(env),
        };
        self.put_back();
        match self.check(env, &index, sole.as_deref()) {
            Ok(true) => self.write_checked(env, &index, sole, keep),
            Ok(false) => self.policy.borrow_mut().written(Written::Changed, Ok(()), Instant::now()),
            Err(error) => self.refuse(env, sole, error),
        }
    }

    /// `false`: the functions have to run once more.
    fn check<'env>(&self, env: &'env Env, index: &Kept, sole: Option<&Call>) -> Result<'env, bool> {
        let Some(schema) = &self.schema else { return Ok(true) };
        let shown = sole.map_or("", |call| &call.request.shown);
        schema.check_made(env, &index.get(env)?, shown)
    }

    /// What the functions have made is none that can be written.
    fn refuse(&self, env: &Env, sole: Option<Rc<Call>>, error: Thrown<'_>) {
        // Fails only in an environment that is ending.
        let _ = sole.map(|call| call.keep_failure(env, error));
        self.policy.borrow_mut().refused();
    }

    fn write_checked(self: &Rc<Self>, env: &Env, index: &Kept, sole: Option<Rc<Call>>, keep: bool) {
        let Some(mut held) = self.held.take() else { return };
        let shown = sole.as_ref().map_or("", |call| &call.request.shown);
        match self.next_text(env, index, &mut *held, shown) {
            Ok(next) => self.replace(env, held, next, sole, keep),
            Err(error) => {
                self.held.replace(Some(held));
                self.refuse(env, sole, error);
            }
        }
    }

    fn replace(
        self: &Rc<Self>,
        env: &Env,
        held: Box<dyn Held>,
        next: Next,
        sole: Option<Rc<Call>>,
        keep: bool,
    ) {
        let made = self.values.take_made();
        let edition = made.as_ref().map(|made| made.edition);
        let (options, times) =
            (EngineOptions { edition, ..self.options.clone() }, self.policy.borrow().times());
        let how = Replace { options, keep, sole, times, until: self.until.get() };
        if let Some(doubt) = held.doubt() {
            self.watch(env, doubt);
        }
        let steps = self.steps.borrow().as_ref().map(|_| Steps::new());
        self.steps.replace(steps.clone());
        let group = self.clone();
        let done = Box::new(move |env: &Env, replaced| group.written(env, replaced, made.as_ref()));
        steps::scope(steps.as_ref(), || held.replace(env, next, how, done));
    }

    /// Tells calls whose time is over before that of the write which they share.
    fn watch(self: &Rc<Self>, env: &Env, doubt: Doubt) {
        let now = Instant::now();
        let Some(next) = self.policy.borrow().next_deadline(now) else { return };
        let group = self.clone();
        let timer = task::after(env, next - now, move |env| {
            group.timer.take();
            group.policy.borrow_mut().overdue(doubt(env), Instant::now());
            group.carry_out(env);
            group.watch(env, doubt);
        });
        self.timer.replace(timer);
    }

    fn written(self: &Rc<Self>, env: &Env, Replaced { written, held }: Replaced, made: Option<&Made>) {
        self.timer.take();
        self.keep(env, made.filter(|_| matches!(written, Written::Done(_))));
        match held {
            Ok(Now::Lost(lost)) => return self.lost(env, written, lost),
            Ok(Now::Held(held)) => {
                self.held.replace(Some(held));
                self.policy.borrow_mut().written(written, Ok(()), Instant::now());
            }
            Err(outcome) => self.policy.borrow_mut().written(written, Err(outcome), Instant::now()),
        }
        self.carry_out(env);
    }

    fn tell(&self, env: &Env, calls: &[WeakCall], verdict: &Verdict<Outcome>) {
        let count = calls.iter().map(Member::count).sum();
        for call in calls.iter().filter_map(|WeakCall(call)| call.upgrade()) {
            self.count_wait(&call);
            if let (Verdict::Settled(_), Some(own), Some(shared)) =
                (verdict, &call.request.steps, &*self.steps.borrow())
            {
                own.add(shared);
            }
            let failed = |error: Error| Command::Settle(failed(error), 1);
            let command = match verdict {
                Verdict::Settled(outcome) => Command::Settle(outcome.clone(), count),
                Verdict::Aborted => failed(ErrorKind::Aborted.into()),
                Verdict::TimedOut { changed } => {
                    let Request { since, inside, .. } = &call.request;
                    failed((self.patience.borrow())(since.elapsed(), *changed).inside(|| inside.names()))
                }
                Verdict::Finished => Command::Finish,
            };
            call.send(env, command);
        }
    }

    /// Gives the index back as it is.
    fn release(self: &Rc<Self>, env: &Env) {
        self.functions_are_over(env);
        self.put_back();
        let Some(held) = self.held.take() else { return };
        let group = self.clone();
        held.release(
            env,
            Box::new(move |env| {
                group.policy.borrow_mut().released();
                group.carry_out(env);
            }),
        );
    }
}
