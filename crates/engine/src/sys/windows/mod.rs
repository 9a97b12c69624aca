//! Windows. A directory is its resolved path here: std has no calls relative to a handle.
//!
//! What differs: no file without a name, no permission bits but read-only, locks that would keep
//! readers out (so a writer's open handle takes the place of its lock), and directories that can be
//! flushed only by some users, so `durable` may be `false`.

mod dir;
mod tree;

pub use crate::sys::windows::dir::Dir;
pub use crate::sys::windows::tree::{cannot_exchange, copy_content};

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::fs::FileExt;
use std::path::PathBuf;

use crate::sys::{CallResult, failed};

/// ERROR_FILE_NOT_FOUND; ERROR_PATH_NOT_FOUND is turned into it.
pub const ENOENT: i32 = 2;
/// ERROR_FILE_EXISTS; ERROR_ALREADY_EXISTS is turned into it.
pub const EEXIST: i32 = 80;
/// ERROR_INVALID_HANDLE
pub const EBADF: i32 = 6;
/// ERROR_DIR_NOT_EMPTY.
pub const ENOTEMPTY: i32 = 145;
/// ERROR_NOT_SAME_DEVICE.
const EXDEV: i32 = 17;
/// ERROR_DIRECTORY.
pub const ENOTDIR: i32 = 267;
/// ERROR_BUSY.
pub const EBUSY: i32 = 170;
/// ERROR_INVALID_PARAMETER.
pub const EINVAL: i32 = 87;
/// ERROR_TOO_MANY_OPEN_FILES.
pub const EMFILE: i32 = 4;
// Windows has no numbers for these: the customer bit and libuv's.
/// A directory where a file was meant.
pub const EISDIR: i32 = CUSTOMER | 4068;
/// A directory that is not the one it was.
pub const ESTALE: i32 = CUSTOMER | 116;
/// Links that lead in a circle.
pub const ELOOP: i32 = CUSTOMER | 4067;

const CUSTOMER: i32 = 1 << 29;
const SHARING_VIOLATION: i32 = 32;
const LOCK_VIOLATION: i32 = 33;

/// Which file: volume and file index, hashed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(u64);

#[cfg(test)]
impl FileId {
    pub(crate) fn for_tests(name: &str) -> Self {
        Self(name.bytes().fold(7, |sum, b| sum * 31 + u64::from(b)))
    }
}

/// Permissions, as far as they go.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// 0o444 or 0o666.
    pub mode: u32,
}

/// Large pages need a privilege here that programs do not have.
pub fn prefer_huge_pages<T>(_memory: &mut [std::mem::MaybeUninit<T>]) {}

/// Tells a file from those that had its number before it: not known here.
pub fn generation(_file: &File) -> Option<u64> {
    None
}

/// A writer's handle is open, and that says enough.
pub fn hold(_file: &File) -> bool {
    true
}

/// A file that is kept open without a handle: there is none.
#[derive(Debug)]
pub struct Parked(std::convert::Infallible);

/// Keeps an open file alive without a handle: not done here, where handles are not scarce.
pub fn park(_file: &File) -> Option<Parked> {
    None
}

/// Nothing was locked.
pub fn release(_file: &File) {}

/// Carries over what there is: a file that may not be written.
pub fn inherit(file: &File, _dir: &Dir, _name: &OsStr, old: &Access, mode: Option<u32>) -> CallResult<()> {
    set_mode(file, mode.unwrap_or(old.mode))
}

/// Read-only without any write bit.
pub fn set_mode(file: &File, mode: u32) -> CallResult<()> {
    let metadata = file.metadata().map_err(failed("fstat"))?;
    if metadata.is_dir() {
        // There it means something else.
        return Ok(());
    }
    let mut permissions = metadata.permissions();
    let readonly = mode & 0o222 == 0;
    if permissions.readonly() == readonly {
        return Ok(());
    }
    permissions.set_readonly(readonly);
    file.set_permissions(permissions).map_err(failed("fchmod"))
}

