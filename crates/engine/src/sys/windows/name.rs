//! Names and paths as this platform writes them.

use std::ffi::{OsStr, OsString};
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// There is no limit in bytes.
pub const LONGEST_PATH: usize = usize::MAX;

/// At most `max` UTF-16 units of `name`, not cut inside a character.
pub fn cut(name: &OsStr, max: usize) -> OsString {
    let units: Vec<u16> = name.encode_wide().collect();
    let mut end = units.len().min(max);
    if end < units.len() && (0xdc00..0xe000).contains(&units[end]) {
        end = end.saturating_sub(1);
    }
    OsString::from_wide(&units[..end])
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

/// Names are no bytes here.
pub fn bytes_beyond_text(_path: &Path) -> Option<Vec<u8>> {
    None
}

/// A path is Unicode.
pub fn path_from_bytes(bytes: Vec<u8>) -> Option<PathBuf> {
    String::from_utf8(bytes).ok().map(PathBuf::from)
}
