//! Goes over values without looking into them. The text is known to be JSON: `check_index` accepted it. For any other text the
//! places make no sense, but they are within it.

use std::ops::Range;

use crate::sys::{BLOCK, places};

/// Where the value that begins at `at` ends.
pub fn skip_value(text: &[u8], at: usize) -> usize {
    let at = at.min(text.len());
    match text.get(at) {
        Some(b'"') => skip_string(text, at),
        Some(b'{' | b'[') => skip_container(text, at),
        _ => {
            let rest = &text[at..];
            at + rest.iter().position(|byte| b",]} \t\r\n".contains(byte)).unwrap_or(rest.len())
        }
    }
}

/// Where the string whose quote is at `at` ends.
pub fn skip_string(text: &[u8], at: usize) -> usize {
    const WORD: usize = 8;
    let mut at = at + 1;
    loop {
        // Most are short: a call of memchr takes longer than these few instructions.
        while let Some(word) = text.get(at..).and_then(|rest| rest.first_chunk::<WORD>()) {
            let word = u64::from_le_bytes(*word);
            let found = zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')));
            at += found.trailing_zeros() as usize / 8;
            if found != 0 {
                break;
            }
        }
        match text.get(at) {
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
            None => return text.len(),
        }
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// The highest bit of each byte that is zero, up to the first of them.
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & (ONES << 7)
}

/// Where the white space at `at` ends.
pub fn skip_white(text: &[u8], at: usize) -> usize {
    let at = at.min(text.len());
    let rest = &text[at..];
    at + rest.iter().position(|byte| !b" \t\r\n".contains(byte)).unwrap_or(rest.len())
}

/// Where the container that begins at `at` ends.
///
/// Brackets count only outside of strings, and what is a string is known for 64 bytes at once from the quotes: as simdjson does it (Langdale
/// and Lemire, Parsing Gigabytes of JSON per Second). Of 10,000 records it goes over 4 to 5 GB/s, a loop over bytes over 1.1, sonic-rs
/// over 2.7 and jiter over 0.6; of the members of an object, each by itself, it goes over 3.4 GB/s and sonic-rs over 0.3.
fn skip_container(text: &[u8], at: usize) -> usize {
    let (mut depth, mut strings) = (0, Strings::default());
    let mut padded = [b' '; BLOCK];
    let mut rest = text.get(at..).unwrap_or_default();
    while !rest.is_empty() {
        let block = if let Some(block) = rest.first_chunk() {
            block
        } else {
            padded[..rest.len()].copy_from_slice(rest);
            &padded
        };
        let outside = !strings.next(block);
        // Square brackets differ from braces in this bit.
        let opening = places(block, b'{', 0x20) & outside;
        let closing = places(block, b'}', 0x20) & outside;
        if depth > closing.count_ones() as usize {
            depth = depth + opening.count_ones() as usize - closing.count_ones() as usize;
        } else {
            let mut marks = opening | closing;
            while marks != 0 {
                let mark = marks.trailing_zeros();
                if opening >> mark & 1 == 1 {
                    depth += 1;
                } else if depth > 1 {
                    depth -= 1;
                } else {
                    return (text.len() - rest.len() + mark as usize + 1).min(text.len());
                }
                marks &= marks - 1;
            }
        }
        rest = rest.get(BLOCK..).unwrap_or_default();
    }
    text.len()
}

/// Tells what is inside of strings, block by block.
#[derive(Default)]
pub struct Strings {
    /// All bits, if a string goes on from the block before.
    inside: u64,
    /// The first bit, if the byte before the block escapes the first one.
    escaped: u64,
}

impl Strings {
    /// A bit for each byte from a string's first quote on, up to its last one.
    #[inline]
    fn next(&mut self, block: &[u8; BLOCK]) -> u64 {
        let (quotes, _) = self.real(places(block, b'"', 0), places(block, b'\\', 0));
        self.inside(quotes)
    }

    /// Of these quotes those that are not escaped, and all that is.
    #[inline]
    pub fn real(&mut self, quotes: u64, backslashes: u64) -> (u64, u64) {
        let escaped = self.escaped_in(backslashes);
        (quotes & !escaped, escaped)
    }

    /// As [`Strings::next`], by the quotes that are not escaped.
    #[inline]
    pub fn inside(&mut self, quotes: u64) -> u64 {
        // Each bit becomes the parity of those up to it.
        let inside =
            [1, 2, 4, 8, 16, 32].into_iter().fold(quotes, |bits, by| bits ^ bits << by) ^ self.inside;
        self.inside = if inside >> 63 == 1 { u64::MAX } else { 0 };
        inside
    }

    /// Whether a string has not ended, or a backslash has nothing behind it.
    pub fn is_inside(&self) -> bool {
        self.inside != 0 || self.escaped != 0
    }

    /// The bytes that are escaped: those behind an odd number of backslashes.
    fn escaped_in(&mut self, backslashes: u64) -> u64 {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        if backslashes == 0 {
            return std::mem::take(&mut self.escaped);
        }
        let escaping = backslashes & !self.escaped;
        let follows = escaping << 1 | self.escaped;
        let odd_starts = escaping & !EVEN & !follows;
        let (even_sequences, overflows) = odd_starts.overflowing_add(escaping);
        self.escaped = u64::from(overflows);
        (EVEN ^ even_sequences << 1) & follows
    }
}

/// A member of an object, or an item of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// The literal of its name, with its quotes; empty, where the value begins, for an item.
    pub key: Range<usize>,
    /// Its value.
    pub value: Range<usize>,
}

