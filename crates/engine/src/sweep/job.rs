//! A sweep on its way: on a thread of its own, for it may take minutes, and the workers are few.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Semaphore;

use crate::cancel::Cancel;
use crate::dir::Directory;
use crate::error::{ErrorKind, Result};
use crate::job::{After, Job, Step};
use crate::process::{on_own_thread, retry_transient};
use crate::sweep::sweeper::Sweeper;
use crate::sweep::{Options, Report};

/// Each has a few descriptors, and the disk has one head.
static SWEEPS: Semaphore = Semaphore::const_new(2);

/// One sweep.
pub struct SweepJob {
    path: PathBuf,
    shown: PathBuf,
    options: Options,
    cancel: Cancel,
}

impl SweepJob {
    /// Of the directory at `path`, which the caller calls `shown`.
    pub fn new(path: PathBuf, shown: PathBuf, options: Options, cancel: Cancel) -> Self {
        Self { path, shown, options, cancel }
    }

    fn sweep(self) -> Result<Report> {
        self.cancel.check()?;
        let dir = retry_transient(|| Directory::open(None, &self.path, false))?;
        Sweeper::new(self.options, &self.cancel).sweep(dir, &self.shown)
    }
}

impl Job for SweepJob {
    type Output = Report;

    fn run(self) -> Step<Self> {
        Step::Wait(Box::pin(async move {
            let (cancel, begun) = (self.cancel.clone(), Arc::new(AtomicBool::new(false)));
            let begins = begun.clone();
            let sweeping = on_own_thread(&SWEEPS, "atomic-sweep", move || {
                begins.store(true, Ordering::SeqCst);
                self.sweep()
            });
            tokio::pin!(sweeping);
            let swept = tokio::select! {
                swept = &mut sweeping => swept,
                // The thread looks at the signal itself, and is waited for: after the answer nothing is removed.
                () = cancel.cancelled() => match begun.load(Ordering::SeqCst) {
                    true => sweeping.await,
                    false => Err(ErrorKind::Aborted.into()),
                },
            };
            After::Done(swept.and_then(|swept| swept))
        }))
    }
}
