//! Locks of files, and lock files that are open to all who may need them.

use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io;

use rustix::fs::OFlags;

use super::access::set_mode;
use super::dir::Dir;
use super::identity::Access;

const READ_ALL: u32 = 0o444;
const WRITE_OTHERS: u32 = 0o022;

/// Locks a file as long as it is open; `false`: it is locked by somebody else who has opened it.
pub fn try_lock(file: &File) -> io::Result<bool> {
    came_of(file.try_lock())
}

/// As [`try_lock`], beside others that do the same.
pub fn try_lock_shared(file: &File) -> io::Result<bool> {
    came_of(file.try_lock_shared())
}

/// Lets the lock go.
pub fn unlock(file: &File) -> io::Result<()> {
    file.unlock()
}

fn came_of(tried: Result<(), TryLockError>) -> io::Result<bool> {
    match tried {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

impl Dir {
    /// Opens a lock file, or makes it. `create` decides: an `O_CREAT` on a file that exists is
    /// refused in sticky directories (`fs.protected_regular`), even to those who may open it.
    pub fn open_lock(&self, name: &OsStr, create: bool) -> io::Result<File> {
        if create {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NONBLOCK;
            let lock = self.open_with(name, flags, 0o666)?;
            return match self.open_to_writers(&lock) {
                Ok(()) => Ok(lock),
                Err(error) => {
                    drop(self.unlink(name));
                    Err(error)
                }
            };
        }
        match self.open_with(name, OFlags::RDWR | OFlags::NONBLOCK, 0) {
            // Another user's: reading is enough for flock, but for NFS.
            Err(error) if error.raw_os_error() == Some(libc::EACCES) => self.open_file(name),
            opened => opened,
        }
    }

    /// A strict umask must not keep those from a lock who may change the directory as well. Reading is enough to lock.
    fn open_to_writers(&self, lock: &File) -> io::Result<()> {
        let mode = Access::of(&rustix::fs::fstat(lock)?).mode;
        if mode & READ_ALL == READ_ALL {
            return Ok(());
        }
        let dir = Access::of(&rustix::fs::fstat(self)?);
        if dir.mode & WRITE_OTHERS != 0 || !dir.is_ours() {
            // As far as the file system permits.
            drop(set_mode(lock, mode | READ_ALL, &|_, _| true));
        }
        Ok(())
    }
}
