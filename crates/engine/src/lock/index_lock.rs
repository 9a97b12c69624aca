//! What keeps an index for one call among all processes: the sidecar, and for calls that may overwrite the index in place
//! the file itself too. Its other names (a file that is mounted into several containers) have other sidecars.

use crate::dir::Target;
use crate::error::Result;
use crate::lock::sidecar::{Lock, Taking};
use crate::transaction::recover;
use crate::write::in_place::InPlace;

/// The locks of an index, held until this is dropped.
#[derive(Debug)]
pub struct IndexLock {
    _sidecar: Option<Lock>,
    file: Option<InPlace>,
}

impl IndexLock {
    /// The locks, if they are free. `in_place`: the index may be overwritten. A transaction that was killed with the lock is
    /// recovered first.
    ///
    /// # Errors
    /// Those of [`Lock::try_acquire`].
    pub fn try_acquire(target: &Target, in_place: bool, taking: Taking) -> Result<Option<Self>> {
        let sidecar = match recover::take_index(target, taking) {
            Ok(None) => return Ok(None),
            sidecar => sidecar,
        };
        if !in_place {
            return Ok(Some(Self { _sidecar: sidecar?, file: None }));
        }
        let file = match InPlace::open(target) {
            Ok(None) => return Ok(None),
            Err(error) if error.is_transient() => return Err(error),
            // What cannot be overwritten may well be replaced; if not, it is opened again.
            opened => opened.ok().flatten(),
        };
        match sidecar {
            // Where none can be made nobody has one.
            Err(error) if file.is_some() && error.needs_in_place() => Ok(Some(Self { _sidecar: None, file })),
            sidecar => Ok(Some(Self { _sidecar: sidecar?, file })),
        }
    }

    /// As [`IndexLock::try_acquire`]; a lack of descriptors counts as a lock that is taken, as both pass.
    ///
    /// # Errors
    /// The other ones of [`IndexLock::try_acquire`].
    pub fn try_acquire_or_busy(target: &Target, in_place: bool) -> Result<Option<Self>> {
        match Self::try_acquire(target, in_place, Taking::Fairly) {
            Err(error) if error.is_transient() => Ok(None),
            tried => tried,
        }
    }

    /// The index, open to be overwritten, if that may be done.
    pub fn file(&self) -> Option<&InPlace> {
        self.file.as_ref()
    }
}
