//! What the numbers of errors mean.

use std::io;

pub use libc::{
    EAGAIN, EBADF, EBUSY, EEXIST, EINVAL, EISDIR, ELOOP, EMFILE, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR,
    ENOTEMPTY, EPERM, ESTALE, EXDEV,
};

/// The number of an error; an error that Rust itself made counts as an I/O error.
pub(in crate::sys) fn posix_errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

/// Errors that pass by themselves: another process closes something, or it was only a signal.
pub fn is_transient(errno: i32) -> bool {
    matches!(errno, libc::EMFILE | libc::ENFILE | libc::EAGAIN | libc::EINTR)
}

/// Errors that say that another program has the file open: that is in nobody's way here.
pub fn is_held(_errno: i32) -> bool {
    false
}

/// Whether the file is still there and will not be: a name is free at once here.
pub fn is_being_removed(_errno: i32) -> bool {
    false
}

/// Errors that say that a disk, or a user's part of it, is full.
pub fn is_full(errno: i32) -> bool {
    matches!(errno, libc::ENOSPC | libc::EDQUOT)
}

/// Errors of a link(2) that say that there is another way: no /proc, no right to link (some sandboxes), no hard
/// links at all. (Where the directory may not be written to, the other way fails too.)
pub fn cannot_link(errno: i32) -> bool {
    matches!(errno, libc::ENOENT | libc::EPERM | libc::EACCES | libc::EINVAL | libc::EXDEV | libc::EMLINK)
        || is_unsupported(errno)
}

/// Errors of a flock(2) that say that there are no locks here.
pub fn has_no_locks(errno: i32) -> bool {
    errno == libc::ENOLCK || is_unsupported(errno)
}

/// Errors of an exchange that a file system without such an operation gives. `EXDEV` is that of an overlay for
/// a directory that comes of a lower layer.
pub fn cannot_exchange(errno: i32) -> bool {
    matches!(errno, libc::EINVAL | libc::EXDEV) || is_unsupported(errno)
}

/// Errors that say that there is no such operation. Linux has one number for the last two; file systems of macOS give the first of them.
pub(super) fn is_unsupported(errno: i32) -> bool {
    errno == libc::ENOSYS || errno == libc::ENOTSUP || errno == libc::EOPNOTSUPP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_that_a_file_system_lacks_has_another_way() {
        for errno in [libc::ENOSYS, libc::ENOTSUP, libc::EOPNOTSUPP] {
            assert!(cannot_link(errno) && cannot_exchange(errno) && has_no_locks(errno), "{errno}");
        }
        for errno in [libc::ENOSPC, libc::EIO, libc::EROFS] {
            assert!(!cannot_link(errno) && !cannot_exchange(errno) && !has_no_locks(errno), "{errno}");
        }
    }
}
