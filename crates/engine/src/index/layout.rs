//! How the text of an index is laid out, so that the next version looks the same.
//!
//! `JSON.stringify` knows indents of one to ten characters, and no line ends but `\n`. The rest is done here, on the
//! worker. A line end in JSON is always between two tokens, because a string has it as an escape.

use crate::error::{Error, Result};
use crate::process::{buffer_pool, try_room_for_bytes};

/// What is white space in JSON.
const WHITE: [char; 4] = [' ', '\t', '\r', '\n'];
/// What some editors put before a text.
pub const MARK: char = '\u{feff}';
/// The longest indent that `JSON.stringify` takes.
const LONGEST_SPACE: usize = 10;

/// How a text is laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// What one level is indented by; `None` for text on one line.
    pub indent: Option<String>,
    /// What ends a line.
    pub line_end: &'static str,
    /// What is before the value: a byte order mark, white space.
    pub head: String,
    /// What is after the value: newlines, as a rule.
    pub tail: String,
}

/// What one level is to be indented by, as `JSON.stringify` has it.
#[derive(Clone, Debug, PartialEq)]
pub enum Space {
    /// So many spaces.
    Number(f64),
    /// This text.
    Text(String),
}

impl Default for Layout {
    fn default() -> Self {
        Self { indent: Some("  ".into()), line_end: "\n", head: String::new(), tail: String::new() }
    }
}

impl Layout {
    /// That of a text that [`check_index`](super::json::check_index) accepted.
    ///
    /// ```
    /// use pipeline_atomic_engine::index::layout::Layout;
    ///
    /// let layout = Layout::of("{\r\n    \"a\": 1\r\n}\r\n");
    /// assert_eq!(layout.indent.as_deref(), Some("    "));
    /// assert_eq!((layout.line_end, layout.tail.as_str()), ("\r\n", "\r\n"));
    /// ```
    pub fn of(text: &str) -> Self {
        let value = without_mark(text).trim_start_matches(WHITE);
        let (head, rest) = text.split_at(text.len() - value.len());
        let value = rest.trim_end_matches(WHITE);
        let tail = &rest[value.len()..];
        let inside = value.strip_prefix(['{', '[']).unwrap_or("");
        let first = inside.trim_start_matches(WHITE);
        let gap = &inside[..inside.len() - first.len()];
        let indent = match gap.rfind(['\n', '\r']) {
            // Nothing in it tells.
            _ if matches!(first, "}" | "]") => Self::default().indent,
            Some(line_end) => Some(gap[line_end + 1..].to_owned()),
            None => None,
        };
        let line_end = [gap, tail, head].into_iter().find_map(first_line_end).unwrap_or("\n");
        Self { indent, line_end, head: head.to_owned(), tail: tail.to_owned() }
    }

    /// Whether a text with this layout is indented as `JSON.stringify` does it with `space`.
    pub fn is_indented_by(&self, space: &Space) -> bool {
        let indent = self.indent.as_deref().unwrap_or_default();
        match space {
            Space::Number(number) => {
                let width = number.clamp(0.0, LONGEST_SPACE as f64) as usize;
                indent.len() == width && indent.bytes().all(|byte| byte == b' ')
            }
            Space::Text(text) => text.chars().take(LONGEST_SPACE).eq(indent.chars()),
        }
    }

    /// For a text that is laid out already: only the byte order mark is added.
    pub fn mark_only(&self) -> Self {
        let head = if self.head.starts_with(MARK) { MARK.into() } else { String::new() };
        Self { indent: None, line_end: "\n", head, tail: String::new() }
    }

    /// What `JSON.stringify` is to indent by. Where it has no such indent, it is one space, which
    /// [`Layout::apply`] replaces.
    pub fn space(&self) -> &str {
        match &self.indent {
            None => "",
            Some(_) if self.is_beyond_stringify() => " ",
            Some(indent) => indent,
        }
    }

    fn is_beyond_stringify(&self) -> bool {
        self.indent.as_ref().is_some_and(|indent| indent.is_empty() || indent.len() > LONGEST_SPACE)
    }