/// Reads at an offset; 0 only at the end of the file.
pub fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek_read(buffer, offset)
}

/// There is no way to drop a file's cached pages.
pub fn drop_pages(_file: &File, _size: u64) -> bool {
    false
}

/// There is no such hint here.
pub fn start_write_back(_file: &File) {}

/// Flushes a file's content and attributes.
pub fn sync_file(file: &File) -> io::Result<bool> {
    match file.sync_all() {
        Ok(()) => Ok(true),
        // A handle that is open for reading cannot be flushed.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(false),
        Err(error) => Err(error),
    }
}

/// std ignores what closing says; there is nothing to be learnt from it here.
pub fn close(file: File) -> io::Result<()> {
    drop(file);
    Ok(())
}

/// Nothing to be learnt from closing.
pub fn flush_and_close_copy(_file: &File) -> io::Result<()> {
    Ok(())
}

/// libuv's number for an error; what it has none for counts as an I/O error.
pub(super) fn posix_errno(error: &io::Error) -> i32 {
    match error.raw_os_error() {
        Some(number) if number & CUSTOMER != 0 => number & !CUSTOMER,
        Some(2 | 3 | 123 | 161) => 4058,
        Some(4) => 4066,
        Some(5 | 1314) => 4048,
        Some(EBADF) => 4083,
        Some(8 | 14) => 4057,
        Some(17) => 4037,
        Some(19) => 4047,
        Some(SHARING_VIOLATION | LOCK_VIOLATION) => 4082,
        Some(39 | 112) => 4055,
        Some(50 | 1) => 4049,
        Some(80 | 183) => 4075,
        Some(87) => 4071,
        Some(145) => 4051,
        Some(170) => 4082,
        Some(206) => 4064,
        Some(267) => 4052,
        Some(1142) => 4032,
        _ => 4070,
    }
}

/// That there are too many open files.
pub fn is_transient(errno: i32) -> bool {
    errno == EMFILE
}

/// ERROR_HANDLE_DISK_FULL, ERROR_DISK_FULL, ERROR_DISK_QUOTA_EXCEEDED.
pub fn is_full(errno: i32) -> bool {
    matches!(errno, 39 | 112 | 1295)
}

/// ERROR_INVALID_FUNCTION, ERROR_NOT_SAME_DEVICE, ERROR_NOT_SUPPORTED, ERROR_TOO_MANY_LINKS.
pub fn cannot_link(errno: i32) -> bool {
    matches!(errno, 1 | 17 | 50 | 1142)
}

/// A name as the file system compares it.
pub fn fold(name: &OsStr) -> OsString {
    name.to_string_lossy().to_lowercase().into()
}

/// At most `max` UTF-16 units of `name`, not cut inside a character.
pub fn cut(name: &OsStr, max: usize) -> OsString {
    let units: Vec<u16> = name.encode_wide().collect();
    let mut end = units.len().min(max);
    if end < units.len() && (0xdc00..0xe000).contains(&units[end]) {
        end = end.saturating_sub(1);
    }
    OsString::from_wide(&units[..end])
}

/// Handles are not scarce.
pub fn descriptor_limit() -> u64 {
    1 << 14
}

/// Whether a path ends in a separator, and so can only mean a directory.
pub fn names_directory(path: &OsStr) -> bool {
    path.encode_wide().last().is_some_and(|unit| unit == u16::from(b'/') || unit == u16::from(b'\\'))
}

/// Whether the last component of a path is `.` or `..`.
pub fn ends_in_dots(path: &OsStr) -> bool {
    let path = path.to_string_lossy();
    let last = path.split(['/', '\\']).rfind(|part| !part.is_empty());
    matches!(last, Some("." | ".."))
}

/// A path is Unicode.
pub fn path_from_bytes(bytes: Vec<u8>) -> Option<PathBuf> {
    String::from_utf8(bytes).ok().map(PathBuf::from)
}