impl Child {
    /// What is between the quotes of its name.
    pub fn name<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        text.get(self.key.start + 1..self.key.end.saturating_sub(1)).unwrap_or_default()
    }

    /// Where it begins.
    pub fn start(&self) -> usize {
        self.key.start
    }
}

/// Goes through the members or items of a container.
#[derive(Clone, Debug)]
pub struct Children<'t> {
    text: &'t [u8],
    at: usize,
    has_keys: bool,
}

impl<'t> Children<'t> {
    /// Of the container that begins at `at`; there is none in any other value.
    pub fn new(text: &'t [u8], at: usize) -> Self {
        let first = text.get(at);
        let at = if matches!(first, Some(b'{' | b'[')) { skip_white(text, at + 1) } else { text.len() };
        Self { text, at, has_keys: first == Some(&b'{') }
    }

    /// Those that are left of a container, from an [`Children::offset`] on; of an object with `has_keys`.
    pub fn resume(text: &'t [u8], at: usize, has_keys: bool) -> Self {
        Self { text, at, has_keys }
    }

    /// Where it has come to: after the last one, the bracket that closes the container.
    pub fn offset(&self) -> usize {
        self.at
    }
}

impl Iterator for Children<'_> {
    type Item = Child;

    fn next(&mut self) -> Option<Child> {
        if matches!(self.text.get(self.at), None | Some(b'}' | b']')) {
            return None;
        }
        let start = self.at;
        let (key, value) = if self.has_keys {
            let end = skip_string(self.text, start);
            // Past the colon.
            let value = skip_white(self.text, skip_white(self.text, end) + 1);
            (start..end, value)
        } else {
            (start..start, start)
        };
        let end = skip_value(self.text, value);
        let next = skip_white(self.text, end);
        self.at = match self.text.get(next) {
            Some(b',') => skip_white(self.text, next + 1),
            _ => next,
        };
        Some(Child { key, value: value..end })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::index::tokens::{Token, Tokens};

    /// As the tokens have it.
    fn end_by_tokens(text: &[u8]) -> usize {
        let (mut tokens, mut depth) = (Tokens::new(text), 0);
        loop {
            match tokens.next().unwrap() {
                Token::Mark(b'{' | b'[') => depth += 1,
                Token::Mark(b'}' | b']') => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return tokens.offset();
            }
        }
    }

    #[test]
    fn a_container_ends_where_its_tokens_end() {
        const PARTS: [&str; 9] = [
            r#""""#,
            r#""a\\""#,
            r#""}]\\""#,
            r#""\"{""#,
            "[]",
            "{}",
            "12",
            r#"{"x":[null,"]"]}"#,
            r#"["\"\\\"\\"]"#,
        ];
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..20_000 {
            let parts: Vec<_> = (0..random.usize(0..30)).map(|_| random.choice(PARTS).unwrap()).collect();
            let value = format!("[{}{}]", " ".repeat(random.usize(0..70)), parts.join(","));
            let text = format!("{value},\"}}]");
            assert_eq!(skip_value(text.as_bytes(), 0), value.len(), "{text}");
            assert_eq!(end_by_tokens(text.as_bytes()), value.len());
        }
    }

    #[test]
    fn runs_of_backslashes_end_anywhere_in_a_block() {
        for before in 0..130 {
            for slashes in 0..70 {
                let text = format!("[\"{}{}\",\"]\"]]", "a".repeat(before), "\\\\".repeat(slashes));
                assert_eq!(skip_value(text.as_bytes(), 0), text.len() - 1);
                let text = format!("[\"{}{}\\\"]\",1]]", "a".repeat(before), "\\\\".repeat(slashes));
                assert_eq!(skip_value(text.as_bytes(), 0), text.len() - 1);
            }
        }
    }

    #[test]
    fn places_are_within_a_text_that_is_no_json() {
        let mut random = fastrand::Rng::with_seed(2);
        for _ in 0..20_000 {
            let text: Vec<u8> =
                (0..random.usize(0..90)).map(|_| random.choice(*b"{}[]\",:\\ a1").unwrap()).collect();
            let at = random.usize(0..=text.len());
            assert!(skip_value(&text, at) <= text.len() && skip_white(&text, at) <= text.len());
            assert!(Children::new(&text, at).take(1000).all(|child| child.value.end <= text.len()));
        }
    }
}
