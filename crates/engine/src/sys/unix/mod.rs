//! Linux and macOS. Differences between the two are decided here and nowhere else.

mod access;
mod cache;
mod content;
mod dir;
mod durability;
mod memory;
mod park;
mod tree;

pub use crate::sys::unix::access::{Access, inherit, set_mode};
pub use crate::sys::unix::cache::{drop_pages, read_at};
pub use crate::sys::unix::content::copy_content;
pub use crate::sys::unix::dir::Dir;
pub use crate::sys::unix::durability::{close, flush_and_close_copy, start_write_back, sync_file};
pub use crate::sys::unix::memory::prefer_huge_pages;
pub use crate::sys::unix::park::{Parked, park};

use std::ffi::{OsStr, OsString};
use std::fs::{File, TryLockError};
use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

pub use libc::{EBADF, EBUSY, EEXIST, EINVAL, EISDIR, ELOOP, EMFILE, ENOENT, ENOTDIR, ENOTEMPTY, ESTALE};

/// Which file: device and inode.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    device: u64,
    inode: u64,
}

#[cfg(test)]
impl FileId {
    pub(crate) fn for_tests(name: &str) -> Self {
        Self { device: u64::MAX, inode: name.bytes().fold(7, |sum, b| sum * 31 + u64::from(b)) }
    }
}

/// The number of an error; an error that Rust itself made counts as an I/O error.
pub(super) fn posix_errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

/// Marks a file as in use, for as long as it is open: a lock, which dies with its process. `false`
/// when another process has it.
///
/// Where a file system has no locks it is `true`: there the sweeper finds none to go by, and sweeps
/// nothing.
pub fn hold(file: &File) -> bool {
    !matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

/// Takes the mark off a file that stays open.
pub fn release(file: &File) {
    drop(file.unlock());
}

/// Errors that pass by themselves: another process closes something, or it was only a signal.
pub fn is_transient(errno: i32) -> bool {
    matches!(errno, libc::EMFILE | libc::ENFILE | libc::EAGAIN | libc::EINTR)
}

/// Errors that say that a disk, or a user's part of it, is full.
pub fn is_full(errno: i32) -> bool {
    matches!(errno, libc::ENOSPC | libc::EDQUOT)
}

/// Errors of a link(2) that a file with a name of its own does without: no /proc, no right to link
/// (some sandboxes), no hard links at all.
pub fn cannot_link(errno: i32) -> bool {
    matches!(
        errno,
        libc::ENOENT
            | libc::EPERM
            | libc::EINVAL
            | libc::ENOSYS
            | libc::EOPNOTSUPP
            | libc::EXDEV
            | libc::EMLINK
    )
}

/// Errors of an exchange that a file system without such an operation gives. `EXDEV` is that of an overlay for
/// a directory that comes of a lower layer.
pub fn cannot_exchange(errno: i32) -> bool {
    matches!(errno, libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP | libc::EXDEV)
}

/// A name as the file system compares it. Taking two names for one only makes them wait for each
/// other, so every macOS volume counts as case-insensitive.
pub fn fold(name: &OsStr) -> OsString {
    if cfg!(target_os = "macos") { name.to_string_lossy().to_lowercase().into() } else { name.to_owned() }
}

/// At most `max` bytes of `name`, not cut inside a character.
pub fn cut(name: &OsStr, max: usize) -> OsString {
    let bytes = name.as_bytes();
    let mut end = bytes.len().min(max);
    if end < bytes.len() && std::str::from_utf8(bytes).is_ok() {
        // Not below 0: a string does not begin with a continuation byte.
        while bytes[end] & 0b1100_0000 == 0b1000_0000 {
            end -= 1;
        }
    }
    OsString::from_vec(bytes[..end].to_vec())
}

/// Tells a file from those that had its inode number before it; `None` where the file system does not.
#[cfg(target_os = "linux")]
pub fn generation(file: &File) -> Option<u64> {
    // Said to be a long; every file system stores an int.
    let mut generation: libc::c_long = 0;
    // SAFETY: writes at most a long to where it points.
    let status = unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_GETVERSION, &raw mut generation) };
    (status == 0).then_some(generation as u64)
}

/// Tells a file from those that had its inode number before it: not known here.
#[cfg(not(target_os = "linux"))]
pub fn generation(_file: &File) -> Option<u64> {
    None
}

/// How many descriptors this process may have open.
pub fn descriptor_limit() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Whether a path ends in a separator or in `/.`, and so can only mean a directory.
pub fn names_directory(path: &OsStr) -> bool {
    path.as_bytes().ends_with(b"/") || path.as_bytes().ends_with(b"/.")
}

/// Whether the last component of a path is `.` or `..`.
pub fn ends_in_dots(path: &OsStr) -> bool {
    let last = path.as_bytes().split(|byte| *byte == b'/').rfind(|part| !part.is_empty());
    matches!(last, Some(b"." | b".."))
}

/// A path may be any bytes.
pub fn path_from_bytes(bytes: Vec<u8>) -> Option<PathBuf> {
    Some(OsString::from_vec(bytes).into())
}
