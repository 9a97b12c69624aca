//! Names and paths as this platform writes them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The longest path that the system opens, in bytes. (macOS opens shorter ones; the error is the same.)
pub const LONGEST_PATH: usize = 4095;

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

/// Whether a path ends in a separator or in `/.`, and so can only mean a directory.
pub fn names_directory(path: &OsStr) -> bool {
    path.as_bytes().ends_with(b"/") || path.as_bytes().ends_with(b"/.")
}

/// Whether the last component of a path is `.` or `..`.
pub fn ends_in_dots(path: &OsStr) -> bool {
    let last = path.as_bytes().split(|byte| *byte == b'/').rfind(|part| !part.is_empty());
    matches!(last, Some(b"." | b".."))
}

/// The bytes of a path that is no text; `None` if it is.
pub fn bytes_beyond_text(path: &Path) -> Option<Vec<u8>> {
    path.to_str().is_none().then(|| path.as_os_str().as_bytes().to_vec())
}

/// A path may be any bytes.
pub fn path_from_bytes(bytes: Vec<u8>) -> Option<PathBuf> {
    Some(OsString::from_vec(bytes).into())
}
