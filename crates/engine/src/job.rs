//! A piece of work that may have to wait: for its turn, for a lock, for descriptors. It says so and leaves its thread.
//!
//! Two drivers run jobs: libuv's workers with tokio (the addon), and a thread that blocks ([`crate::blocking`]).

use std::future::Future;
use std::pin::Pin;

use crate::error::{Error, Result};

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
    Done(Result<J::Output>),
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
    Done(Result<J::Output>),
}

impl<J: Job> From<Result<J>> for After<J> {
    fn from(job: Result<J>) -> Self {
        job.map_or_else(|error| Self::Done(Err(error)), Self::Run)
    }
}

/// Drops a value on a worker, because that is I/O: a batch removes what is staged, an index its lock file.
pub struct DropJob<T>(pub T);

impl<T: Send + 'static> Job for DropJob<T> {
    type Output = ();

    fn run(self) -> Step<Self> {
        drop(self.0);
        Step::Done(Ok(()))
    }
}
