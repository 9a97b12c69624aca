//! A staged file between two steps of a batch: open while descriptors allow it, else parked, if that can be.

use std::ffi::OsStr;
use std::sync::Arc;

use crate::batch::folder::{KEPT, Place};
use crate::cancel::Cancel;
use crate::dir::directory::Directory;
use crate::dir::target::Target;
use crate::error::{Error, Named, Result};
use crate::process::budget::Slot;
use crate::sys::{self, Dir, Stat};
use crate::write::options::Options;
use crate::write::staged::{Parked, Staged};
use crate::write::verify::{Content, Level};

/// A file that is complete, but for its name.
#[derive(Debug)]
pub enum Kept {
    Open(Staged, #[allow(dead_code, reason = "held for its drop")] Slot),
    /// Without a descriptor; with a temp name.
    Parked(Parked),
}

impl Kept {
    /// Keeps a staged file. `None`: it needs a temp name, and cannot get one here.
    ///
    /// # Errors
    /// Those of link(2); `EMFILE`.
    pub fn keep(mut staged: Staged, place: &Place, target: &Target) -> Result<Option<Self>> {
        let slot = if place.is_kept() { KEPT.take() } else { None };
        if slot.is_none() || !place.links() {
            // Also to find out while there are bytes to begin again with whether files can get a name here.
            if !staged.name(target)? {
                return Ok(None);
            }
            place.set_links();
        }
        if let Some(slot) = slot {
            return Ok(Some(Self::Open(staged, slot)));
        }
        match staged.park()? {
            Ok(parked) => Ok(Some(Self::Parked(parked))),
            Err(staged) => match KEPT.take_reserve() {
                Some(slot) => Ok(Some(Self::Open(staged, slot))),
                None => Err(Error::raw("open", sys::EMFILE)),
            },
        }
    }

    /// Works on the staged file, which is opened again for that if it is parked.
    ///
    /// # Errors
    /// Those of `work`, and of opening it.
    pub fn with<T>(
        &mut self,
        dir: &Arc<Directory>,
        work: impl FnOnce(&mut Staged) -> Result<T>,
    ) -> Result<T> {
        match self {
            Self::Open(staged, _) => work(staged),
            Self::Parked(parked) => {
                let mut staged = parked.open(dir)?;
                let done = work(&mut staged);
                staged.leave();
                done
            }
        }
    }

    /// The temp name that somebody has to remove if the file is not to be published. What is open sees to that
    /// itself.
    pub fn name_to_remove(&self) -> Option<&OsStr> {
        match self {
            Self::Open(..) => None,
            Self::Parked(parked) => Some(parked.name()),
        }
    }

    /// Closes the file, which has its final name by now.
    ///
    /// # Errors
    /// [`Error::committed`], all of them.
    pub fn close(self) -> Result<()> {
        match self {
            Self::Open(staged, _) => staged.close(),
            Self::Parked(_) => Ok(()),
        }
    }
}

/// What cannot get a name moves into a file that has one.
///
/// # Errors
/// Those of a write.
pub fn moved(
    staged: &mut Staged,
    target: &Target,
    old: Option<&Stat>,
    options: &Options,
    cancel: &Cancel,
) -> Result<Staged> {
    let named = staged.restage(target, old.is_some() || options.mode.is_some(), cancel)?;
    named.set_access(target, old, options.mode)?;
    let bytes = Dir::stat_file(staged.file()).named("fstat")?.1.size;
    named.verify(Content::Copy { of: staged.file(), bytes }, Level::Cache, cancel)?;
    Ok(named)
}
