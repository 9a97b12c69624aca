//! What the engine needs to know about JSON text, without building a tree of it.

use std::ops::Range;

use serde::Deserialize as _;
use serde::de::IgnoredAny;

use crate::error::{ErrorKind, Place, Result};
use crate::index::format::Format;
use crate::index::layout::without_mark;
use crate::index::number;
use crate::index::options::Numbers;

/// What to do about a file that is no index.
pub const FILE: &str =
    "repair it, or have a backup put back: by recoverIndex, or by the option onCorrupt of an update";
/// What to do about an object in a store that is none.
const OBJECT: &str = "repair it, or put an earlier version back";

/// Checks that the bytes of an index are UTF-8, and one JSON value, which may have a byte order mark before it.
///
/// # Errors
/// [`ErrorKind::CorruptIndex`], with the place.
pub fn check_index(bytes: Vec<u8>) -> Result<String> {
    check(bytes, FILE)
}

/// As [`check_index`], for an object in a store.
///
/// # Errors
/// As [`check_index`].
pub fn check_object(bytes: Vec<u8>) -> Result<String> {
    check(bytes, OBJECT)
}

fn check(bytes: Vec<u8>, advice: &str) -> Result<String> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        corrupt(Format::Json, error.as_bytes(), offset, "invalid UTF-8".to_owned(), advice)
    })?;
    let value = without_mark(&text);
    match parse(value) {
        Ok(()) => Ok(text),
        Err(error) => {
            let offset = text.len() - value.len() + offset_of(value, &error);
            Err(corrupt(Format::Json, text.as_bytes(), offset, reason_of(&error), advice).into())
        }
    }
}

/// What is wrong from `offset` on; `reason` is the parser's.
pub(super) fn corrupt(
    format: Format,
    bytes: &[u8],
    offset: usize,
    reason: String,
    advice: &str,
) -> ErrorKind {
    let repair = || advice.to_owned();
    let lost = || format!("that is what a power cut leaves of a file that was not flushed; {advice}");
    let (offset, reason, advice) = if bytes.is_empty() {
        (0, "the file is empty".to_owned(), repair())
    } else if let Some(encoding) = other_encoding(bytes) {
        (0, format!("the file is {encoding}"), "save it as UTF-8".to_owned())
    } else if bytes.iter().all(|byte| *byte == 0) {
        (0, "the file is filled with NUL bytes".to_owned(), lost())
    } else if bytes.get(offset) == Some(&0) {
        (offset, "there are NUL bytes".to_owned(), lost())
    } else {
        (offset, reason, repair())
    };
    ErrorKind::CorruptIndex { place: place(bytes, offset), reason, advice: advice.into(), format }
}

fn place(bytes: &[u8], offset: usize) -> Box<Place> {
    let before = &bytes[..offset];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    Box::new(Place {
        offset: offset as u64,
        line: 1 + before.iter().filter(|byte| **byte == b'\n').count() as u64,
        column: (offset - line_start) as u64 + 1,
    })
}

/// The encoding of a text that is not UTF-8, by its byte order mark or its first character, which is ASCII in JSON.
fn other_encoding(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        [first, 0] | [0, first] | [first, 0, 1..=255, ..] | [0, first, 0, ..] if *first != 0 => {
            Some("UTF-16")
        }
        _ => None,
    }
}

/// Checks the size of a file that is to be read as a text of so many UTF-16 units at most, each of which takes up to
/// three bytes.
///
/// # Errors
/// [`ErrorKind::TooLong`], if it is certain.
pub fn check_size(size: u64, longest: Option<usize>) -> Result<()> {
    match longest {
        Some(longest) if size / 3 > longest as u64 => Err(ErrorKind::TooLong { size }.into()),
        _ => Ok(()),
    }
}

/// Checks that a text has no more than so many UTF-16 units.
///
/// # Errors
/// [`ErrorKind::TooLong`].
pub fn check_length(text: &[u8], longest: Option<usize>) -> Result<()> {
    match longest {
        Some(longest) if text.len() > longest && utf16_length(text) > longest => {
            Err(ErrorKind::TooLong { size: text.len() as u64 }.into())
        }
        _ => Ok(()),
    }
}

/// A character has one unit, and a second one if it has four bytes.
fn utf16_length(utf8: &[u8]) -> usize {
    let units = |byte: &u8| usize::from(byte & 0xc0 != 0x80) + usize::from(*byte >= 0xf0);
    utf8.iter().map(units).sum()
}

/// Checks a text that is about to be written.
///
/// # Errors
/// [`ErrorKind::InvalidJson`].
pub fn check_text(text: &[u8]) -> Result<()> {
    match serde_json::from_slice::<IgnoredAny>(text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text)) {
        Ok(_) => Ok(()),
        Err(error) => Err(ErrorKind::InvalidJson { reason: error.to_string() }.into()),
    }
}

