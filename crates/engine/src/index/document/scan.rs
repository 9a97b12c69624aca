//! Goes over values without looking into them. The text is known to be JSON: `check_index` accepted it. For any other text the
//! places make no sense, but they are within it.

use std::ops::Range;

/// Where the value that begins at `at` ends.
pub fn skip_value(text: &[u8], at: usize) -> usize {
    match text.get(at) {
        Some(b'"') => skip_string(text, at),
        Some(b'{' | b'[') => skip_container(text, at),
        _ => {
            let rest = text.get(at..).unwrap_or_default();
            at + rest.iter().position(|byte| b",]} \t\r\n".contains(byte)).unwrap_or(rest.len())
        }
    }
}

/// Where the string whose quote is at `at` ends.
pub fn skip_string(text: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    loop {
        match text.get(at) {
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
            None => return text.len(),
        }
    }
}

/// Where the white space at `at` ends.
pub fn skip_white(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| !b" \t\r\n".contains(byte)).unwrap_or(rest.len())
}

fn skip_container(text: &[u8], at: usize) -> usize {
    let (mut at, mut depth) = (at, 0_usize);
    loop {
        match text.get(at) {
            Some(b'"') => {
                at = skip_string(text, at);
                continue;
            }
            Some(b'{' | b'[') => depth += 1,
            Some(b'}' | b']') => depth -= 1,
            Some(_) => {}
            None => return text.len(),
        }
        at += 1;
        if depth == 0 {
            return at;
        }
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
