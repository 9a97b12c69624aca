//! A whole directory at once: a fresh tree is made beside the old one, flushed, and swapped in.
//!
//! [`staging`] makes the directory in which the tree is built, locks it against sweepers and publishes it;
//! `swap` puts it in its place; `census` counts and flushes; [`copy`] fills it from another tree.
//!
//! ```
//! use pipeline_atomic_engine::tree::{TreeOptions, job::{CommitJob, OpenJob}};
//! use pipeline_atomic_engine::{blocking, cancel::Cancel, process::queue::Ticket};
//!
//! let dir = tempfile::tempdir()?;
//! let site = dir.path().join("site");
//! let options =
//!     TreeOptions { mode: None, flush: true, mkdir: true, keep_previous: None, fallback: false };
//! let staging = blocking::run(OpenJob::new(site.clone(), Ticket::take(), options, Cancel::default()))?;
//! std::fs::write(staging.path().join("index.html"), "<p>")?;
//! assert!(!site.exists());
//! let receipt = blocking::run(CommitJob::new(staging, None, Cancel::default()))?;
//! assert_eq!(receipt.census.files, 1);
//! assert_eq!(std::fs::read(site.join("index.html"))?, b"<p>");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod at;
mod census;
mod committed;
pub mod copy;
mod guard;
pub mod job;
mod options;
pub mod staging;
mod swap;

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::{Error, ErrorKind, Result};
use crate::process;

pub use census::Census;
pub use committed::Committed;
pub use options::{TreeOptions, TreeReceipt};

/// For how long the old tree stays after the swap. A process that is in the middle of following a path into it then
/// arrives: that takes microseconds, unless it has to read from the disk or does not get the processor.
pub const GRACE: Duration = Duration::from_millis(20);

/// Going through a tree takes threads and descriptors, so only two are gone through at a time.
static TREES: Semaphore = Semaphore::const_new(2);

/// The right to go through a tree with many threads.
pub type Permit = SemaphorePermit<'static>;

/// Removing a tree waits for descriptors and for programs that still write in it, so it has threads of its own, two at
/// a time.
static REMOVERS: Semaphore = Semaphore::const_new(2);

/// Runs `remove` on a thread of its own.
pub async fn on_own_thread<T: Send + 'static>(remove: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    process::on_own_thread(&REMOVERS, "atomic-tree", remove).await
}

/// The permit, if one is free.
pub fn try_permit() -> Option<Permit> {
    TREES.try_acquire().ok()
}

/// Waits for the permit.
pub async fn permit() -> Result<Permit> {
    TREES.acquire().await.map_err(|_| closed())
}

fn closed() -> Error {
    ErrorKind::Panic("a semaphore for trees was closed".to_owned()).into()
}
