//! What the text of an index is: JSON, which is checked here, or what only the caller can read.

use crate::error::Result;
use crate::index::json;
use crate::index::layout::{Layout, without_mark};

/// The format of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// JSON.
    #[default]
    Json,
    /// The caller parses and prints it. Two texts say the same if their characters are the same.
    Other,
}

impl Format {
    /// Checks the bytes of an index as far as its format is known here. What a power cut leaves of a file is no text in any format: no bytes,
    /// or NUL bytes.
    ///
    /// # Errors
    /// [`CorruptIndex`](crate::error::ErrorKind::CorruptIndex), with the place.
    pub fn check(self, bytes: Vec<u8>) -> Result<String> {
        match self {
            Self::Json => json::check_index(bytes),
            Self::Other => match String::from_utf8(bytes) {
                Err(error) => {
                    let offset = error.utf8_error().valid_up_to();
                    Err(json::corrupt(self, error.as_bytes(), offset, "invalid UTF-8".to_owned(), json::FILE)
                        .into())
                }
                Ok(text) => match text.find('\0').or_else(|| text.is_empty().then_some(0)) {
                    Some(at) => {
                        Err(json::corrupt(self, text.as_bytes(), at, String::new(), json::FILE).into())
                    }
                    None => Ok(text),
                },
            },
        }
    }

    /// Checks a text that is about to be written.
    ///
    /// # Errors
    /// [`InvalidJson`](crate::error::ErrorKind::InvalidJson).
    pub fn check_made(self, text: &[u8]) -> Result<()> {
        match self {
            Self::Json => json::check_text(text),
            Self::Other => Ok(()),
        }
    }

    /// How the next version of a checked text is to be laid out: of a format that is not known here only the byte order mark is kept.
    pub fn layout(self, text: &str) -> Layout {
        match self {
            Self::Json => Layout::of(text),
            Self::Other => Layout {
                indent: None,
                head: text[..text.len() - without_mark(text).len()].to_owned(),
                ..Layout::default()
            },
        }
    }

    /// In messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Other => "text",
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_a_power_cut_leaves_is_no_text() {
        let problem = |bytes: &[u8]| Format::Other.check(bytes.to_vec()).unwrap_err().to_string();
        assert!(problem(b"").contains("not valid text: the file is empty"));
        assert!(problem(&[0; 20]).contains("filled with NUL bytes"));
        assert!(
            problem(b"a: 1\nb: \0\0").contains("there are NUL bytes at byte 8 (line 2, column 4)"),
            "{}",
            problem(b"a: 1\nb: \0\0")
        );
        assert!(problem(b"\xff\xfea\0").contains("UTF-16"));
        assert_eq!(Format::Other.check(b"not json".to_vec()).unwrap(), "not json");
    }

    #[test]
    fn only_the_mark_is_laid_out() {
        for text in ["a:\r\n  b\r\n", "\u{feff}a: [\n\n"] {
            let layout = Format::Other.layout(text);
            let made = without_mark(text).as_bytes().to_vec();
            assert_eq!(layout.apply(made, None).unwrap(), text.as_bytes());
        }
    }
}
