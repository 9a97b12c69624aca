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

/// Names of devices, in every directory and with any extension.
const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];

/// Whether a name means something else than an entry of its directory, or none that other programs could open. The paths of
/// open directories are verbatim (`\\?\`), and there the system checks nothing of this.
pub fn is_reserved(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    // `:` begins the name of a stream in the file before it.
    let is_forbidden = |c: char| c < ' ' || r#"<>:"/\|?*"#.contains(c);
    // Without the verbatim prefix these two are dropped at the end.
    if name.contains(is_forbidden) || name.ends_with(['.', ' ']) {
        return true;
    }
    let stem = name.split('.').next().unwrap_or_default().trim_end_matches(' ').to_ascii_uppercase();
    let port = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    // The three superscripts are digits as well, for what is left of an old code page.
    let is_port = port.is_some_and(|port| {
        let mut digits = port.chars();
        digits.next().is_some_and(|digit| matches!(digit, '0'..='9' | '¹' | '²' | '³'))
            && digits.next().is_none()
    });
    is_port || DEVICES.contains(&&*stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mean_something_else_are_told() {
        let reserved = [
            "NUL",
            "nul",
            "Con.txt",
            "aux .log",
            "COM1",
            "lpt9.dat",
            "COM\u{b2}",
            "CONIN$",
            "a:b",
            "a.txt::$DATA",
            "dot.",
            "space ",
            "a?b",
            "a*b",
            "a|b",
            "a\nb",
        ];
        for name in reserved {
            assert!(is_reserved(name.as_ref()), "{name:?}");
        }
        for name in ["a", ".env", "null", "COM", "COM10", "console.log", "a.nul", "Ü¹", " lead", "a;b"] {
            assert!(!is_reserved(name.as_ref()), "{name:?}");
        }
    }
}
