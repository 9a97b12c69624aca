//! A job without its type. There are dozens of types, and what drives a job would be compiled anew for each of them: it was a tenth
//! of the addon.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use engine::error::{ErrorKind, Result};
use engine::job::{After, Job, Step, Waiting};

/// A job of any type.
pub struct AnyJob(Box<dyn Run>);

/// What comes of one.
pub type AnyOutput = Box<dyn Any + Send>;

/// What came of a job whose output is a `T`.
pub fn typed<T: 'static>(outcome: Result<AnyOutput>) -> Result<T> {
    let typed = outcome?.downcast::<T>();
    typed.map(|output| *output).map_err(|_| ErrorKind::Panic("a job ended as another one".into()).into())
}

impl AnyJob {
    /// Takes the type off.
    pub fn new(job: impl Job) -> Self {
        Self(Box::new(job))
    }
}

impl Job for AnyJob {
    type Output = AnyOutput;

    fn run(self) -> Step<Self> {
        self.0.run()
    }

    fn is_short(&self) -> bool {
        self.0.is_short()
    }
}

trait Run: Send {
    fn run(self: Box<Self>) -> Step<AnyJob>;
    fn is_short(&self) -> bool;
}

impl<J: Job> Run for J {
    fn run(self: Box<Self>) -> Step<AnyJob> {
        match Job::run(*self) {
            Step::Done(outcome) => Step::Done(untyped(outcome)),
            Step::Wait(future) => Step::Wait(Box::pin(Untyped(future))),
            Step::Again(job, error) => Step::Again(AnyJob::new(job), error),
        }
    }

    fn is_short(&self) -> bool {
        Job::is_short(self)
    }
}

fn untyped<T: Send + 'static>(outcome: Result<T>) -> Result<AnyOutput> {
    outcome.map(|output| -> AnyOutput { Box::new(output) })
}

/// What a job waits for.
struct Untyped<J: Job>(Waiting<J>);

impl<J: Job> Future for Untyped<J> {
    type Output = After<AnyJob>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context).map(|after| match after {
            After::Run(job) => After::Run(AnyJob::new(job)),
            After::Done(outcome) => After::Done(untyped(outcome)),
        })
    }
}
