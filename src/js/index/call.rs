//! One call of `atomicIndexUpdate`, for as long as it takes.
//!
//! Calls that share a commit take turns with the index, so what a call does next is decided elsewhere. It waits for each
//! command in a promise reaction of its own, attached where the caller called: there V8 knows the caller's stack and
//! async context, wherever the command comes from. A patch does without, until it turns out that its worker alone cannot do it all.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use engine::error::Error;
use engine::index::file::UpdateOptions;
use engine::index::group::Member;
use engine::process::inside::Function;
use engine::process::{CallId, Inside};
use engine::steps::Steps;
use napi::Env;
use napi::bindgen_prelude::Unknown;

use crate::js::index::crowd::Crowd;
use crate::js::index::format::Format;
use crate::js::index::held::{Outcome, failed};
use crate::js::index::others::Ties;
use crate::js::index::patch::TextPatch;
use crate::js::index::schema::Schema;
use crate::js::index::stop::Stop;
use crate::js::index::view::Maker;
use crate::js::task::Timer;
use crate::js::value::promise::Deferred;
use crate::js::value::thrown::{abort, internal};
use crate::js::value::{ByNumber, Kept, KeptAny, Result, Signal, Thrown, Wakeup, promise};

/// What the caller wants.
pub struct Request {
    /// The call's name in the queue.
    pub id: CallId,
    /// What to do with the index.
    pub change: Change,
    /// Whether it is a patch, by whatever means it is made.
    pub is_patch: bool,
    /// What the caller calls the file.
    pub shown: String,
    /// Text for the function when there is no file.
    pub initial: Option<Vec<u16>>,
    /// How to write.
    pub options: UpdateOptions,
    /// What parses and prints the index.
    pub format: Format,
    /// What the index has to be like. The function checks what it is given.
    pub schema: Option<Schema>,
    /// What the call was made inside of.
    pub inside: Inside,
    /// The caller's.
    pub signal: Signal,
    /// What it has to do with other patches.
    pub ties: Ties,
    /// When the call was made.
    pub since: Instant,
    /// Until when to wait for the index; `None`: without a limit.
    pub deadline: Option<Instant>,
    /// Whether the function gets a frozen value, and what comes of it is kept for the next call.
    pub keeps_value: bool,
    /// For how long a run of the function may take; `None`: without a limit.
    pub fn_timeout: Option<Duration>,
    /// How long its steps take, if anyone wants to know.
    pub steps: Option<Arc<Steps>>,
    /// Options that only a store knows, in one word: calls share a commit if theirs are the same.
    pub store: String,
}

/// What becomes of an index.
pub enum Change {
    /// What this function makes of it.
    Call(Kept),
    /// What a patch of its text makes of it; or what this function does, which is the same patch, if the index is parsed.
    Patch(TextPatch, Same),
    /// What the patch makes of it that this makes after a look at it.
    View(Maker),
    /// What these patches make of its text, one after the other; if there is none, each is a call of its own.
    Crowd(Rc<Crowd>),
    /// This, as text, whatever it is.
    Value(Vec<u16>),
}

/// The function of such a patch.
pub enum Same {
    /// This one.
    Made(Kept),
    /// It is made of the patch when it is needed.
    ToMake,
}

impl Request {
    /// The function that makes the change; `None`: no function does.
    ///
    /// # Errors
    /// None, but in an environment that is ending.
    pub fn function<'env>(&self, env: &'env Env) -> Result<'env, Option<Unknown<'env>>> {
        Ok(Some(match &self.change {
            Change::Call(function) | Change::Patch(_, Same::Made(function)) => function.get(env)?,
            Change::View(Maker { same, .. }) => same.get(env)?,
            Change::Patch(patch, Same::ToMake) => patch.function(env, &self.shown, self.options.numbers)?,
            Change::Crowd(_) | Change::Value(_) => return Ok(None),
        }))
    }
}

/// What to do in a reaction of a call.
type React = Box<dyn for<'env> FnOnce(&'env Env, Rc<Call>) -> Result<'env, Unknown<'env>>>;

/// What a call is to do.
pub enum Command {
    /// Do this, and go on with the promise that it returns.
    Run(React),
    /// Tell the caller what came of the commit of so many calls.
    Settle(Outcome, usize),
    /// Tell the caller what the function has failed with.
    Finish,
}

