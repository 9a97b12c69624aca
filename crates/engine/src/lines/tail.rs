//! The end of a file of lines. A power cut or a kill leaves a part of a line there, and an editor a line that lacks only
//! its end.
//!
//! Of plain text the two cannot be told apart, and half a line must not get an end: what has none counts as torn. A JSON
//! value says itself where it ends, but for a number: of `123` also `12` is one.

use std::fs::File;

use serde::de::IgnoredAny;

use crate::error::Result;
use crate::write::verify::read_fully;

const CHUNK: u64 = 64 << 10;
/// A longer line is no value that JavaScript could hold.
const LONGEST: u64 = 1 << 29;

const MARK: &[u8; 3] = b"\xef\xbb\xbf";

/// What is behind the last line end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// Nothing.
    Whole,
    /// A line that lacks only its end.
    Complete,
    /// A part of a line, from here on.
    Torn(u64),
}

impl Tail {
    /// That of a file of `size` bytes. `json`: each line is a JSON value.
    ///
    /// # Errors
    /// Those of read(2).
    pub fn of(file: &File, size: u64, json: bool) -> Result<Self> {
        let start = last_line(file, size)?;
        if start == size || start == 0 && is_mark(file, size)? {
            return Ok(Self::Whole);
        }
        if !json || size - start > LONGEST {
            return Ok(Self::Torn(start));
        }
        let mut line = vec![0; usize::try_from(size - start).unwrap_or_default()];
        let got = read_fully(file, &mut line, start)?;
        let line = if start == 0 { without_mark(&line[..got]) } else { &line[..got] };
        Ok(if is_complete(line) { Self::Complete } else { Self::Torn(start) })
    }
}

/// Where what is behind the last line end begins.
fn last_line(file: &File, size: u64) -> Result<u64> {
    let mut last = [0];
    // As it is, but for what a crash has left.
    if size == 0 || read_fully(file, &mut last, size - 1)? == 1 && last == *b"\n" {
        return Ok(size);
    }
    let mut chunk = vec![0; usize::try_from(size.min(CHUNK)).unwrap_or_default()];
    let mut end = size;
    while end > 0 {
        let start = end.saturating_sub(CHUNK);
        let length = usize::try_from(end - start).unwrap_or_default();
        let got = read_fully(file, &mut chunk[..length], start)?;
        if let Some(at) = chunk[..got].iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Whether the file has a byte order mark and nothing else, as an editor saves an empty file.
fn is_mark(file: &File, size: u64) -> Result<bool> {
    let mut mark = [0; MARK.len()];
    Ok(size == MARK.len() as u64 && read_fully(file, &mut mark, 0)? == MARK.len() && mark == *MARK)
}

/// The first line of a file without its byte order mark.
pub fn without_mark(line: &[u8]) -> &[u8] {
    line.strip_prefix(MARK).unwrap_or(line)
}

/// Whether a line without an end is a JSON value that no more bytes could belong to.
pub fn is_complete(line: &[u8]) -> bool {
    let is_number = |byte: &u8| byte.is_ascii_digit() || *byte == b'-';
    let first = line.trim_ascii_start().first();
    first.is_some_and(|first| !is_number(first)) && serde_json::from_slice::<IgnoredAny>(line).is_ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn tail(text: &[u8], json: bool) -> Tail {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        Tail::of(&file, text.len() as u64, json).unwrap()
    }

    #[test]
    fn a_line_end_leaves_nothing_behind_it() {
        for text in ["", "\n", "a\n", "a\n\n"] {
            assert_eq!(tail(text.as_bytes(), false), Tail::Whole, "{text:?}");
        }
    }

    #[test]
    fn a_text_without_a_line_end_is_torn() {
        assert_eq!(tail(b"ab", false), Tail::Torn(0));
        assert_eq!(tail(b"a\n{}", false), Tail::Torn(2));
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_line() {
        assert_eq!(tail("\u{feff}".as_bytes(), false), Tail::Whole);
        assert_eq!(tail("\u{feff}".as_bytes(), true), Tail::Whole);
        assert_eq!(tail("\u{feff}{\"a\":1}".as_bytes(), true), Tail::Complete);
        assert_eq!(tail("\u{feff}{\"a\":".as_bytes(), true), Tail::Torn(0));
        assert_eq!(tail("\u{feff}a".as_bytes(), false), Tail::Torn(0));
        assert_eq!(tail("{}\n\u{feff}{}".as_bytes(), true), Tail::Torn(3), "only at the beginning");
    }

    #[test]
    fn a_line_is_found_however_long_it_is() {
        let mut text = b"first\n".to_vec();
        text.resize(6 + 3 * usize::try_from(CHUNK).unwrap(), b'x');
        assert_eq!(tail(&text, false), Tail::Torn(6));
        assert_eq!(tail(&text[6..], false), Tail::Torn(0));
    }

    #[test]
    fn a_json_value_is_complete_unless_more_digits_could_follow() {
        for complete in ["{}", "{\"a\":[1]} ", "[]", "\"a\"", "true", "null"] {
            assert_eq!(tail(format!("1\n{complete}").as_bytes(), true), Tail::Complete, "{complete}");
        }
        for torn in ["{", "{}x", "1", "-1.5", "tru", "\"a", "\0\0", " ", "{}\0"] {
            assert_eq!(tail(format!("1\n{torn}").as_bytes(), true), Tail::Torn(2), "{torn:?}");
        }
    }
}