/// Checks that JavaScript keeps the numbers of a text that [`check_index`] accepted. `true`: it does not, and they
/// are to stay as they are.
///
/// # Errors
/// [`ErrorKind::LossyIndex`], if they are to be refused.
pub fn check_numbers(text: &str, numbers: Numbers) -> Result<bool> {
    check_numbers_in(text, &(0..text.len()), numbers)
}

/// As [`check_numbers`], of a part of the text.
pub(super) fn check_numbers_in(text: &str, part: &Range<usize>, numbers: Numbers) -> Result<bool> {
    match number::first_that_changes(&text[part.clone()], numbers) {
        Some((offset, literal)) if numbers == Numbers::Strict => {
            let place = place(text.as_bytes(), part.start + offset);
            Err(ErrorKind::LossyIndex { place, literal: literal.to_owned() }.into())
        }
        found => Ok(found.is_some()),
    }
}

fn parse(text: &str) -> serde_json::Result<()> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    IgnoredAny::deserialize(&mut deserializer)?;
    deserializer.end()
}

/// serde_json counts lines from 1. Its column is the number of bytes it has read of the line, with
/// the one that offends, but without a control character in a string.
fn offset_of(text: &str, error: &serde_json::Error) -> usize {
    let line_start = match error.line().saturating_sub(1) {
        0 => 0,
        newlines => text.match_indices('\n').nth(newlines - 1).map_or(text.len(), |(at, _)| at + 1),
    };
    let offender = usize::from(!reason_of(error).starts_with("control character"));
    let offset = (line_start + error.column()).saturating_sub(offender).min(text.len());
    // What ends too early ends in its last character, which may be of several bytes.
    (0..=offset).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

fn reason_of(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rfind(" at line ").map_or(text.clone(), |end| text[..end].to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn corrupt(bytes: &[u8]) -> (u64, u64, u64) {
        match check_index(bytes.to_vec()).unwrap_err().kind() {
            ErrorKind::CorruptIndex { place, .. } => (place.offset, place.line, place.column),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn json_is_accepted_however_deep_or_odd() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for text in ["{}", " [1e999] \n", r#""\ud800""#, "null", &deep] {
            assert!(check_index(text.into()).is_ok(), "{}", &text[..text.len().min(20)]);
        }
    }

    #[test]
    fn damage_is_found_where_it_is() {
        assert_eq!(corrupt(b""), (0, 1, 1));
        assert_eq!(corrupt(b"{\n  \"a\": x\n}"), (9, 2, 8));
        assert_eq!(corrupt(b"{} {}"), (3, 1, 4));
        assert_eq!(corrupt(b"[1,\n\xff]"), (4, 2, 1));
        assert_eq!(corrupt(&[0; 10]), (0, 1, 1));
        assert_eq!(corrupt(b"[1,2").0, 3);
        assert_eq!(corrupt("[\"\u{e9}".as_bytes()).0, 2, "not between the bytes of a character");
        assert_eq!(corrupt(b"[\n\"a\nb\"]"), (4, 2, 3), "a newline inside a string");
        assert_eq!(corrupt("\u{feff}{\u{feff}}".as_bytes()), (4, 1, 5));
    }

    #[test]
    fn a_text_is_measured_in_utf16() {
        let text = "aé漢😀";
        assert_eq!(utf16_length(text.as_bytes()), text.encode_utf16().count());
        assert!(
            check_length(text.as_bytes(), Some(5)).is_ok() && check_length(text.as_bytes(), None).is_ok()
        );
        let error = check_length(text.as_bytes(), Some(4)).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::TooLong { size: 10 }));
        assert!(check_size(15, Some(5)).is_ok());
        assert!(check_size(18, Some(5)).is_err());
    }

    #[test]
    fn damage_is_called_what_it_is() {
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        for (bytes, expected) in [
            (vec![], "the file is empty"),
            (vec![0; 10], "filled with NUL bytes"),
            (b"{\0\0\0\0".to_vec(), "there are NUL bytes at byte 1 "),
            (b"{\"a\": \"b\0\0\"}".to_vec(), "there are NUL bytes at byte 8 "),
            (utf16("{}"), "UTF-16"),
            (utf16("\u{feff}{}"), "UTF-16"),
            ("{}".encode_utf16().flat_map(u16::to_be_bytes).collect(), "UTF-16"),
            (b"\xff\xfe\0\0{\0\0\0".to_vec(), "UTF-32"),
            (b"[\xe9]".to_vec(), "invalid UTF-8"),
        ] {
            let message = check_index(bytes).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
