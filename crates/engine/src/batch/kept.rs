//! A staged file between two steps of a batch: open while descriptors allow it, else detached where that is possible.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::batch::folder::{Folder, KEPT};
use crate::dir::{Directory, Target};
use crate::error::{Error, Result};
use crate::process::Slot;
use crate::sys;
use crate::write::{Detached, Staged};

/// A file that is complete except for its name.
#[derive(Debug)]
pub enum Kept {
    Open(Staged, #[allow(dead_code, reason = "held for its drop")] Slot),
    /// Without a descriptor; with a temp name, to be removed by the owner.
    Detached(Detached),
}

impl Kept {
    /// Keeps a staged file. `None`: it needs a temp name, and cannot get one here.
    ///
    /// # Errors
    /// Those of link(2); `EMFILE`.
    pub fn keep(mut staged: Staged, folder: &Folder, target: &Target) -> Result<Option<Self>> {
        let slot = if folder.is_kept() { KEPT.take() } else { None };
        if slot.is_none() || !folder.links.load(Ordering::Relaxed) {
            // This also finds out, while the bytes are still there to restage, whether files can get a name here.
            if !staged.name(target)? {
                return Ok(None);
            }
            folder.links.store(true, Ordering::Relaxed);
        }
        if slot.is_none()
            && let Some(detached) = staged.detach()?
        {
            return Ok(Some(Self::Detached(detached)));
        }
        let slot = slot.or_else(|| KEPT.take_reserve()).ok_or_else(|| Error::raw("open", sys::EMFILE))?;
        Ok(Some(Self::Open(staged, slot)))
    }

    /// Works on the staged file, which is opened again for that if it is detached.
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
            Self::Detached(detached) => {
                let mut staged = detached.open(dir)?;
                let done = work(&mut staged);
                staged.keep_name();
                done
            }
        }
    }
}
