//! From an index whose lock or directory counts for nothing any more to the one that the caller's path leads to now.
//!
//! It is a job of its own because the calls that share the index have nothing to be written meanwhile: each of them may be told that
//! its time is over, or that it was aborted, while the others wait on.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::dir::Target;
use crate::error::{Error, ErrorKind, Result};
use crate::index::file::IndexFile;
use crate::index::job::{Opened, Origin};
use crate::job::{After, Job, Step};
use crate::lock::index_lock::FileLock;
use crate::lock::wait::{Again, Waited, Waiter};
use crate::lock::wait_time::WaitTime;
use crate::process::Ticket;

/// An index that is to be had again.
pub struct Lost {
    origin: Origin,
    waited: Duration,
    real: PathBuf,
    again: Again,
}

/// Waits for it, and reads it.
pub struct ReopenJob {
    how: How,
    stage: Stage,
}

struct How {
    origin: Origin,
    waited: Duration,
    /// Of the calls, from when they began that wait.
    wait_time: WaitTime,
    begun: Instant,
    cancel: Cancel,
}

enum Stage {
    Wait(PathBuf, Again),
    /// The path is to be followed once more.
    Elsewhere(Option<IndexFile>),
    Open(IndexFile),
}

impl Lost {
    /// At `target`, in the place of `old`, if that is still there. `waited`: as [`Opened::waited`].
    pub(super) fn new(
        old: Option<IndexFile>,
        target: &Target,
        origin: Origin,
        waited: Duration,
    ) -> Result<Self> {
        let again = match old {
            Some(index) if *index.key() == target.key() => {
                let bug = || ErrorKind::Panic("a lock was given up that others have".into());
                Again::Lock(index.unlock().ok_or_else(bug)?)
            }
            // Before the turn is passed on, and so before all calls that wait for it.
            old => {
                let place = Ticket::take().inside(origin.inside.clone()).join(target.key());
                drop(old);
                Again::Turn(place)
            }
        };
        Ok(Self { origin, waited, real: target.real_path(), again })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.real
    }

    /// Waits for it; `until`: for no longer.
    pub fn reopen(self, until: Option<Instant>, cancel: Cancel) -> ReopenJob {
        let Self { origin, waited, real, again } = self;
        let begun = Instant::now();
        let since =
            until.and_then(|until| until.checked_sub(origin.timeout)).map_or(begun, |since| since.min(begun));
        let timeout = until.map_or(Duration::MAX, |until| until.saturating_duration_since(since));
        ReopenJob {
            how: How { origin, waited, wait_time: WaitTime::new(since, timeout), begun, cancel },
            stage: Stage::Wait(real, again),
        }
    }
}

impl How {
    fn at(self, stage: Stage) -> ReopenJob {
        ReopenJob { how: self, stage }
    }

    fn wait(self, real: PathBuf, again: Again) -> Step<ReopenJob> {
        Step::Wait(Box::pin(async move {
            let waiter = Waiter {
                path: &real,
                own: FileLock::of_update(self.origin.options.commit.in_place),
                since: self.wait_time.since,
                timeout: self.wait_time.timeout,
                cancel: &self.cancel,
            };
            match waiter.reopen(again).await {
                Ok(Waited::Open(index)) => After::Run(self.at(Stage::Open(index))),
                Ok(_) => self.again(None).into(),
                Err(error) => After::Done(Err(error)),
            }
        }))
    }

    /// The path leads elsewhere by now.
    fn again(mut self, old: Option<IndexFile>) -> Result<ReopenJob> {
        self.wait_time.elsewhere(&self.origin.path)?;
        Ok(self.at(Stage::Elsewhere(old)))
    }

    fn follow(mut self, old: Option<IndexFile>) -> Step<ReopenJob> {
        let target = match self.origin.resolve() {
            Ok(target) => target,
            Err(error) if error.is_transient() => return Step::Again(self.at(Stage::Elsewhere(old)), error),
            Err(error) => return Step::Done(Err(error)),
        };
        match old {
            Some(index) if *index.key() == target.key() && *index.name() == target.name => self.read(index),
            old => match Lost::new(old, &target, self.origin, self.waited) {
                Ok(Lost { origin, waited, real, again }) => {
                    (self.origin, self.waited) = (origin, waited);
                    self.wait(real, again)
                }
                Err(error) => Step::Done(Err(error)),
            },
        }
    }

    fn read(mut self, index: IndexFile) -> Step<ReopenJob> {
        let waited = self.waited + self.begun.elapsed();
        match Opened::read(index, waited, self.origin).map_err(|failed| *failed) {
            Ok(opened) => Step::Done(Ok(opened)),
            Err((index, origin, error)) if index.is_linked(&error) => {
                self.origin = origin;
                run(self.again(Some(index)))
            }
            Err((index, origin, error)) if error.is_transient() => {
                self.origin = origin;
                Step::Again(self.at(Stage::Open(index)), error)
            }
            Err((_, _, error)) => Step::Done(Err(error)),
        }
    }
}

fn run(job: Result<ReopenJob>) -> Step<ReopenJob> {
    job.map_or_else(|error| Step::Done(Err(error)), Job::run)
}

impl Job for ReopenJob {
    type Output = Opened;

    fn run(self) -> Step<Self> {
        let Self { how, stage } = self;
        if let Err(error) = how.cancel.check() {
            return Step::Done(Err::<_, Error>(error));
        }
        match stage {
            Stage::Wait(real, again) => how.wait(real, again),
            Stage::Elsewhere(old) => how.follow(old),
            // There is nothing to be read any more in a directory that was removed.
            Stage::Open(index) if index.is_moved() => run(how.again(Some(index))),
            Stage::Open(index) => how.read(index),
        }
    }
}

#[cfg(test)]
#[cfg(unix)] // a test
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
