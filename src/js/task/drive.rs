//! Runs a job on libuv's worker threads, without ever blocking one while the job waits.
//!
//! A job that has to wait (for its turn, for a lock, for descriptors) says so and leaves its thread.
//! The waiting is done by tokio, on one thread of its own that is started with the first wait; then
//! the job is queued again. The event loop lives while a job does, and not longer.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::error::{Error, ErrorKind};
use engine::job::{After, Job, Retry, Step, Waiting};
use engine::steps::{self, Scoped, Steps};
use napi::Env;
use napi::bindgen_prelude::Unknown;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::js::task::any_job::{AnyJob, AnyOutput, typed};
use crate::js::task::mailbox::Tell;
use crate::js::task::{eager, mailbox, short, work};
use crate::js::value::promise::{self, Deferred};
use crate::js::value::{Result, Wakeup};

/// What came of a job.
pub type Outcome<T> = std::result::Result<T, Error>;

/// What hears of it.
type Done = Box<dyn FnOnce(&Env, Outcome<AnyOutput>)>;

/// What hears that it has begun.
type Begun = Box<dyn FnOnce(&Env)>;

/// What a worker has come to with a job.
type Reached = (Step<AnyJob>, CallSteps, Retry);

/// What makes of it what a promise is for.
type React = Box<dyn for<'scope> FnOnce(&'scope Env, Outcome<AnyOutput>) -> Result<'scope, Unknown<'scope>>>;

/// Of the call that a job is done for, if anyone wants to know them.
type CallSteps = Option<Arc<Steps>>;

/// Starts `job`. `react` gets its outcome, in a reaction of a promise that is made here, and makes the result of
/// the returned promise of it. There V8 knows the caller's stack and async context.
pub fn start<'env, J, R>(env: &'env Env, job: J, react: R) -> Result<'env, Unknown<'env>>
where
    J: Job,
    R: for<'scope> FnOnce(&'scope Env, Outcome<J::Output>) -> Result<'scope, Unknown<'scope>> + 'static,
{
    start_any(env, AnyJob::new(job), Box::new(move |env, outcome| react(env, typed(outcome))))
}

/// As [`start`], but only a failure is settled in a reaction, where V8 knows the caller for the error's stack. Success
/// does without, as a reaction is a quarter of what a write costs this thread; so no code of the user's may be called.
pub fn answer<'env, J, R>(env: &'env Env, job: J, react: R) -> Result<'env, Unknown<'env>>
where
    J: Job,
    R: for<'scope> FnOnce(&'scope Env, Outcome<J::Output>) -> Result<'scope, Unknown<'scope>> + 'static,
{
    answer_any(env, AnyJob::new(job), Box::new(move |env, outcome| react(env, typed(outcome))))
}

/// Starts `job`. `done` gets its outcome, on this thread, without a caller's stack or async context. It is done for the call in
/// whose [scope](steps::scope) this is called.
pub fn run<'env, J: Job>(
    env: &'env Env,
    job: J,
    done: impl FnOnce(&Env, Outcome<J::Output>) + 'static,
) -> Result<'env, ()> {
    run_any(env, AnyJob::new(job), Box::new(move |env, outcome| done(env, typed(outcome))))
}

/// As [`run`]; `begun` is called when the job has run for the first time: it waits for something then, or it is over.
pub fn run_telling<'env, J: Job>(
    env: &'env Env,
    job: J,
    begun: impl FnOnce(&Env) + 'static,
    done: impl FnOnce(&Env, Outcome<J::Output>) + 'static,
) -> Result<'env, ()> {
    let done = move |env: &Env, outcome| done(env, typed(outcome));
    run_telling_any(env, AnyJob::new(job), Box::new(begun), Box::new(done))
}

// From here on jobs and what hears of them have no types.

fn start_any(env: &Env, job: AnyJob, react: React) -> Result<'_, Unknown<'_>> {
    let over = Rc::new((Wakeup::default(), Cell::new(None)));
    let promise = over.0.wait(env)?;
    let told = over.clone();
    let done = move |env: &Env, outcome| {
        told.1.set(Some(outcome));
        told.0.wake(env);
    };
    run_any(env, job, Box::new(done))?;
    promise::then(env, &promise, move |env, _| {
        let lost = || Err(ErrorKind::Panic("a job ended without an outcome".into()).into());
        react(env, over.1.take().unwrap_or_else(lost))
    })
}

fn answer_any(env: &Env, job: AnyJob, react: React) -> Result<'_, Unknown<'_>> {
    let (answer, promise) = Deferred::new(env)?;
    let done = move |env: &Env, outcome: Outcome<AnyOutput>| {
        if outcome.is_ok() {
            return answer.settle(env, promise::guarded(env, || react(env, outcome)));
        }
        let failed = Wakeup::default();
        let error = failed
            .wait(env)
            .and_then(|failed| promise::then(env, &failed, move |env, _| react(env, outcome)));
        // In this order: V8 looks for the caller from the reaction on.
        answer.settle(env, error);
        failed.wake(env);
    };
    run_any(env, job, Box::new(done))?;
    Ok(promise)
}

fn run_any(env: &Env, job: AnyJob, done: Done) -> Result<'_, ()> {
    spawn(env, job, steps::current(), Retry::default(), done)
}

fn run_telling_any(env: &Env, job: AnyJob, begun: Begun, done: Done) -> Result<'_, ()> {
    let work = work_of(job, steps::current(), Retry::default());
    work::queue(env, work, move |env, (step, steps, retry)| {
        begun(env);
        go_on(env, step, steps, retry, done);
    })
}

