//! A piece of work that may have to wait: for its turn, for a lock, for descriptors. It says so and leaves its thread.
//!
//! Two drivers run jobs: libuv's workers with tokio (the addon), and a thread that blocks ([`crate::blocking`]).

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::error::{Error, Result};

/// Work that may have to wait.
pub trait Job: Send + Sized + 'static {
    /// What comes of it.
    type Output: Send + 'static;

    /// Runs on a worker thread until it is done or has to wait.
    fn run(self) -> Step<Self>;

    /// Whether it is a few calls of the system, so that many of them had better share the way to a worker and back.
    fn is_short(&self) -> bool {
        false
    }
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

/// How long a job pauses in all, until what it lacks counts as lacking for good.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same on a thread that serves others: they wait too, and what it lacks may be what only they give back.
const BRIEF_PATIENCE: Duration = Duration::from_millis(100);
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// The pauses of one job before each [`Step::Again`]. What it waits for in between is not counted, and makes nothing undone:
/// a job may get its lock each time and lack a descriptor each time after that.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    left: Duration,
    pause: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { left: PATIENCE, pause: FIRST_PAUSE }
    }
}

impl Retry {
    /// For a job that blocks a thread on which others wait, such as one with an event loop.
    pub fn brief() -> Self {
        Self { left: BRIEF_PATIENCE, ..Self::default() }
    }

    /// Whether the job has paused for as long as it may.
    pub fn is_over(&self) -> bool {
        self.left.is_zero()
    }

    /// How long to pause before the next try.
    pub fn pause(&mut self) -> Duration {
        self.left = self.left.saturating_sub(self.pause);
        let longer = (self.pause * 2).min(LONGEST_PAUSE);
        std::mem::replace(&mut self.pause, longer)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_of_a_job_are_ten_seconds_in_all_or_a_tenth_of_one_where_others_wait() {
        for (mut retry, patience) in [(Retry::default(), PATIENCE), (Retry::brief(), BRIEF_PATIENCE)] {
            let mut paused = Duration::ZERO;
            while !retry.is_over() {
                paused += retry.pause();
            }
            assert!(paused >= patience && paused < patience + LONGEST_PAUSE);
        }
    }
}
