//! Runs a job on libuv's worker threads, without ever blocking one on somebody else.
//!
//! A job that has to wait (for its turn, for a lock, for descriptors) says so and leaves its thread.
//! The waiting is done by tokio, on one thread of its own that exists only once somebody waits; then
//! the job is queued again. Chained async works keep the caller's async context and the event loop's
//! own bookkeeping: the loop lives while a job does, and not longer.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use napi::bindgen_prelude::Unknown;
use napi::{Env, JsValue as _, ScopedTask};
use tokio::runtime::Handle;

use super::error::Failure;
use super::promise;
use super::value::{self, Result};
use crate::engine::error::{Error, ErrorKind};

/// Work that may have to wait.
pub trait Job: Send + Sized + 'static {
    /// What comes of it.
    type Output: Send + 'static;

    /// Runs on a worker thread until it is done or has to wait.
    fn run(self) -> Step<Self>;
}

/// How far a job got.
pub enum Step<J: Job> {
    /// To its end.
    Done(std::result::Result<J::Output, Failure>),
    /// It waits, and goes on when this resolves.
    Wait(Waiting<J>),
    /// Nothing was changed, and the cause passes by itself: to be tried again.
    Again(J, Error),
}

/// What a job waits for.
pub type Waiting<J> = Pin<Box<dyn Future<Output = After<J>> + Send>>;

/// How a job goes on after it has waited.
pub enum After<J: Job> {
    /// On a worker.
    Run(J),
    /// Not at all: it is done.
    Done(std::result::Result<J::Output, Failure>),
}

/// How long a job puts up with a lack of descriptors.
const PATIENCE: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

type Outcome<J> = Arc<Mutex<Option<std::result::Result<<J as Job>::Output, Failure>>>>;

struct Work<J: Job> {
    job: Option<J>,
    outcome: Outcome<J>,
    retry: Retry,
}

#[derive(Clone, Copy)]
struct Retry {
    since: Option<Instant>,
    pause: Duration,
}

/// Starts `job`. `react` gets its outcome, on the JavaScript thread, and makes the result of the
/// returned promise of it.
pub fn start<'env, J, R>(env: &'env Env, job: J, react: R) -> Result<'env, Unknown<'env>>
where
    J: Job,
    R: for<'scope> FnOnce(
            &'scope Env,
            std::result::Result<J::Output, Failure>,
        ) -> Result<'scope, Unknown<'scope>>
        + 'static,
{
    let outcome: Outcome<J> = Arc::default();
    let retry = Retry { since: None, pause: FIRST_PAUSE };
    let work = spawn(env, Work { job: Some(job), outcome: outcome.clone(), retry });
    let work = work.map_err(|error| super::error::internal(env, &error.to_string()))?;
    promise::then(env, &work, move |env, _| {
        let outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        react(
            env,
            outcome.unwrap_or_else(|| Err(ErrorKind::Panic("a job ended without an outcome".into()).into())),
        )
    })
}

fn spawn<'env, J: Job>(env: &'env Env, work: Work<J>) -> napi::Result<Unknown<'env>> {
    let promise = env.spawn(work)?.promise_object();
    // SAFETY: a promise of the current scope.
    Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), promise.value().value) })
}

impl<'task, J: Job> ScopedTask<'task> for Work<J> {
    type Output = Option<Step<J>>;
    type JsValue = Unknown<'task>;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        let Some(job) = self.job.take() else {
            return Ok(None);
        };
        // A panic here would end the process.
        let step = catch_unwind(AssertUnwindSafe(|| job.run()))
            .unwrap_or_else(|panic| Step::Done(Err(bug(&*panic))));
        match step {
            Step::Done(result) => {
                self.settle(result);
                Ok(None)
            }
            Step::Again(_, error) if self.retry.since.is_some_and(|since| since.elapsed() > PATIENCE) => {
                self.settle(Err(error.into()));
                Ok(None)
            }
            step => Ok(Some(step)),
        }
    }

    fn resolve(&mut self, env: &'task Env, step: Self::Output) -> napi::Result<Self::JsValue> {
        catch_unwind(AssertUnwindSafe(|| self.go_on(env, step))).unwrap_or_else(|panic| {
            self.settle(Err(bug(&*panic)));
            Ok(value::undefined(env))
        })
    }
}

impl<J: Job> Work<J> {
    /// From the end of one work to the start of the next, if there is one.
    fn go_on<'env>(&self, env: &'env Env, step: Option<Step<J>>) -> napi::Result<Unknown<'env>> {
        let retry = Retry { since: None, pause: FIRST_PAUSE };
        match step {
            None | Some(Step::Done(_)) => Ok(value::undefined(env)),
            Some(Step::Wait(future)) => self.wait(env, future, retry),
            Some(Step::Again(job, _)) => {
                let Retry { since, pause } = self.retry;
                let retry = Retry {
                    since: since.or_else(|| Some(Instant::now())),
                    pause: (pause * 2).min(LONGEST_PAUSE),
                };
                let future = async move {
                    tokio::time::sleep(pause).await;
                    After::Run(job)
                };
                self.wait(env, Box::pin(future), retry)
            }
        }
    }

    fn settle(&self, result: std::result::Result<J::Output, Failure>) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    }

    /// Answers with a promise for the rest of the job.
    fn wait<'env>(&self, env: &'env Env, future: Waiting<J>, retry: Retry) -> napi::Result<Unknown<'env>> {
        let runtime = match runtime() {
            Ok(runtime) => runtime,
            Err(error) => {
                self.settle(Err(Error::system("thread", error).into()));
                return Ok(value::undefined(env));
            }
        };
        type Resolver = Box<dyn FnOnce(Env) -> napi::Result<Unknown<'static>> + Send>;
        let (deferred, promise) = env.create_deferred::<Unknown<'static>, Resolver>()?;
        let outcome = self.outcome.clone();
        runtime.spawn(async move {
            let next = future.await;
            // Should the environment be gone, this is dropped, and with it what the job holds.
            deferred.resolve(Box::new(move |env| match next {
                After::Run(job) => unscoped(spawn(&env, Work { job: Some(job), outcome, retry })?),
                After::Done(result) => {
                    *outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                    unscoped(value::undefined(&env))
                }
            }));
        });
        // SAFETY: a promise of the current scope.
        Ok(unsafe { Unknown::from_raw_unchecked(env.raw(), promise.raw()) })
    }
}

/// A value of the current scope, for napi's resolver, which asks for a longer life and uses it at once.
fn unscoped(value: Unknown<'_>) -> napi::Result<Unknown<'static>> {
    // SAFETY: the resolver's caller passes it to N-API before its handle scope ends.
    Ok(unsafe { Unknown::from_raw_unchecked(value.value().env, value.raw()) })
}

fn bug(panic: &(dyn Any + Send)) -> Failure {
    let message = panic
        .downcast_ref::<&str>()
        .map(|message| (*message).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic".to_owned());
    ErrorKind::Panic(message).into()
}

/// One thread is enough: it sleeps, and looks at locks. Started by hand, for tokio would panic where
/// the system has no thread to give; and not given up on, for it may have one later.
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
