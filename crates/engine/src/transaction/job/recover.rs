//! Recovery for a caller that waits for it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::dir::Directory;
use crate::error::Result;
use crate::job::{Job, Step};
use crate::lock::holder::Blocker;
use crate::transaction::recover::{self, Recovered};
use crate::transaction::root::Root;
use crate::transaction::session::Waiting;

/// Recovers what is pending below a root.
pub struct RecoverJob {
    root: PathBuf,
    give_up: bool,
    since: Instant,
    timeout: Duration,
    cancel: Cancel,
}

impl RecoverJob {
    /// `give_up`: what cannot be recovered is set aside.
    pub fn new(root: PathBuf, give_up: bool, timeout: Duration, cancel: Cancel) -> Self {
        Self { root, give_up, since: Instant::now(), timeout, cancel }
    }

    fn attempt(&self) -> Result<Option<Recovered>> {
        let dir = Directory::open(None, &self.root, false)?;
        match Root::open(&dir)? {
            None => Ok(Some(Recovered::default())),
            Some(root) => match recover::attempt(&root) {
                Err(error) if self.give_up && !error.is_transient() => recover::give_up(&root),
                recovered => recovered,
            },
        }
    }
}

impl Job for RecoverJob {
    type Output = Recovered;

    fn run(self) -> Step<Self> {
        match self.attempt() {
            Ok(Some(recovered)) => Step::Done(Ok(recovered)),
            Err(error) if error.is_transient() => Step::Again(self, error),
            Err(error) => Step::Done(Err(error)),
            Ok(None) => Step::Wait(Box::pin(async move {
                let mut waiting = Waiting::new(self.since, self.timeout);
                let paused = waiting.pause(Blocker::Lock, &self.root.join(".atomic"), &self.cancel).await;
                paused.map(|()| self).into()
            })),
        }
    }
}
