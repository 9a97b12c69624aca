//! Finds a value in a file without having all of it in memory: the text goes through a small buffer, is checked there while it is in the
//! processor's cache, and only the value is kept.
//!
//! Most of the time that a look into a large file took went into memory: for 200 MB the system has to find, clear and map 50,000 pages.
//! Mapping the file would need none of them, but one that another program makes shorter meanwhile ends the process.
//!
//! All of the text is checked, also what is behind the value: a file that is no JSON is no index, and of equal members the last one counts.
//! What is not plainly JSON, or needs more than a look at one place, is for the other way (`look`), which knows what is wrong and where.

mod grammar;
mod way;

use std::io::{self, Read};

use crate::index::document::Pointer;
use crate::index::layout::MARK;
use crate::index::seek::grammar::{Grammar, Unclear};
use crate::index::seek::way::Way;
use crate::sys::BLOCK;

/// How much is read at once: it fits into a second-level cache.
const PIECE: usize = 256 << 10;
/// So much behind a byte is known when that is looked at: the rest of a number, a name or an escape. Longer ones are [`Unclear`].
const AHEAD: usize = 4 << 10;

/// What is at a place in a text.
#[derive(Debug, PartialEq, Eq)]
pub enum Sought {
    /// This value.
    Found(String),
    /// Nothing.
    Nothing,
    /// It takes the other way to tell.
    Unclear,
}

/// What is at `pointer` in the text that `file` reads, which is to have so many bytes.
///
/// # Errors
/// Those of reading.
pub fn seek(file: &mut impl Read, size: u64, pointer: &Pointer) -> io::Result<Sought> {
    let Some(way) = Way::of(pointer) else { return Ok(Sought::Unclear) };
    let mut grammar = Grammar::new(way);
    let mut window = Window::new(size);
    loop {
        let is_last = window.read(file)?;
        if window.check(&mut grammar, is_last).is_err() {
            return Ok(Sought::Unclear);
        }
        if is_last {
            let found =
                grammar.end().and_then(|found| found.map(String::from_utf8).transpose().map_err(|_| Unclear));
            return Ok(match found {
                Ok(Some(text)) => Sought::Found(text),
                Ok(None) => Sought::Nothing,
                Err(Unclear) => Sought::Unclear,
            });
        }
    }
}

/// The part of the text that is in memory.
struct Window {
    bytes: Vec<u8>,
    length: usize,
    /// Up to here it is known to be UTF-8.
    valid: usize,
    is_first: bool,
}

impl Window {
    fn new(size: u64) -> Self {
        let piece = usize::try_from(size).unwrap_or(PIECE).min(PIECE);
        Self { bytes: vec![0; piece + AHEAD + BLOCK], length: 0, valid: 0, is_first: true }
    }

    /// Fills it. `true`: that was all.
    fn read(&mut self, file: &mut impl Read) -> io::Result<bool> {
        while self.length < self.bytes.len() {
            match file.read(&mut self.bytes[self.length..]) {
                Ok(0) => return Ok(true),
                Ok(count) => self.length += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Checks all but what may go on behind it, and drops that.
    fn check(&mut self, grammar: &mut Grammar, is_last: bool) -> Result<(), Unclear> {
        let bytes = &mut self.bytes[..self.length];
        if std::mem::take(&mut self.is_first) && bytes.starts_with(MARK.encode_utf8(&mut [0; 4]).as_bytes()) {
            // White space to the grammar. It is not part of any value but the whole.
            bytes[..MARK.len_utf8()].fill(b' ');
        }
        match std::str::from_utf8(&bytes[self.valid..]) {
            Ok(text) => self.valid += text.len(),
            // The rest of the last character is behind it.
            Err(error) if error.error_len().is_none() && !is_last => self.valid += error.valid_up_to(),
            Err(_) => return Err(Unclear),
        }
        let until = if is_last { self.length } else { (self.length - AHEAD) / BLOCK * BLOCK };
        grammar.check(&self.bytes[..self.length], until)?;
        self.bytes.copy_within(until..self.length, 0);
        self.length -= until;
        self.valid -= until;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
