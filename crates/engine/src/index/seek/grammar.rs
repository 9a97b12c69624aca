//! Whether a text is JSON, known from its brackets, commas, colons, quotes, and where numbers and words begin: those are found for 64 bytes at
//! once, and all else is skipped. What is accepted here, serde_json accepts; what is not may be JSON all the same.

use crate::index::document::{Strings, skip_string};
use crate::index::seek::way::Way;
use crate::sys::{BLOCK, Json, places};

/// It is not plainly JSON.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unclear;

/// What has come so far of a text.
pub(super) struct Grammar {
    way: Way,
    strings: Strings,
    /// All that is open, the last one last: whether it is an object.
    open: Vec<bool>,
    next: Next,
    /// The first bit, if a number or a word goes on from the block before.
    goes_on: u64,
}

/// What may come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    /// Or the end of an array.
    FirstItem,
    Name,
    /// Or the end of an object.
    FirstName,
    Colon,
    /// Or the end of the container.
    Comma,
    Nothing,
}

impl Grammar {
    pub fn new(way: Way) -> Self {
        Self { way, strings: Strings::default(), open: Vec::new(), next: Next::Value, goes_on: 0 }
    }

    /// Goes on with `text`, up to `until`: where a block ends that the text is made of, or all of it. What is behind that comes again.
    pub fn check(&mut self, text: &[u8], until: usize) -> Result<(), Unclear> {
        let (blocks, rest) = text[..until].as_chunks::<BLOCK>();
        for (number, block) in blocks.iter().enumerate() {
            self.check_block(text, number * BLOCK, block)?;
        }
        if !rest.is_empty() {
            let mut padded = [b' '; BLOCK];
            padded[..rest.len()].copy_from_slice(rest);
            self.check_block(text, until - rest.len(), &padded)?;
        }
        self.way.keep(text, until);
        Ok(())
    }

    #[inline]
    fn check_block(&mut self, text: &[u8], start: usize, block: &[u8; BLOCK]) -> Result<(), Unclear> {
        let Json { quotes, backslashes, brackets, separators, controls, spaces } = Json::of(block);
        let (quotes, escaped) = self.strings.real(quotes, backslashes);
        let inside = self.strings.inside(quotes);
        let marks = (brackets | separators) & !inside;
        let white = spaces | controls;
        if controls & inside != 0 {
            return Err(Unclear);
        }
        if controls != 0 {
            let others = || places(block, b'\r', 0) | places(block, b'\t', 0);
            let rare = controls & !places(block, b'\n', 0);
            if rare != 0 && rare & !others() != 0 {
                return Err(Unclear);
            }
        }
        let plain = !(inside | marks | white | quotes);
        let starts = plain & !(plain << 1 | self.goes_on);
        self.goes_on = plain >> 63;
        if escaped & inside != 0 {
            check_escapes(text, start, escaped & inside)?;
        }
        let mut all = marks | starts | quotes & inside;
        while all != 0 {
            self.mark(text, start + all.trailing_zeros() as usize)?;
            all &= all - 1;
        }
        Ok(())
    }

    #[inline]
    fn mark(&mut self, text: &[u8], at: usize) -> Result<(), Unclear> {
        // A value that a lone quote has begun may be said to be where nothing is, in the last block.
        match (*text.get(at).ok_or(Unclear)?, self.next) {
            (b'"', Next::Name | Next::FirstName) => {
                if self.way.is_at(self.open.len()) {
                    self.way.member(name(text, at)?);
                }
                self.next = Next::Colon;
            }
            (b':', Next::Colon) => self.next = Next::Value,
            (b',', Next::Comma) => {
                if self.way.is_at(self.open.len()) {
                    self.way.value_is_over(text, at);
                }
                self.next = if self.is_object() { Next::Name } else { Next::Value };
            }
            (b'"', Next::Value | Next::FirstItem) => {
                self.begin(at, false);
                self.value_is_over();
            }
            (bracket @ (b'{' | b'['), Next::Value | Next::FirstItem) => {
                self.begin(at, true);
                let is_object = bracket == b'{';
                self.open.push(is_object);
                self.next = if is_object { Next::FirstName } else { Next::FirstItem };
            }
            (b'}', Next::FirstName | Next::Comma) if self.is_object() => self.close(text, at),
            (b']', Next::FirstItem | Next::Comma) if !self.is_object() => self.close(text, at),
            (_, Next::Value | Next::FirstItem) => {
                check_scalar(text, at)?;
                self.begin(at, false);
                self.value_is_over();
            }
            _ => return Err(Unclear),
        }
        Ok(())
    }

