//! The last step of a commit: the new name reaches the disk, alone or together with others'.

use std::sync::Arc;

use crate::dir::{Directory, Failed};
use crate::error::{Error, Result};
use crate::process::Old;
use crate::write::options::Receipt;

/// A file that has its final name, in a directory that may have to be flushed yet.
#[derive(Debug)]
#[must_use = "a power cut could still take the name away"]
pub struct Published {
    pub(crate) receipt: Receipt,
    /// `None`: there is nothing to flush, or flushing was not asked for.
    /// Else the directory, and how many of its flushes had failed before the file got its name.
    pub(crate) unflushed: Option<(Arc<Directory>, Failed)>,
    /// What had the name before. Freed when the directory is flushed.
    pub(crate) old: Option<Old>,
}

/// References to the directory that the call itself has: its target's, and this.
const OURS: usize = 2;

impl Published {
    /// Flushes the directory.
    ///
    /// # Errors
    /// That of the flush, [`Error::committed`].
    pub fn flush(self) -> Result<Receipt> {
        let Self { receipt, unflushed, old: _until_then } = self;
        match unflushed {
            Some((dir, failed)) => flushed(receipt, &dir, failed, dir.sync()),
            None => Ok(receipt),
        }
    }

    /// Whether to use [`Published::flush_coalesced`]: others are at work in the directory, and flushing
    /// it takes longer than handing that over.
    pub fn should_coalesce(&self) -> bool {
        self.unflushed.as_ref().is_some_and(|(dir, _)| Arc::strong_count(dir) > OURS && dir.is_slow())
    }

    /// As [`Published::flush`], together with all that wait for the same directory, and on no thread of
    /// the caller's.
    ///
    /// # Errors
    /// As [`Published::flush`].
    pub async fn flush_coalesced(self) -> Result<Receipt> {
        let Self { receipt, unflushed, old: _until_then } = self;
        match unflushed {
            Some((dir, failed)) => flushed(receipt, &dir, failed, dir.sync_coalesced().await),
            None => Ok(receipt),
        }
    }
}

fn flushed(receipt: Receipt, dir: &Directory, failed: Failed, synced: Result<bool>) -> Result<Receipt> {
    let synced = synced.and_then(|synced| dir.check_flushes(failed).map(|()| synced));
    let synced = synced.map_err(Error::after_commit)?;
    Ok(Receipt { durable: receipt.durable && synced && dir.is_durable(), ..receipt })
}
