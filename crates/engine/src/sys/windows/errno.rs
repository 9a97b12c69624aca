//! What the numbers of errors mean.

use std::io;

use windows_sys::Win32::Foundation::STATUS_DELETE_PENDING;

/// ERROR_FILE_NOT_FOUND; ERROR_PATH_NOT_FOUND is turned into it.
pub const ENOENT: i32 = 2;
/// ERROR_ACCESS_DENIED.
pub const EPERM: i32 = 5;
/// ERROR_FILE_EXISTS; ERROR_ALREADY_EXISTS is turned into it.
pub const EEXIST: i32 = 80;
/// ERROR_INVALID_HANDLE
pub const EBADF: i32 = 6;
/// ERROR_DIR_NOT_EMPTY.
pub const ENOTEMPTY: i32 = 145;
/// ERROR_NOT_SAME_DEVICE.
pub const EXDEV: i32 = 17;
/// ERROR_DIRECTORY.
pub const ENOTDIR: i32 = 267;
/// ERROR_BUSY.
pub const EBUSY: i32 = 170;
/// ERROR_INVALID_PARAMETER.
pub const EINVAL: i32 = 87;
/// ERROR_FILENAME_EXCED_RANGE.
pub const ENAMETOOLONG: i32 = 206;
/// ERROR_TOO_MANY_OPEN_FILES.
pub const EMFILE: i32 = 4;
// Windows has no numbers for these: the customer bit and libuv's.
/// Another process has it now.
pub const EAGAIN: i32 = CUSTOMER | 4088;
/// A directory where a file was meant.
pub const EISDIR: i32 = CUSTOMER | 4068;
/// There is no memory.
pub const ENOMEM: i32 = CUSTOMER | 4057;
/// A directory that is not the one it was.
pub const ESTALE: i32 = CUSTOMER | 116;
/// Links that lead in a circle.
pub const ELOOP: i32 = CUSTOMER | 4067;

pub(super) const CUSTOMER: i32 = 1 << 29;
pub(super) const SHARING_VIOLATION: i32 = 32;
pub(super) const LOCK_VIOLATION: i32 = 33;
/// A file that was removed while another handle of it is open: its name is taken until that is closed.
const DELETE_PENDING: i32 = 303;

#[link(name = "ntdll")]
unsafe extern "system" {
    fn RtlGetLastNtStatus() -> i32;
}

/// Tells a file that is being removed from one that this user may not touch, right after a call: of both Windows says
/// `ERROR_ACCESS_DENIED`, and the status that it made this of is kept for each thread. Names of files go at once on NTFS, but not by all
/// ways of removing them, and not on FAT, exFAT and shares.
pub(super) fn told_apart(error: io::Error) -> io::Error {
    // SAFETY: it reads what belongs to this thread.
    let is_removed = || unsafe { RtlGetLastNtStatus() } == STATUS_DELETE_PENDING;
    match error.raw_os_error() {
        Some(EPERM) if is_removed() => io::Error::from_raw_os_error(DELETE_PENDING),
        _ => error,
    }
}

/// libuv's number for an error; what it has none for counts as an I/O error.
pub(in crate::sys) fn posix_errno(error: &io::Error) -> i32 {
    match error.raw_os_error() {
        Some(number) if number & CUSTOMER != 0 => number & !CUSTOMER,
        Some(2 | 3 | 123 | 161) => 4058,
        Some(4) => 4066,
        Some(5 | 1314) => 4048,
        Some(EBADF) => 4083,
        Some(8 | 14) => 4057,
        Some(17) => 4037,
        Some(19) => 4047,
        Some(SHARING_VIOLATION | LOCK_VIOLATION | DELETE_PENDING) => 4082,
        Some(39 | 112 | 1295) => 4055,
        Some(50 | 1) => 4049,
        Some(80 | 183) => 4075,
        Some(87) => 4071,
        Some(145) => 4051,
        Some(170) => 4082,
        Some(206) => 4064,
        Some(267) => 4052,
        Some(1142) => 4032,
        Some(1921) => 4067,
        _ => 4070,
    }
}

/// Errors that pass by themselves.
pub fn is_transient(errno: i32) -> bool {
    matches!(errno, EMFILE | EAGAIN) || is_held(errno)
}

/// Errors that say that another handle of the file is open, or of the one that had its name.
pub fn is_held(errno: i32) -> bool {
    matches!(errno, SHARING_VIOLATION | LOCK_VIOLATION | DELETE_PENDING)
}

/// Whether the file is removed as soon as all its handles are closed, and nobody can make one of its name before.
pub fn is_being_removed(errno: i32) -> bool {
    errno == DELETE_PENDING
}

/// ERROR_HANDLE_DISK_FULL, ERROR_DISK_FULL, ERROR_DISK_QUOTA_EXCEEDED.
pub fn is_full(errno: i32) -> bool {
    matches!(errno, 39 | 112 | 1295)
}

/// ERROR_INVALID_FUNCTION, ERROR_NOT_SUPPORTED.
pub fn has_no_locks(errno: i32) -> bool {
    matches!(errno, 1 | 50)
}

/// ERROR_INVALID_FUNCTION, ERROR_NOT_SAME_DEVICE, ERROR_NOT_SUPPORTED, ERROR_TOO_MANY_LINKS.
pub fn cannot_link(errno: i32) -> bool {
    matches!(errno, 1 | 17 | 50 | 1142)
}

#[cfg(test)]
mod tests {
    use windows_sys::Win32::Foundation::{NTSTATUS, RtlNtStatusToDosError, STATUS_ACCESS_DENIED};

    use super::*;

    #[test]
    fn a_file_that_is_being_removed_is_told_from_one_that_may_not_be_touched() {
        let failed = |status: NTSTATUS| {
            // SAFETY: a plain call. It is how calls that fail come to their number, and it keeps the status for this thread.
            let number = unsafe { RtlNtStatusToDosError(status) };
            assert_eq!(number.cast_signed(), EPERM);
            told_apart(io::Error::from_raw_os_error(EPERM))
        };
        let removed = failed(STATUS_DELETE_PENDING);
        assert!(removed.raw_os_error().is_some_and(is_transient));
        assert!(removed.raw_os_error().is_some_and(is_being_removed));
        assert_eq!(posix_errno(&removed), 4082);
        // Only what could be one or the other is looked at.
        assert_eq!(told_apart(io::Error::from_raw_os_error(ENOENT)).raw_os_error(), Some(ENOENT));
        let refused = failed(STATUS_ACCESS_DENIED);
        assert_eq!((refused.raw_os_error(), posix_errno(&refused)), (Some(EPERM), 4048));
    }
}