    #[inline]
    fn begin(&mut self, at: usize, is_container: bool) {
        let depth = self.open.len();
        if depth == 0 {
            if is_container {
                self.way.enter();
            }
        } else if self.way.is_at(depth) {
            if !self.is_object() {
                self.way.item();
            }
            self.way.value(at, is_container);
        }
    }

    #[inline]
    fn close(&mut self, text: &[u8], at: usize) {
        if self.way.is_at(self.open.len()) {
            self.way.value_is_over(text, at);
            self.way.leave();
        }
        self.open.pop();
        self.value_is_over();
    }

    fn value_is_over(&mut self) {
        self.next = if self.open.is_empty() { Next::Nothing } else { Next::Comma };
    }

    fn is_object(&self) -> bool {
        self.open.last() == Some(&true)
    }

    /// The value, when all of the text has come.
    pub fn end(self) -> Result<Option<Vec<u8>>, Unclear> {
        if self.next != Next::Nothing || self.strings.is_inside() {
            return Err(Unclear);
        }
        let mut found = self.way.end()?;
        if let Some(found) = &mut found {
            found.truncate(found.trim_ascii_end().len());
        }
        Ok(found)
    }
}

/// What is between the quotes of a name.
fn name(text: &[u8], at: usize) -> Result<&[u8], Unclear> {
    let end = skip_string(text, at);
    if end <= at + 1 || text.get(end - 1) != Some(&b'"') || end > text.len() {
        return Err(Unclear);
    }
    // The quote may be an escaped one, before what has not come yet.
    let inside = &text[at + 1..end - 1];
    let backslashes = inside.iter().rev().take_while(|byte| **byte == b'\\').count();
    if backslashes % 2 == 1 { Err(Unclear) } else { Ok(inside) }
}

/// A number, `true`, `false` or `null`, with what ends it behind it.
#[inline]
fn check_scalar(text: &[u8], at: usize) -> Result<(), Unclear> {
    let rest = &text[at..];
    let length = match rest.first() {
        Some(b't') if rest.starts_with(b"true") => 4,
        Some(b'f') if rest.starts_with(b"false") => 5,
        Some(b'n') if rest.starts_with(b"null") => 4,
        Some(b'-' | b'0'..=b'9') => number_length(rest)?,
        _ => return Err(Unclear),
    };
    // At the end of the text only the root ends, and an index is no number: one that may go on behind the window is unclear as well.
    match rest.get(length) {
        Some(b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t') => Ok(()),
        _ => Err(Unclear),
    }
}

#[inline]
fn number_length(text: &[u8]) -> Result<usize, Unclear> {
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        from + rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len())
    };
    let start = usize::from(text[0] == b'-');
    let mut end = digits(start);
    if end == start || end > start + 1 && text[start] == b'0' {
        return Err(Unclear);
    }
    if text.get(end) == Some(&b'.') {
        let from = end + 1;
        end = digits(from);
        if end == from {
            return Err(Unclear);
        }
    }
    if let Some(b'e' | b'E') = text.get(end) {
        let from = end + 1 + usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        end = digits(from);
        if end == from {
            return Err(Unclear);
        }
    }
    Ok(end)
}

/// What is behind backslashes: a bit for each.
fn check_escapes(text: &[u8], start: usize, mut escaped: u64) -> Result<(), Unclear> {
    while escaped != 0 {
        let at = start + escaped.trailing_zeros() as usize;
        escaped &= escaped - 1;
        let is_escape = match text.get(at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => true,
            Some(b'u') => {
                let digits = text.get(at + 1..at + 5);
                digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            }
            _ => false,
        };
        if !is_escape {
            return Err(Unclear);
        }
    }
    Ok(())
}
