//! Reading a file of lines piece by piece, and telling lines from what a power cut or a kill has left.

use std::fs::File;
use std::ops::Range;

use crate::error::{ErrorKind, Named, Result};
use crate::lines::tail::is_complete;
use crate::sys;

/// How much is read at a time.
const CHUNK: usize = 256 << 10;
const MARK: &[u8] = b"\xef\xbb\xbf";

/// A file that is read from its beginning. It is the file that was there when it was opened, whatever becomes of its name.
#[derive(Debug)]
pub struct Reader {
    file: File,
    /// Where to read on.
    offset: u64,
    /// What was read and is no whole line yet.
    rest: Vec<u8>,
    /// The number of the last line.
    line: u64,
    json: bool,
    /// The longest line that the caller can take, in bytes.
    longest: usize,
}

/// Some lines, in the order of the file.
#[derive(Debug, Default)]
pub struct Piece {
    bytes: Vec<u8>,
    /// What is in it.
    pub items: Vec<Item>,
    /// There are no more.
    pub is_last: bool,
}

/// A line, or what is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Where it is in the piece, in UTF-8, and in the file.
    Line(Range<usize>, Lost),
    /// It is to be skipped.
    Lost(Lost, Why),
}

/// Where a line is in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Its number, from 1.
    pub line: u64,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How long it is, without its end.
    pub bytes: u64,
}

/// Why a line is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It has no end.
    Unfinished,
    /// There are NUL bytes in it: a part of it did not reach the disk.
    Nul,
    /// It is no UTF-8.
    NotUtf8,
}

impl Why {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unfinished => "unfinished",
            Self::Nul => "nul",
            Self::NotUtf8 => "utf8",
        }
    }
}

impl Piece {
    /// The text of a line.
    pub fn text(&self, range: &Range<usize>) -> &str {
        // It was checked.
        std::str::from_utf8(&self.bytes[range.clone()]).unwrap_or_default()
    }
}

impl Reader {
    /// Reads `file`. `json`: each line is a JSON value.
    pub fn new(file: File, json: bool, longest: usize) -> Self {
        Self { file, offset: 0, rest: Vec::new(), line: 0, json, longest }
    }

    /// The next lines; at least one, unless it is the last piece.
    ///
    /// # Errors
    /// Those of read(2); [`ErrorKind::TooLong`].
    pub fn read(&mut self) -> Result<Piece> {
        let mut bytes = std::mem::take(&mut self.rest);
        loop {
            let known = bytes.len();
            bytes.resize(known + CHUNK, 0);
            let got = match sys::read_at(&self.file, &mut bytes[known..], self.offset).named("read") {
                Ok(got) => got,
                Err(error) => {
                    bytes.truncate(known);
                    self.rest = bytes;
                    return Err(error);
                }
            };
            bytes.truncate(known + got);
            let start = self.offset - known as u64;
            self.offset += got as u64;
            if got == 0 {
                return Ok(self.last(bytes, start));
            }
            let Some(end) = bytes[known..].iter().rposition(|byte| *byte == b'\n') else {
                if bytes.len() > self.longest {
                    return Err(ErrorKind::TooLong { size: bytes.len() as u64 }.into());
                }
                continue;
            };
            let end = known + end + 1;
            self.rest = bytes.split_off(end);
            return Ok(self.split(bytes, start));
        }
    }

    fn split(&mut self, bytes: Vec<u8>, start: u64) -> Piece {
        let mut items = Vec::new();
        let mut from = 0;
        while from < bytes.len() {
            let length = bytes[from..].iter().position(|byte| *byte == b'\n');
            let to = length.map_or(bytes.len(), |length| from + length);
            items.push(self.item(&bytes, from..to, start));
            from = to + 1;
        }
        Piece { bytes, items, is_last: false }
    }

    fn item(&mut self, bytes: &[u8], mut range: Range<usize>, start: u64) -> Item {
        self.line += 1;
        let place = Lost { line: self.line, offset: start + range.start as u64, bytes: range.len() as u64 };
        if place.offset == 0 && bytes[range.clone()].starts_with(MARK) {
            range.start += MARK.len();
        }
        let line = &bytes[range.clone()];
        if line.contains(&0) {
            Item::Lost(place, Why::Nul)
        } else if std::str::from_utf8(line).is_err() {
            Item::Lost(place, Why::NotUtf8)
        } else {
            Item::Line(range, place)
        }
    }

    /// What is behind the last line end. A JSON value may lack only that.
    fn last(&mut self, bytes: Vec<u8>, start: u64) -> Piece {
        let mut items = Vec::new();
        if !bytes.is_empty() {
            let item = self.item(&bytes, 0..bytes.len(), start);
            items.push(match item {
                Item::Line(range, place) if !(self.json && is_complete(&bytes[range.clone()])) => {
                    Item::Lost(place, Why::Unfinished)
                }
                item => item,
            });
        }
        Piece { bytes, items, is_last: true }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn read(text: &[u8], json: bool) -> (Vec<String>, Vec<(Lost, Why)>) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        let mut reader = Reader::new(file, json, 4 * CHUNK);
        let (mut lines, mut lost) = (Vec::new(), Vec::new());
        loop {
            let piece = reader.read().unwrap();
            for item in &piece.items {
                match item {
                    Item::Line(range, _) => lines.push(piece.text(range).to_owned()),
                    Item::Lost(place, why) => lost.push((*place, *why)),
                }
            }
            if piece.is_last {
                return (lines, lost);
            }
        }
    }

    #[test]
    fn lines_come_without_their_ends() {
        assert_eq!(read(b"", false).0, Vec::<String>::new());
        assert_eq!(read(b"a\n\nb\r\n", false).0, ["a", "", "b\r"]);
        assert_eq!(read(b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", false).0, ["a", "\u{feff}b"]);
    }

    #[test]
    fn lines_over_the_borders_of_pieces_are_whole() {
        let lines: Vec<String> = (0..9).map(|n| n.to_string().repeat(CHUNK / 3 * (n % 4))).collect();
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        assert_eq!(read(text.as_bytes(), false), (lines, vec![]));
    }

    #[test]
    fn what_is_no_line_is_told_by_its_place() {
        let (lines, lost) = read(b"a\n\0\0b\nc\n\xff\nd", false);
        assert_eq!(lines, ["a", "c"]);
        let place = |line, offset, bytes| Lost { line, offset, bytes };
        assert_eq!(
            lost,
            [(place(2, 2, 3), Why::Nul), (place(4, 8, 1), Why::NotUtf8), (place(5, 10, 1), Why::Unfinished)]
        );
    }

    #[test]
    fn a_json_value_may_lack_its_line_end() {
        assert_eq!(read(b"1\n{}", true).0, ["1", "{}"]);
        assert_eq!(read(b"1\n2", true).1[0].1, Why::Unfinished);
    }

    #[test]
    fn a_line_that_no_string_can_hold_is_an_error() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![b'x'; 5 * CHUNK]).unwrap();
        let error = Reader::new(file, false, 4 * CHUNK).read().unwrap_err();
        assert_eq!(error.code(), "ERR_STRING_TOO_LONG");
    }
}
