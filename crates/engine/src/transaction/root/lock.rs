//! The lock of a root: one transaction at a time, and in turns.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{FOLDER, LOCK, Root, TURN};
use crate::dir::place::moved;
use crate::error::{Advice, Named, Result};
use crate::lock::sidecar::not_locked;
use crate::mutant::{Step, leaves_out};
use crate::sys;

impl Root {
    /// The root's lock, if it is free, whoever waits for it.
    ///
    /// # Errors
    /// [`ErrorKind::NoLocks`](crate::error::ErrorKind::NoLocks); those of open(2); `ENOENT` if `.atomic` was removed.
    pub fn try_lock(&self) -> Result<Option<RootLock>> {
        if leaves_out(Step::RootLock) {
            return Ok(Some(RootLock(None)));
        }
        let file = self.open_lock(LOCK)?;
        if sys::try_lock(&file).map_err(not_locked)? { self.locked(file).map(Some) } else { Ok(None) }
    }

    /// The root's lock, if it is free and no other process waits for it longer.
    ///
    /// # Errors
    /// Those of [`Root::try_lock`].
    pub fn try_lock_in_turn(&self, waiting: &mut RootWait) -> Result<Option<RootLock>> {
        if waiting.turn.is_none() {
            let turn = self.open_lock(TURN)?;
            if sys::try_lock(&turn).map_err(not_locked)? {
                waiting.turn = Some(RootLock(Some(turn)));
            }
        }
        // A process that was stopped while it had the turn must not stop all others.
        if waiting.turn.is_none() && waiting.since.elapsed() < PATIENCE {
            return Ok(None);
        }
        self.try_lock()
    }

    /// Whether a transaction or a recovery is at work; `None`: this user may not ask.
    pub fn is_locked(&self) -> Option<bool> {
        let file = self.folder.open_file(LOCK.as_ref()).ok()?;
        let is_free = sys::try_lock_shared(&file).ok()?;
        if is_free {
            drop(sys::unlock(&file));
        }
        Some(!is_free)
    }

    fn locked(&self, file: File) -> Result<RootLock> {
        let lock = RootLock(Some(file));
        // Another lock counts when the folder was made anew.
        if self.is_in_place()? { Ok(lock) } else { Err(moved()) }
    }

    /// Whether the folder is still the one of the root.
    fn is_in_place(&self) -> Result<bool> {
        let here = self.dir.stat(FOLDER.as_ref()).named("stat")?;
        Ok(here.is_some_and(|here| here.version.id == self.folder_id))
    }

    /// For people who look for what is in the way.
    pub fn lock_path(&self) -> PathBuf {
        self.path.join(FOLDER).join(LOCK)
    }

    fn open_lock(&self, name: &str) -> Result<File> {
        let opened = match self.folder.open_to_overwrite(name.as_ref()) {
            // Reading is enough for a lock.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.folder.open_file(name.as_ref())
            }
            opened => opened,
        };
        opened.named("open").map_err(|error| {
            let is_gone = error.errno_of("open") == Some(sys::ENOENT) && self.is_in_place().unwrap_or(false);
            let error = error.about(self.path.join(FOLDER).join(name));
            // Who has locked the one that was removed would not see the one that is made.
            if is_gone { error.advise(Advice::NoRootLock) } else { error }
        })
    }
}

/// How long a process that waits lets the one go ahead that waits longer.
const PATIENCE: Duration = Duration::from_millis(100);

/// Waiting for the lock: with the turn a process comes before that which had the lock last.
#[derive(Debug)]
pub struct RootWait {
    turn: Option<RootLock>,
    since: Instant,
}

impl Default for RootWait {
    fn default() -> Self {
        Self { turn: None, since: Instant::now() }
    }
}

/// The lock, held until it is dropped.
#[derive(Debug)]
pub struct RootLock(Option<File>);

impl Drop for RootLock {
    fn drop(&mut self) {
        // Closing would do, but for a child process that was forked just now and has a copy.
        drop(self.0.as_ref().map(sys::unlock));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::dir::Directory;

    #[test]
    fn a_process_that_waits_comes_before_the_one_that_had_the_lock_last_but_for_its_patience() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open_or_make(&Directory::open(None, dir.path(), false).unwrap()).unwrap();
        // However slow the machine is.
        let patient = || RootWait { turn: None, since: Instant::now() + Duration::from_secs(3600) };
        let (mut first, mut waits, mut last) = (patient(), patient(), patient());
        let held = root.try_lock_in_turn(&mut first).unwrap().unwrap();
        drop(first);
        assert!(root.try_lock_in_turn(&mut waits).unwrap().is_none(), "it is held");
        drop(held);
        assert!(root.try_lock_in_turn(&mut last).unwrap().is_none(), "it is free, and another one's turn");
        last.since = Instant::now().checked_sub(PATIENCE).unwrap();
        drop(root.try_lock_in_turn(&mut last).unwrap().expect("it has waited for long"));
        let held = root.try_lock_in_turn(&mut waits).unwrap();
        drop(waits);
        drop(held.unwrap());
        assert!(root.try_lock_in_turn(&mut patient()).unwrap().is_some(), "nobody waits");
    }
}
