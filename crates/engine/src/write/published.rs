//! The last step of a commit: the new name reaches the disk, alone or together with others'.

use std::sync::Arc;

use crate::dir::place::moved;
use crate::dir::{Directory, Failed, Place, Target};
use crate::error::{Error, Result};
use crate::process::Old;
use crate::steps::{self, Step};
use crate::write::options::Receipt;

/// A file that has its final name, in a directory that may have to be flushed yet.
#[derive(Debug)]
#[must_use = "a power cut could still take the name away"]
pub struct Published {
    pub(crate) receipt: Receipt,
    dir: Arc<Directory>,
    place: Place,
    /// `None`: there is nothing to flush, or flushing was not asked for.
    /// Else how many flushes of the directory had failed before the file got its name.
    unflushed: Option<Failed>,
    /// What had the name before. Freed when the directory is flushed.
    old: Option<Old>,
}

/// A file that has its final name, and where.
#[derive(Clone, Copy, Debug)]
pub enum Settled {
    /// In the directory that its path means.
    InPlace(Receipt),
    /// In a directory that is not at its place any more.
    Moved(Receipt),
}

impl Settled {
    /// What was done, wherever the file is.
    pub fn receipt(self) -> Receipt {
        match self {
            Self::InPlace(receipt) | Self::Moved(receipt) => receipt,
        }
    }

    /// # Errors
    /// `ENOENT`, if the directory was replaced or moved.
    pub fn in_place(self) -> Result<Receipt> {
        match self {
            Self::InPlace(receipt) => Ok(receipt),
            Self::Moved(_) => Err(moved()),
        }
    }

    pub(crate) fn new(receipt: Receipt, in_place: bool) -> Self {
        if in_place { Self::InPlace(receipt) } else { Self::Moved(receipt) }
    }
}

/// References to the directory that the call itself has: its target's, and this.
const OURS: usize = 2;

impl Published {
    /// A file that has just got its name. `before`: how many flushes had failed before that, if one is asked for.
    pub(crate) fn new(receipt: Receipt, target: &Target, before: Option<Failed>, old: Option<Old>) -> Self {
        let Target { dir, place, .. } = target;
        Self { receipt, dir: dir.clone(), place: place.clone(), unflushed: before, old }
    }

    /// Flushes the directory.
    ///
    /// # Errors
    /// That of the flush, [`Error::committed`]; `ENOENT` if the directory was replaced or moved meanwhile.
    pub fn flush(self) -> Result<Receipt> {
        self.settle()?.in_place()
    }

    /// Flushes the directory, and looks whether it is still at its place.
    ///
    /// # Errors
    /// That of the flush, [`Error::committed`].
    pub fn settle(self) -> Result<Settled> {
        let Self { receipt, dir, place, unflushed, old: _until_then } = self;
        let receipt = match unflushed {
            Some(failed) => flushed(receipt, &dir, failed, dir.sync())?,
            None => receipt,
        };
        Ok(Settled::new(receipt, place.holds(dir.id())))
    }

    /// Whether the directory is not at its place any more.
    pub fn is_moved(&self) -> bool {
        !self.place.holds(self.dir.id())
    }

    /// Whether to use [`Published::settle_coalesced`]: others are at work in the directory, and flushing
    /// it takes longer than handing that over, or will be done for many.
    pub fn should_coalesce(&self) -> bool {
        self.unflushed.is_some() && Arc::strong_count(&self.dir) > OURS && self.dir.shares_flushes()
    }

    /// As [`Published::settle`], together with all that wait for the same directory, and on no thread of
    /// the caller's.
    ///
    /// # Errors
    /// As [`Published::settle`].
    pub async fn settle_coalesced(self) -> Result<Settled> {
        let Self { receipt, dir, place, unflushed, old: _until_then } = self;
        let Some(failed) = unflushed else { return Ok(Settled::new(receipt, place.holds(dir.id()))) };
        let told = {
            let _during = steps::begin(Step::DirectoryFsync);
            dir.sync_coalesced(place).await
        };
        let (synced, in_place) = told.map_err(Error::after_commit)?;
        Ok(Settled::new(flushed(receipt, &dir, failed, Ok(synced))?, in_place))
    }
}

fn flushed(receipt: Receipt, dir: &Directory, failed: Failed, synced: Result<bool>) -> Result<Receipt> {
    let synced = synced.and_then(|synced| dir.check_flushes(failed).map(|()| synced));
    let synced = synced.map_err(Error::after_commit)?;
    Ok(Receipt { durable: receipt.durable && synced && dir.is_durable(), ..receipt })
}
