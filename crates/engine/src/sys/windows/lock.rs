//! Locks of files. What is locked here can be neither read nor written by others (`LockFileEx`), and they read who has a lock, and leave a
//! mark if they wait for it. So a byte is locked that no file has.

use std::fs::File;
use std::io;
use std::os::windows::io::AsRawHandle;

use windows_sys::Win32::Storage::FileSystem::{
    LOCK_FILE_FLAGS, LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx, UnlockFile,
};
use windows_sys::Win32::System::IO::{OVERLAPPED, OVERLAPPED_0_0};

use super::errno::LOCK_VIOLATION;

/// Where that byte is: the upper half of its offset, 2^62.
const FAR: u32 = 1 << 30;

/// Locks a file as long as it is open; `false`: it is locked by somebody else who has opened it.
pub fn try_lock(file: &File) -> io::Result<bool> {
    lock(file, LOCKFILE_EXCLUSIVE_LOCK)
}

/// As [`try_lock`], beside others that do the same.
pub fn try_lock_shared(file: &File) -> io::Result<bool> {
    lock(file, 0)
}

/// Lets the lock go.
pub fn unlock(file: &File) -> io::Result<()> {
    // SAFETY: a plain call on an open file.
    match unsafe { UnlockFile(file.as_raw_handle(), 0, FAR, 1, 0) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn lock(file: &File, how: LOCK_FILE_FLAGS) -> io::Result<bool> {
    let mut at = OVERLAPPED::default();
    at.Anonymous.Anonymous = OVERLAPPED_0_0 { Offset: 0, OffsetHigh: FAR };
    let flags = how | LOCKFILE_FAIL_IMMEDIATELY;
    // SAFETY: it reads `at` and is done with it when it returns, as the file was not opened for overlapped calls.
    if unsafe { LockFileEx(file.as_raw_handle(), flags, 0, 1, 0, &raw mut at) } != 0 {
        return Ok(true);
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(LOCK_VIOLATION) => Ok(false),
        error => Err(error),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Write as _;

    use windows_sys::Win32::Storage::FileSystem::LockFile;

    use super::*;

    #[test]
    fn a_locked_file_can_be_read_and_made_longer_but_not_locked_by_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let open =
            || File::options().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
        let (mut mine, others) = (open(), open());
        assert!(try_lock(&mine).unwrap());
        mine.write_all(b"me").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"me");
        others.set_len(3).unwrap();
        // Wine lets others read what is locked; but it tells what is.
        // SAFETY: a plain call on an open file.
        assert_ne!(unsafe { LockFile(others.as_raw_handle(), 0, 0, u32::MAX, 0) }, 0);
        assert!(!try_lock(&others).unwrap() && !try_lock_shared(&others).unwrap());
        unlock(&mine).unwrap();
        assert!(try_lock_shared(&others).unwrap() && try_lock_shared(&mine).unwrap());
    }
}