fn spawn(env: &Env, job: AnyJob, steps: CallSteps, retry: Retry, done: Done) -> Result<'_, ()> {
    if job.is_short() {
        return spawn_short(env, job, steps, retry, done);
    }
    let work = work_of(job, steps, retry);
    work::queue(env, work, move |env, (step, steps, retry)| go_on(env, step, steps, retry, done))
}

fn work_of(job: AnyJob, steps: CallSteps, mut retry: Retry) -> impl FnOnce() -> Reached + 'static {
    move || {
        let step = steps::scope(steps.as_ref(), || step(job, &mut retry));
        (step, steps, retry)
    }
}

/// As [`spawn`], for a short job: what it waits for is waited for from its worker on, and then it goes on there.
fn spawn_short(env: &Env, job: AnyJob, steps: CallSteps, retry: Retry, done: Done) -> Result<'_, ()> {
    let work = move |tell| run_short(job, steps, retry, tell);
    short::queue(env, work, move |env, (step, steps, retry)| go_on(env, step, steps, retry, done))
}

/// On a worker. Of its steps those are told that do not wait.
fn run_short(job: AnyJob, steps: CallSteps, mut retry: Retry, tell: Tell<Reached>) {
    let step = steps::scope(steps.as_ref(), || step(job, &mut retry));
    let future = match step {
        Step::Wait(future) => Scoped { steps: steps.clone(), future },
        step => return tell.post((step, steps, retry)),
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return tell.post((Step::Done(Err(Error::system("thread", error))), steps, retry)),
    };
    let mut tell = tell;
    let task = async move {
        match tell.unless_ended(future).await {
            Some(After::Run(job)) => tell.queue(move |tell| run_short(job, steps, retry, tell)),
            Some(After::Done(outcome)) => tell.send((Step::Done(outcome), steps, retry)).await,
            None => {}
        }
    };
    eager::begin(&runtime, Box::pin(task));
}

/// On a worker.
fn step(job: AnyJob, retry: &mut Retry) -> Step<AnyJob> {
    // A panic becomes a rejection.
    match catch_unwind(AssertUnwindSafe(|| retry.run(job))) {
        Ok(step) => step,
        Err(panic) => Step::Done(Err(bug(&*panic))),
    }
}

/// From the end of one work to the start of the next, if there is one.
fn go_on(env: &Env, step: Step<AnyJob>, steps: CallSteps, mut retry: Retry, done: Done) {
    let future: Waiting<AnyJob> = match step {
        Step::Done(outcome) => return done(env, outcome),
        Step::Wait(future) => future,
        Step::Again(job, _) => {
            let pause = retry.pause();
            Box::pin(async move {
                tokio::time::sleep(pause).await;
                After::Run(job)
            })
        }
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return done(env, Err(Error::system("thread", error))),
    };
    // Fails only in an environment that is ending, as does `spawn`.
    let future = Scoped { steps: steps.clone(), future };
    drop(mailbox::wait(env, &runtime, future, move |env, after| match after {
        After::Run(job) => drop(spawn(env, job, steps, retry, done)),
        After::Done(outcome) => done(env, outcome),
    }));
}

/// Calls `done` when the event loop has turned; where there is no thread to wait for that, now.
pub fn later(env: &Env, done: impl FnOnce(&Env) + 'static) {
    // Longer than no time at all: a completion that arrives at once could be handled in this turn. Not setTimeout, which
    // programs replace, tests above all.
    let turned = async { tokio::time::sleep(Duration::from_millis(1)).await };
    match runtime() {
        // Fails only in an environment that is ending.
        Ok(runtime) => drop(mailbox::wait(env, &runtime, turned, |env, ()| done(env))),
        Err(_) => done(env),
    }
}

/// Calls `done` after `time`, unless the timer is dropped before. The event loop lives until then. `None`: there is no
/// thread to wait, and `done` is not called.
pub fn after(env: &Env, time: Duration, done: impl FnOnce(&Env) + 'static) -> Option<Timer> {
    let (stop, stopped) = oneshot::channel();
    let timer = Timer { _stop: stop, alive: Rc::new(()) };
    let is_due = async move { tokio::time::timeout(time, stopped).await.is_err() };
    let alive = Rc::downgrade(&timer.alive);
    let done = move |env: &Env, is_due| {
        // That it is due may have been on its way when it was dropped.
        if is_due && alive.strong_count() > 0 {
            done(env);
        }
    };
    mailbox::wait(env, &runtime().ok()?, is_due, done).ok()?;
    Some(timer)
}

/// Dropped, it cancels the call.
pub struct Timer {
    _stop: oneshot::Sender<()>,
    alive: Rc<()>,
}

fn bug(panic: &(dyn Any + Send)) -> Error {
    let message = panic
        .downcast_ref::<&str>()
        .map(|message| (*message).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic".to_owned());
    ErrorKind::Panic(message).into()
}

/// One thread is enough: it sleeps, and looks at locks. It is started by hand, because tokio would panic where
/// the system has no thread to give; a failure is not final, because the system may have one later.
fn runtime() -> std::io::Result<Handle> {
    static RUNTIME: Mutex<Option<Handle>> = Mutex::new(None);
    let mut running = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*running {
        return Ok(handle.clone());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name("atomic-wait".to_owned())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    Ok(running.insert(handle).clone())
}