/// A call in flight.
pub struct Call {
    /// What the caller wants.
    pub request: Request,
    /// From the call until the index was held.
    pub waited: Cell<Duration>,
    /// The run of the function that others wait for.
    pub running: Cell<Option<Function>>,
    /// How often the function has been called.
    pub attempts: Cell<u32>,
    /// Tells the function that nobody waits for its run any more.
    pub stop: Stop,
    /// Until the run of the function has taken too long.
    pub timer: RefCell<Option<Timer>>,
    /// It has.
    pub is_late: Cell<bool>,
    /// What the function has thrown last.
    failure: Cell<Option<KeptAny>>,
    command: RefCell<Option<Command>>,
    wakeup: Wakeup,
    /// The caller's promise, until a reaction is to settle it.
    answer: Cell<Option<Deferred>>,
    /// The caller has been told.
    over: Cell<bool>,
}

thread_local! {
    /// The calls of this thread, weakly: they belong to their closures, which N-API frees with
    /// the environment, and the thread may outlive that.
    static CALLS: RefCell<ByNumber<Weak<Call>>> = RefCell::default();
}

/// The name of the next call among all of this process.
pub fn next_id() -> CallId {
    static ISSUED: AtomicU64 = AtomicU64::new(0);
    ISSUED.fetch_add(1, Ordering::Relaxed)
}

/// The call of that name, if it is one of this thread.
pub fn find(id: CallId) -> Option<Rc<Call>> {
    CALLS.with_borrow(|calls| calls.get(&id)?.upgrade())
}

impl Call {
    /// A call that waits for its first command.
    pub fn new(request: Request) -> Rc<Self> {
        let id = request.id;
        let call = Rc::new(Self {
            request,
            waited: Cell::default(),
            running: Cell::default(),
            attempts: Cell::default(),
            stop: Stop::default(),
            timer: RefCell::default(),
            is_late: Cell::default(),
            failure: Cell::default(),
            command: RefCell::default(),
            wakeup: Wakeup::default(),
            answer: Cell::default(),
            over: Cell::default(),
        });
        CALLS.with_borrow_mut(|calls| calls.insert(id, Rc::downgrade(&call)));
        call
    }

    /// A call of its own for a part of what this one wants.
    pub fn alone(&self, change: Change) -> Rc<Self> {
        let Request { shown, initial, options, format, schema, inside, steps, store, .. } = &self.request;
        let call = Self::new(Request {
            id: next_id(),
            change,
            is_patch: self.request.is_patch,
            shown: shown.clone(),
            initial: initial.clone(),
            options: options.clone(),
            format: format.clone(),
            schema: schema.clone(),
            keeps_value: self.request.keeps_value,
            inside: inside.clone(),
            signal: Signal::default(),
            ties: Ties::default(),
            since: self.request.since,
            deadline: self.request.deadline,
            fn_timeout: self.request.fn_timeout,
            steps: steps.clone(),
            store: store.clone(),
        });
        call.waited.set(self.waited.get());
        call
    }

    /// How many calls of the program it is.
    pub fn count(&self) -> usize {
        if let Change::Crowd(crowd) = &self.request.change { crowd.count() } else { 1 }
    }