    /// Lays out a text that `JSON.stringify` has made with [`Layout::space`], or with the `given` one.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn apply(&self, mut text: Vec<u8>, given: Option<&Space>) -> Result<Vec<u8>> {
        let indent = self.indent.as_deref().filter(|_| given.is_none() && self.is_beyond_stringify());
        if indent.is_none() && self.line_end == "\n" && self.head.is_empty() {
            text.try_reserve_exact(self.tail.len()).map_err(|_| Error::no_memory())?;
            text.extend_from_slice(self.tail.as_bytes());
            return Ok(text);
        }
        let (lines, spaces) = text
            .split(|byte| *byte == b'\n')
            .fold((0, 0), |(lines, spaces), line| (lines + 1, spaces + indent.map_or(0, |_| level_of(line))));
        let around = self.head.len() + self.tail.len() + lines * self.line_end.len();
        let length = text.len() + around + spaces * indent.map_or(0, str::len);
        let mut laid_out = try_room_for_bytes(length).ok_or_else(Error::no_memory)?;
        laid_out.extend_from_slice(self.head.as_bytes());
        for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
            if at > 0 {
                laid_out.extend_from_slice(self.line_end.as_bytes());
            }
            let level = indent.map_or(0, |_| level_of(line));
            for _ in 0..level {
                laid_out.extend_from_slice(indent.unwrap_or_default().as_bytes());
            }
            laid_out.extend_from_slice(&line[level..]);
        }
        laid_out.extend_from_slice(self.tail.as_bytes());
        buffer_pool::keep(text);
        Ok(laid_out)
    }
}

/// How deep a line is that `JSON.stringify` has indented by one space a level.
fn level_of(line: &[u8]) -> usize {
    line.iter().take_while(|byte| **byte == b' ').count()
}

/// A text as JSON has it: without a byte order mark.
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix(MARK).unwrap_or(text)
}

fn first_line_end(white: &str) -> Option<&'static str> {
    let at = white.find(['\n', '\r'])?;
    Some(["\r\n", "\n"].into_iter().find(|end| white[at..].starts_with(end)).unwrap_or("\r"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_the_texts_own() {
        let layout_of = |text| {
            let Layout { indent, line_end, head, tail } = Layout::of(text);
            (indent, line_end, head, tail)
        };
        let layout = |indent: Option<&str>, line_end, head: &str, tail: &str| {
            (indent.map(ToOwned::to_owned), line_end, head.to_owned(), tail.to_owned())
        };
        assert_eq!(layout_of("{\n    \"a\": 1\n}\n"), layout(Some("    "), "\n", "", "\n"));
        assert_eq!(layout_of("[\n\t1\n]"), layout(Some("\t"), "\n", "", ""));
        assert_eq!(layout_of("{\r\n  \"a\": 1\r\n}\r\n"), layout(Some("  "), "\r\n", "", "\r\n"));
        assert_eq!(layout_of("[\r 1\r]\r"), layout(Some(" "), "\r", "", "\r"));
        assert_eq!(layout_of("{\n\n   \"a\": 1\n}\n\n"), layout(Some("   "), "\n", "", "\n\n"));
        assert_eq!(layout_of("\u{feff} {\n\"a\": 1\n}"), layout(Some(""), "\n", "\u{feff} ", ""));
        assert_eq!(layout_of("{\"a\":[\n1]}"), layout(None, "\n", "", ""));
        assert_eq!(layout_of("{}\r\n"), layout(Some("  "), "\r\n", "", "\r\n"));
        assert_eq!(layout_of("[\n]"), layout(Some("  "), "\n", "", ""));
        assert_eq!(layout_of("null "), layout(None, "\n", "", " "));
    }

    #[test]
    fn a_text_gets_back_what_stringify_does_not_know() {
        let long = " ".repeat(12);
        for old in [
            "\u{feff}{\r\n\t\"a\": 1\r\n}\r\n",
            &format!("{{\n{long}\"a\": [\n{long}{long}1\n{long}]\n}}\n\n"),
            "[\n1\n]",
            "\r\n[1]",
        ] {
            let layout = Layout::of(old);
            let value = without_mark(old).trim_matches(WHITE);
            let bare: String = value.replace("\r\n", "\n").replace(&long, " ");
            assert_eq!(String::from_utf8(layout.apply(bare.into_bytes(), None).unwrap()).unwrap(), old);
        }
    }

    #[test]
    fn an_indent_is_known_by_what_stringify_makes_of_it() {
        let four = Layout::of("[\n    1\n]");
        let none = Layout::of("[1]");
        assert!(four.is_indented_by(&Space::Number(4.9)) && four.is_indented_by(&Space::Text("    ".into())));
        assert!(!four.is_indented_by(&Space::Number(3.0)) && !four.is_indented_by(&Space::Text("\t".into())));
        assert!(
            none.is_indented_by(&Space::Number(-1.0)) && none.is_indented_by(&Space::Text(String::new()))
        );
        assert!(!none.is_indented_by(&Space::Number(f64::INFINITY)));
    }

    #[test]
    fn a_given_indent_goes_before_that_of_the_text() {
        let layout = Layout::of("[\r\n1\r\n]");
        assert_eq!(layout.space(), " ");
        let space = Space::Number(2.0);
        assert_eq!(layout.apply(b"[\n  1\n]".to_vec(), Some(&space)).unwrap(), b"[\r\n  1\r\n]");
    }
}
