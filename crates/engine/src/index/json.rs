//! What the engine needs to know about JSON text, without building a tree of it.

use serde::Deserialize as _;
use serde::de::IgnoredAny;

use crate::error::{ErrorKind, Result};

/// How a text is laid out, so that the next version looks the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// What one level is indented by; empty for text on one line.
    pub indent: String,
    /// The text ends in a newline.
    pub newline: bool,
}

impl Default for Layout {
    fn default() -> Self {
        Self { indent: "  ".into(), newline: false }
    }
}

/// What one level is to be indented by, as `JSON.stringify` has it.
#[derive(Clone, Debug, PartialEq)]
pub enum Space {
    /// So many spaces.
    Number(f64),
    /// This text.
    Text(String),
}

/// Checks that the bytes of an index are UTF-8 and one JSON value.
///
/// # Errors
/// [`ErrorKind::CorruptIndex`], with the place.
pub fn check_index(bytes: Vec<u8>) -> Result<String> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        corrupt(error.as_bytes(), offset, "invalid UTF-8".to_owned())
    })?;
    if text.is_empty() {
        return Err(corrupt(&[], 0, "the file is empty".to_owned()).into());
    }
    match parse(&text) {
        Ok(()) => Ok(text),
        Err(error) => Err(corrupt(text.as_bytes(), offset_of(&text, &error), reason_of(&error)).into()),
    }
}

fn corrupt(bytes: &[u8], offset: usize, reason: String) -> ErrorKind {
    let before = &bytes[..offset];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    ErrorKind::CorruptIndex {
        offset: offset as u64,
        line: 1 + before.iter().filter(|byte| **byte == b'\n').count() as u64,
        column: (offset - line_start) as u64 + 1,
        reason,
    }
}

/// Checks a text that is about to be written.
///
/// # Errors
/// [`ErrorKind::InvalidJson`].
pub fn check_text(text: &[u8]) -> Result<()> {
    match serde_json::from_slice::<IgnoredAny>(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(ErrorKind::InvalidJson { reason: error.to_string() }.into()),
    }
}

/// The layout of a text that [`check_index`] accepted.
///
/// ```
/// use pipeline_atomic_engine::index::json::layout;
///
/// let layout = layout("{\n    \"a\": 1\n}\n");
/// assert_eq!((layout.indent.as_str(), layout.newline), ("    ", true));
/// ```
pub fn layout(text: &str) -> Layout {
    let newline = text.ends_with('\n');
    let body = text.trim_matches([' ', '\t', '\r', '\n']);
    let inside = body.strip_prefix(['{', '[']).unwrap_or(body);
    if matches!(body, "{}" | "[]") {
        return Layout { newline, ..Layout::default() };
    }
    let indent = match inside.trim_start_matches(['\r', ' ', '\t']).strip_prefix('\n') {
        Some(first_line) => {
            let first_line = first_line.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
            let end = first_line.find(|c| c != ' ' && c != '\t').unwrap_or(0);
            first_line[..end].to_owned()
        }
        None => String::new(),
    };
    Layout { indent, newline }
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
    (line_start + error.column()).saturating_sub(offender).min(text.len())
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
            ErrorKind::CorruptIndex { offset, line, column, .. } => (*offset, *line, *column),
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
        assert_eq!(corrupt(b"[\n\"a\nb\"]"), (4, 2, 3), "a newline inside a string");
        assert_eq!(corrupt("\u{feff}{}".as_bytes()).0, 0);
    }

    #[test]
    fn the_layout_is_the_texts_own() {
        let layout_of = |text| {
            let Layout { indent, newline } = layout(text);
            (indent, newline)
        };
        assert_eq!(layout_of("{\n    \"a\": 1\n}\n"), ("    ".into(), true));
        assert_eq!(layout_of("[\n\t1\n]"), ("\t".into(), false));
        assert_eq!(layout_of("{\r\n  \"a\": 1\r\n}\r\n"), ("  ".into(), true));
        assert_eq!(layout_of("{\n\n   \"a\": 1\n}"), ("   ".into(), false));
        assert_eq!(layout_of("{\"a\":[\n1]}"), (String::new(), false));
        assert_eq!(layout_of("{}\n"), ("  ".into(), true));
        assert_eq!(layout_of("[]"), ("  ".into(), false));
        assert_eq!(layout_of("null"), (String::new(), false));
    }
}
