//! The lock of a root: one transaction at a time, and in turns.

use std::fs::{File, TryLockError};
use std::io;

use super::{FOLDER, LOCK, Root, TURN};
use crate::dir::place::moved;
use crate::error::{Named, Result};
use crate::lock::sidecar::not_locked;
use crate::mutant::{Step, leaves_out};

impl Root {
    /// The root's lock, if it is free.
    ///
    /// # Errors
    /// [`ErrorKind::NoLocks`]; those of open(2); `ENOENT` if `.atomic` was removed.
    pub fn try_lock(&self) -> Result<Option<RootLock>> {
        if leaves_out(Step::RootLock) {
            return Ok(Some(RootLock(None)));
        }
        // Whoever waits for the lock has the turn: so the process that had it last does not come first again.
        let turn = self.open_lock(TURN)?;
        if !tried(turn.try_lock())? {
            return Ok(None);
        }
        let file = self.open_lock(LOCK)?;
        let is_ours = tried(file.try_lock())?;
        drop(turn.unlock());
        if is_ours { self.locked(file).map(Some) } else { Ok(None) }
    }

    /// The root's lock, as soon as it is free: this thread waits.
    ///
    /// # Errors
    /// Those of [`Root::try_lock`].
    pub fn lock(&self) -> Result<RootLock> {
        if leaves_out(Step::RootLock) {
            return Ok(RootLock(None));
        }
        let turn = self.open_lock(TURN)?;
        turn.lock().map_err(not_locked)?;
        let file = self.open_lock(LOCK)?;
        let locked = file.lock().map_err(not_locked);
        drop(turn.unlock());
        locked?;
        self.locked(file)
    }

    /// Whether a transaction or a recovery is at work; `None`: this user may not ask.
    pub fn is_locked(&self) -> Option<bool> {
        let file = self.folder.open_file(LOCK.as_ref()).ok()?;
        match file.try_lock_shared() {
            Ok(()) => {
                drop(file.unlock());
                Some(false)
            }
            Err(TryLockError::WouldBlock) => Some(true),
            Err(TryLockError::Error(_)) => None,
        }
    }

    fn locked(&self, file: File) -> Result<RootLock> {
        let lock = RootLock(Some(file));
        let here = self.dir.stat(FOLDER.as_ref()).named("stat")?;
        // Another lock counts when the folder was made anew.
        if here.is_some_and(|here| here.version.id == self.folder_id) { Ok(lock) } else { Err(moved()) }
    }

    fn open_lock(&self, name: &str) -> Result<File> {
        let opened = match self.folder.open_to_overwrite(name.as_ref()) {
            // Reading is enough for a lock.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.folder.open_file(name.as_ref())
            }
            opened => opened,
        };
        opened.named("open").map_err(|error| error.about(self.path.join(FOLDER).join(name)))
    }
}

/// The lock, held until it is dropped.
#[derive(Debug)]
pub struct RootLock(Option<File>);

impl Drop for RootLock {
    fn drop(&mut self) {
        // Closing would do, but for a child process that was forked just now and has a copy.
        drop(self.0.as_ref().map(File::unlock));
    }
}

/// Whether a lock was free.
///
/// # Errors
/// Those of flock(2).
pub(super) fn tried(locked: std::result::Result<(), TryLockError>) -> Result<bool> {
    match locked {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(not_locked(error)),
    }
}
