//! What it takes for bytes to outlive a power cut, and when they cannot.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd};

use super::dir::Dir;
use super::errno::is_unsupported;

/// Flushes a file's content and attributes to its device (`F_FULLFSYNC` on macOS).
///
/// `false`: the file system has no such operation. Errors are final: the kernel marks the pages
/// clean after a failed write-back, and a second fsync would succeed over lost data.
pub fn sync_file(file: &File) -> io::Result<bool> {
    supported(fsync(file.as_fd()))
}

/// Has the system begin to write a file's pages out; it does not wait, and promises nothing.
#[cfg(target_os = "linux")]
pub fn start_write_back(file: &File) {
    use std::os::fd::AsRawFd;

    // SAFETY: a plain call on an open file. A length of 0 means all of it.
    unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
}

/// There is no such hint here.
#[cfg(not(target_os = "linux"))]
pub fn start_write_back(_file: &File) {}

impl Dir {
    /// Flushes the directory's entries; `false` when that cannot be done here.
    pub fn sync(&self) -> io::Result<bool> {
        supported(fsync(self.as_fd()))
    }
}

/// fsync(2) on macOS leaves the data in the drive's cache. Network volumes know nothing else, and each says so by an error of its own: SMB by
/// `ENOTSUP`, `WebDAV` and FUSE by `EINVAL`, ZFS by `ENOTTY`.
#[cfg(target_os = "macos")]
fn fsync(fd: BorrowedFd<'_>) -> io::Result<()> {
    match rustix::io::retry_on_intr(|| rustix::fs::fcntl_fullfsync(fd)) {
        Err(rustix::io::Errno::NOTTY | rustix::io::Errno::NOTSUP | rustix::io::Errno::INVAL) => {
            Ok(rustix::io::retry_on_intr(|| rustix::fs::fsync(fd))?)
        }
        synced => Ok(synced?),
    }
}

#[cfg(not(target_os = "macos"))]
fn fsync(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::io::retry_on_intr(|| rustix::fs::fsync(fd))?)
}

/// EBADF: a directory that could be opened, but not for reading. The others: no such operation here.
fn supported(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error)
            if error.raw_os_error().is_some_and(|errno| {
                matches!(errno, libc::EINVAL | libc::EBADF) || is_unsupported(errno)
            }) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Makes sure that a file can become this long without running out of space, where the file system can; it stays as
/// long as it is.
#[cfg(target_os = "linux")]
pub fn reserve(file: &File, size: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;

    if size == 0 {
        return Ok(());
    }
    match rustix::io::retry_on_intr(|| fallocate(file, FallocateFlags::KEEP_SIZE, 0, size)) {
        Err(Errno::NOTSUP | Errno::NOSYS | Errno::INVAL) => Ok(()),
        reserved => Ok(reserved?),
    }
}

/// Makes sure that a file can become this long: not done here.
#[cfg(not(target_os = "linux"))]
pub fn reserve(_file: &File, _size: u64) -> io::Result<()> {
    Ok(())
}

/// Closes a file and says what the system says about it: some file systems report here that
/// earlier writes were lost.
pub fn close(file: File) -> io::Result<()> {
    // SAFETY: `into_raw_fd` gave up ownership; no other code closes this descriptor.
    match unsafe { libc::close(file.into_raw_fd()) } {
        0 => Ok(()),
        // Linux has closed it all the same.
        _ => Err(io::Error::last_os_error())
            .or_else(|error| if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) }),
    }
}

/// Has the system report all that a close would report, and keeps the file (and its lock) open.
pub fn flush_and_close_copy(file: &File) -> io::Result<()> {
    close(file.try_clone()?)
}
