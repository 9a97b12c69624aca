//! What it takes for bytes to outlive a power cut, and when they cannot.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd};

use super::Dir;

/// Flushes a file's content and attributes to its device (`F_FULLFSYNC` on macOS).
///
/// `false`: the file system has no such operation. Errors are final: the kernel marks the pages
/// clean after a failed write-back, and a second fsync would succeed over lost data.
pub fn sync_file(file: &File) -> io::Result<bool> {
    supported(file.sync_all())
}

impl Dir {
    /// Flushes the directory's entries; `false` when that cannot be done here.
    pub fn sync(&self) -> io::Result<bool> {
        // Through std for macOS: it knows F_FULLFSYNC. A duplicate, for std wants to own a `File`.
        #[cfg(target_os = "macos")]
        return supported(self.as_fd().try_clone_to_owned().and_then(|fd| File::from(fd).sync_all()));
        #[cfg(not(target_os = "macos"))]
        supported(rustix::io::retry_on_intr(|| rustix::fs::fsync(self)).map_err(io::Error::from))
    }

    /// Whether anything in this directory can outlive a power cut: not in memory, and not on an
    /// overlay that was mounted `volatile`, where fsync does nothing and says that all is well.
    pub fn is_durable(&self) -> bool {
        is_durable(self.as_fd())
    }
}

/// EBADF: a directory that could be opened, but not for reading. The others: no such operation here.
fn supported(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP | libc::EBADF)
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

#[cfg(target_os = "linux")]
fn is_durable(directory: BorrowedFd<'_>) -> bool {
    const TMPFS: i64 = 0x0102_1994;
    const RAMFS: i64 = 0x8584_58f6;
    const OVERLAY: i64 = 0x794c_7630;

    #[allow(clippy::unnecessary_cast, reason = "the field's type differs between platforms")]
    match rustix::fs::fstatfs(directory).map(|stat| i64::from(stat.f_type as u32)) {
        Ok(TMPFS | RAMFS) => false,
        Ok(OVERLAY) => !is_volatile(directory),
        _ => true,
    }
}

#[cfg(not(target_os = "linux"))]
fn is_durable(_directory: BorrowedFd<'_>) -> bool {
    true
}

/// Looks the mount up by its device number, which for directories is the overlay's own. When in
/// doubt, volatile.
#[cfg(target_os = "linux")]
fn is_volatile(directory: BorrowedFd<'_>) -> bool {
    let (Ok(stat), Ok(mounts)) =
        (rustix::fs::fstat(directory), std::fs::read_to_string("/proc/self/mountinfo"))
    else {
        return true;
    };
    let device = format!("{}:{}", rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
    mounts
        .lines()
        .find(|line| line.split(' ').nth(2) == Some(&device))
        .and_then(|line| line.rsplit(' ').next())
        .is_none_or(|options| {
            options.split(',').any(|option| option == "volatile" || option == "fsync=volatile")
        })
}

/// Closes a file and says what the system says about it: some file systems report here that
/// earlier writes were lost.
pub fn close(file: File) -> io::Result<()> {
    // SAFETY: `into_raw_fd` gave up ownership; nobody else closes this descriptor.
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
