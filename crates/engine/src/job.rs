//! A piece of work that may have to wait: for its turn, for a lock, for descriptors. It says so and leaves its thread.
//!
//! Two drivers run jobs: libuv's workers with tokio (the addon), and a thread that blocks ([`crate::blocking`]).

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

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

/// How long a job's failed tries and the pauses between them take in all, until what it lacks counts as lacking for good.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same on a thread that serves others: they wait too, and what it lacks may be what only they give back.
const BRIEF_PATIENCE: Duration = Duration::from_millis(100);
/// A try counts as no longer than this: one that flushes gigabytes, or on a slow disk, has taken more than the patience before it lacks
/// anything, and what it lacks may come back in a second.
const LONGEST_COUNTED: Duration = Duration::from_secs(1);
/// So often a job is tried at least. A thread that serves others has patience for fewer tries than ten.
const FEWEST_TRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// The patience with one job, which ends in [`Step::Again`] again and again. Tries count with the time that they take, up to a
/// second, since a try may be patient itself: slow ones are ten at least, with their pauses. What the job waits for in between is not counted, and makes nothing undone: a job may get its lock each
/// time and lack a descriptor each time after that.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    left: Duration,
    pause: Duration,
    tries: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self { left: PATIENCE, pause: FIRST_PAUSE, tries: 0 }
    }
}

impl Retry {
    /// For a job that blocks a thread on which others wait, such as one with an event loop.
    pub fn brief() -> Self {
        Self { left: BRIEF_PATIENCE, ..Self::default() }
    }

    /// Runs a job. After its last try, [`Step::Again`] is its end.
    pub fn run<J: Job>(&mut self, job: J) -> Step<J> {
        let began = Instant::now();
        match job.run() {
            Step::Again(_, error) if self.is_over_after(began.elapsed()) => Step::Done(Err(error)),
            step => step,
        }
    }

    /// Counts a try that has failed. Whether it was the last one.
    pub fn is_over_after(&mut self, took: Duration) -> bool {
        self.left = self.left.saturating_sub(took.min(LONGEST_COUNTED));
        self.tries += 1;
        self.left.is_zero() && self.tries >= FEWEST_TRIES
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

    /// How many tries that take `took` are made, and how long they and their pauses are in all, without a clock.
    fn lasts(mut retry: Retry, took: Duration) -> (u32, Duration) {
        let (mut tries, mut time) = (1, took);
        while !retry.is_over_after(took) {
            time += retry.pause() + took;
            tries += 1;
        }
        (tries, time)
    }

    #[test]
    fn the_tries_of_a_job_and_their_pauses_are_ten_seconds_in_all_or_a_tenth_of_one_where_others_wait() {
        for (retry, patience) in [(Retry::default(), PATIENCE), (Retry::brief(), BRIEF_PATIENCE)] {
            // At once; as a file on Windows that is held; as a loop that is patient itself.
            for took in [0, 50, 200, 1_000].map(Duration::from_millis) {
                let (tries, time) = lasts(retry, took);
                let longest = patience.max(FEWEST_TRIES * took) + took + FEWEST_TRIES * LONGEST_PAUSE;
                assert!(time >= patience && time <= longest, "{tries} of {took:?} in {time:?}");
            }
        }
    }

    #[test]
    fn a_job_whose_tries_take_long_is_tried_ten_times_and_three_times_where_others_wait() {
        let minute = Duration::from_secs(60);
        assert!((10..=11).contains(&lasts(Retry::default(), minute).0));
        assert_eq!(lasts(Retry::brief(), minute).0, FEWEST_TRIES);
    }

    #[test]
    fn one_try_that_takes_long_leaves_most_of_the_patience() {
        let mut retry = Retry::default();
        assert!(!retry.is_over_after(Duration::from_secs(60)));
        let (_, time) = lasts(retry, Duration::ZERO);
        assert!(time >= PATIENCE - LONGEST_COUNTED, "given up after {time:?}");
    }

    /// Lacks something for good, and is slow to find out.
    struct Slow;

    impl Job for Slow {
        type Output = ();

        fn run(self) -> Step<Self> {
            std::thread::sleep(Duration::from_millis(20));
            Step::Again(self, Error::raw("rename", crate::sys::EMFILE))
        }
    }

    #[test]
    fn a_try_is_counted_with_the_time_that_it_takes() {
        let mut retry = Retry::brief();
        let ended = |_: &i32| matches!(retry.run(Slow), Step::Done(Err(_)));
        assert!((1..=5).find(ended).is_some(), "100 ms are over");
    }
}
