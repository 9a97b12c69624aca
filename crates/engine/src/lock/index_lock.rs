//! What keeps an index for one call among all processes: the sidecar, and for calls that change the file in place
//! the file itself too. Its other names (hard links, a file that is mounted into several containers) have other sidecars.

use crate::dir::Target;
use crate::error::{Error, ErrorKind, Result};
use crate::lock::sidecar::{Lock, Taking};
use crate::process::Slot;
use crate::steps::{self, Step};
use crate::sys;
use crate::transaction::recover;
use crate::write::in_place::InPlace;

/// Whether the file itself is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileLock {
    /// Only the sidecar is.
    No,
    /// Besides the sidecar, if the file is there.
    AsWell,
    /// As well, and alone where no sidecar can be made.
    Suffices,
}

impl FileLock {
    /// Of a call that may overwrite the index ([`Options::in_place`](crate::write::Options::in_place)), or not.
    pub fn of_update(in_place: bool) -> Self {
        if in_place { Self::Suffices } else { Self::No }
    }
}

/// Whether nobody can have the lock of the file: it is not there, it is none, or it may only be appended to (`chattr +a`).
fn is_never_locked(error: &Error) -> bool {
    let is_open = |errno| error.errno_of("open") == Some(errno);
    is_open(sys::ENOENT) || is_open(sys::EPERM) || matches!(error.kind(), ErrorKind::NotRegular { .. })
}

/// The locks of an index, held until this is dropped.
#[derive(Debug)]
pub struct IndexLock {
    sidecar: Option<Lock>,
    file: Option<InPlace>,
}

impl IndexLock {
    /// The locks, if they are free. A transaction that was killed with the lock is recovered first.
    ///
    /// # Errors
    /// Those of [`Lock::try_acquire`].
    pub fn try_acquire(target: &Target, own: FileLock, taking: Taking) -> Result<Option<Self>> {
        Self::try_with(target, own, taking, &mut None)
    }

    /// As [`IndexLock::try_acquire`], with a slot that was gathered before, if there is one. It stays with the caller, unless the lock is ours.
    ///
    /// # Errors
    /// Those of [`IndexLock::try_acquire`].
    pub fn try_with(
        target: &Target,
        own: FileLock,
        taking: Taking,
        slot: &mut Option<Slot>,
    ) -> Result<Option<Self>> {
        let _during = steps::begin(Step::Lock);
        let sidecar = match recover::take_index(target, taking, slot) {
            Ok(None) => return Ok(None),
            sidecar => sidecar,
        };
        if own == FileLock::No {
            return Ok(Some(Self { sidecar: sidecar?, file: None }));
        }
        // Another call may have the lock of the file, by another of its names.
        let is_in_the_way =
            |error: &Error| error.is_transient() || own == FileLock::AsWell && !is_never_locked(error);
        let file = match InPlace::open(target) {
            Ok(Some(file)) => Some(file),
            // What cannot be overwritten may well be replaced; if not, it is opened again.
            Err(error) if !is_in_the_way(&error) => None,
            busy => {
                if let Ok(Some(lock)) = sidecar {
                    *slot = lock.release();
                }
                return busy.map(|_| None);
            }
        };
        match sidecar {
            // Where none can be made nobody has one.
            Err(error) if own == FileLock::Suffices && file.is_some() && error.needs_in_place() => {
                Ok(Some(Self { sidecar: None, file }))
            }
            sidecar => Ok(Some(Self { sidecar: sidecar?, file })),
        }
    }

    /// As [`IndexLock::try_acquire`]; a lack of descriptors counts as a lock that is taken, as both pass.
    ///
    /// # Errors
    /// The other ones of [`IndexLock::try_acquire`].
    pub fn try_acquire_or_busy(target: &Target, own: FileLock) -> Result<Option<Self>> {
        match Self::try_acquire(target, own, Taking::Fairly) {
            Err(error) if error.is_transient() => Ok(None),
            tried => tried,
        }
    }

    /// Whether another call may have the lock as well: see [`Lock::is_lost`].
    ///
    /// # Errors
    /// Those of [`Lock::is_lost`].
    pub fn is_lost(&self) -> Result<bool> {
        self.sidecar.as_ref().map_or(Ok(false), Lock::is_lost)
    }

    /// The index, open to be overwritten, if that may be done.
    pub fn file(&self) -> Option<&InPlace> {
        self.file.as_ref()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::dir::Resolve;
    use crate::lock::share;

    #[test]
    fn a_slot_that_was_gathered_stays_with_a_call_that_can_make_no_lock_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.json");
        std::fs::write(&path, "{}").unwrap();
        std::fs::create_dir(dir.path().join(".index.json.lock")).unwrap();
        let target = Target::resolve(&path, Resolve { mkdir: false, exclusive: false }).unwrap();
        let other = File::open(&path).unwrap();
        assert!(sys::try_lock(&other).unwrap());
        let mut slot = share::gather(1).try_all().unwrap().pop();
        let tried = IndexLock::try_with(&target, FileLock::Suffices, Taking::Now, &mut slot);
        assert!(tried.unwrap().is_none());
        assert!(slot.is_some());
    }

    #[test]
    fn a_slot_that_was_gathered_stays_with_a_call_whose_file_is_locked_by_another_of_its_names() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.json");
        std::fs::write(&path, "{}").unwrap();
        let target = Target::resolve(&path, Resolve { mkdir: false, exclusive: false }).unwrap();
        let other = File::open(&path).unwrap();
        assert!(sys::try_lock(&other).unwrap());
        let mut slot = share::gather(1).try_all().unwrap().pop();
        let mut take = || IndexLock::try_with(&target, FileLock::AsWell, Taking::Now, &mut slot).unwrap();
        assert!(take().is_none());
        drop(other);
        let held = take().unwrap();
        assert!(held.file().is_some() && !held.is_lost().unwrap());
        std::fs::remove_file(dir.path().join(".index.json.lock")).unwrap();
        assert!(held.is_lost().unwrap());
        assert!(slot.is_none());
    }
}