    /// The caller's promise. That of a patch does without a reaction if it [succeeds](Self::succeed) at once: a reaction is a fifth of what such a
    /// call costs this thread.
    pub fn begin<'env>(self: &Rc<Self>, env: &'env Env) -> Result<'env, Unknown<'env>> {
        if !matches!(self.request.change, Change::Patch(..)) {
            return self.next_command(env);
        }
        let (answer, promise) = Deferred::new(env)?;
        self.answer.set(Some(answer));
        Ok(promise)
    }

    /// From here on a reaction handles what is sent, where V8 knows the caller; the call belongs to it.
    pub fn follow(self: &Rc<Self>, env: &Env) {
        if let Some(answer) = self.answer.take() {
            answer.settle(env, self.next_command(env));
        }
    }

    /// Tells the caller what came of its change, which is written.
    pub fn succeed(self: &Rc<Self>, env: &Env, outcome: Outcome) {
        match self.answer.take() {
            Some(answer) => {
                let result = promise::guarded(env, || {
                    self.end(env)?;
                    outcome(env, self, 1)
                });
                answer.settle(env, result);
            }
            None => self.send(env, Command::Settle(outcome, 1)),
        }
    }

    /// A promise for what comes of the next command.
    pub fn next_command<'env>(self: &Rc<Self>, env: &'env Env) -> Result<'env, Unknown<'env>> {
        let sent = self.wakeup.wait(env)?;
        if self.command.borrow().is_some() {
            self.wakeup.wake(env);
        }
        let call = self.clone();
        promise::then(env, &sent, move |env, _| call.handle(env))
    }

    /// Sends a command. The call handles it in a reaction of its own.
    pub fn send(self: &Rc<Self>, env: &Env, command: Command) {
        self.follow(env);
        self.command.replace(Some(command));
        self.wakeup.wake(env);
    }

    /// The call has failed before it had the index.
    pub fn refuse(self: &Rc<Self>, env: &Env, failure: Error) {
        let failure = failure.inside(|| self.request.inside.names());
        self.send(env, Command::Settle(failed(failure), 1));
    }

    fn handle<'env>(self: Rc<Self>, env: &'env Env) -> Result<'env, Unknown<'env>> {
        let command = self.command.take();
        if let Some(Command::Run(react)) = command {
            return react(env, self);
        }
        self.end(env)?;
        let shown = &self.request.shown;
        match (command, self.failure.take(), &self.request.change) {
            (Some(Command::Settle(outcome, batch)), _, Change::Crowd(crowd)) => {
                // The faults of its patches are told even if there is nothing else to be told of the commit.
                let result = (crowd.count() > 0).then(|| outcome(env, &self, batch));
                crowd.told(env, result, shown)
            }
            (Some(Command::Settle(outcome, batch)), ..) => outcome(env, &self, batch),
            (Some(Command::Finish), Some(failure), _) => Err(Thrown(failure.get(env)?)),
            (Some(Command::Finish), None, Change::Crowd(crowd)) => crowd.told(env, None, shown),
            _ => Err(internal(env, "an update without a command")),
        }
    }

    fn end<'env>(&self, env: &'env Env) -> Result<'env, ()> {
        self.over.set(true);
        self.request.ties.running.take();
        self.run_is_over();
        self.request.signal.detach(env)
    }

    /// The function has returned a promise.
    pub fn promised(&self) {
        let running = self.running.take();
        running.iter().for_each(Function::promised);
        self.running.set(running);
    }

    /// The function has settled, or nobody waits for that any more.
    pub fn run_is_over(&self) {
        self.timer.take();
        self.is_late.set(false);
        self.running.take();
        self.stop.forget();
    }

    /// Keeps what the function has failed with, until it runs again or the caller is told.
    pub fn keep_failure<'env>(&self, env: &'env Env, Thrown(error): Thrown<'env>) -> Result<'env, ()> {
        self.failure.set(Some(KeptAny::new(env, &error)?));
        Ok(())
    }

    /// # Errors
    /// `AbortError` if the caller has aborted it.
    pub fn check<'env>(&self, env: &'env Env) -> Result<'env, ()> {
        let signal = &self.request.signal;
        signal.cancel().check().map_err(|_| abort(env, signal.reason(env)))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // At the end of a thread the map may be gone.
        let _ = CALLS.try_with(|calls| calls.borrow_mut().remove(&self.request.id));
    }
}

/// A call as its group knows it, which does not keep it: it belongs to the reaction in which it waits, and before that to what its job tells.
#[derive(Clone)]
pub struct WeakCall(pub Weak<Call>);

impl Member for WeakCall {
    fn is_gone(&self) -> bool {
        self.0.upgrade().is_none_or(|call| call.over.get())
    }

    fn is_aborted(&self) -> bool {
        self.0.upgrade().is_some_and(|call| call.request.signal.cancel().is_cancelled())
    }

    fn deadline(&self) -> Option<Instant> {
        self.0.upgrade()?.request.deadline
    }

    fn count(&self) -> usize {
        self.0.upgrade().map_or(1, |call| call.count())
    }

    fn part(&self) -> bool {
        let call = self.0.upgrade();
        call.is_some_and(|call| matches!(&call.request.change, Change::Crowd(crowd) if crowd.part()))
    }
}
