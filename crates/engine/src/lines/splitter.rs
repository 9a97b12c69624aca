//! Reading a file of lines piece by piece, and telling lines from what a power cut or a kill has left.

use std::fs::File;
use std::ops::Range;

use crate::error::{Error, ErrorKind, Named, Result};
use crate::lines::tail::{is_complete, without_mark};
use crate::sys;
use crate::write::verify::read_fully;

/// How much is read at a time.
const CHUNK: usize = 256 << 10;

/// A file that is read from its beginning. It is the file that was there when it was opened, whatever becomes of its name.
#[derive(Debug)]
pub struct Reader {
    file: File,
    /// Where the next line begins. What is there may have changed by the next read, so nothing of it is kept until then.
    offset: u64,
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
    /// No line begins any more where the last one has ended: the file was made shorter meanwhile.
    Changed,
}

impl Why {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unfinished => "unfinished",
            Self::Nul => "nul",
            Self::NotUtf8 => "utf8",
            Self::Changed => "changed",
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
        Self { file, offset: 0, line: 0, json, longest }
    }

    /// The next lines; at least one, unless it is the last piece.
    ///
    /// # Errors
    /// Those of read(2); [`ErrorKind::TooLong`].
    pub fn read(&mut self) -> Result<Piece> {
        // With the line end before it, which tells that a line begins there still.
        let start = self.offset.saturating_sub(1);
        let first = usize::from(self.offset > 0);
        let mut bytes = Vec::new();
        loop {
            let known = bytes.len();
            bytes.try_reserve(CHUNK).map_err(|_| Error::no_memory())?;
            bytes.resize(known + CHUNK, 0);
            let got = sys::read_at(&self.file, &mut bytes[known..], start + known as u64).named("read")?;
            bytes.truncate(known + got);
            if first > 0 && bytes.first() != Some(&b'\n') {
                return Ok(self.changed());
            }
            let fresh = known.max(first);
            let end = bytes[fresh..].iter().rposition(|byte| *byte == b'\n').map(|at| fresh + at + 1);
            if got > 0 && end.is_none() {
                if bytes.len() - first > self.longest {
                    return Err(ErrorKind::TooLong { size: (bytes.len() - first) as u64 }.into());
                }
                continue;
            }
            // What two reads have found may be halves of two lines.
            if known > 0 && !self.is_still(&bytes[..known], start)? {
                bytes.clear();
                continue;
            }
            let Some(end) = end else { return Ok(self.last(bytes, first, start)) };
            bytes.truncate(end);
            self.offset = start + end as u64;
            return Ok(self.split(bytes, first, start));
        }
    }

    fn is_still(&self, bytes: &[u8], start: u64) -> Result<bool> {
        let mut chunk = vec![0; CHUNK];
        let mut at = start;
        for known in bytes.chunks(CHUNK) {
            let got = read_fully(&self.file, &mut chunk[..known.len()], at)?;
            if chunk[..got] != *known {
                return Ok(false);
            }
            at += got as u64;
        }
        Ok(true)
    }

    fn changed(&self) -> Piece {
        let place = Lost { line: self.line + 1, offset: self.offset, bytes: 0 };
        Piece { items: vec![Item::Lost(place, Why::Changed)], is_last: true, ..Piece::default() }
    }

    fn split(&mut self, bytes: Vec<u8>, first: usize, start: u64) -> Piece {
        let mut items = Vec::new();
        let mut from = first;
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
        if place.offset == 0 {
            range.start = range.end - without_mark(&bytes[range.clone()]).len();
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
    fn last(&mut self, bytes: Vec<u8>, first: usize, start: u64) -> Piece {
        let mut items = Vec::new();
        if bytes.len() > first {
            let item = self.item(&bytes, first..bytes.len(), start);
            items.push(match item {
                // A byte order mark and nothing else.
                Item::Line(range, _) if range.is_empty() => return Piece { bytes, items, is_last: true },
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
    use std::io::{Seek as _, SeekFrom, Write as _};

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
        assert_eq!(read(b"\xef\xbb\xbf", false), read(b"", false));
        assert_eq!(read(b"\xef\xbb\xbf{}", true).0, ["{}"]);
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
    fn the_end_of_a_file_is_read_again_after_a_pause() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"a\nhalf").unwrap();
        let mut reader = Reader::new(file.try_clone().unwrap(), false, CHUNK);
        assert_eq!(reader.read().unwrap().items.len(), 1);
        file.set_len(2).unwrap();
        file.seek(SeekFrom::End(0)).unwrap();
        file.write_all(b"other line\n").unwrap();
        let piece = reader.read().unwrap();
        let [Item::Line(range, place)] = &piece.items[..] else { panic!("{piece:?}") };
        assert_eq!((piece.text(range), place.line, place.offset), ("other line", 2, 2));
    }

    #[test]
    fn a_file_that_was_made_shorter_is_not_read_on() {
        for now in [&b""[..], b"a", b"longer than it was"] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(b"a\nb\nc").unwrap();
            let mut reader = Reader::new(file.try_clone().unwrap(), false, CHUNK);
            assert_eq!(reader.read().unwrap().items.len(), 2);
            file.set_len(0).unwrap();
            file.rewind().unwrap();
            file.write_all(now).unwrap();
            let piece = reader.read().unwrap();
            assert!(piece.is_last);
            assert_eq!(piece.items, [Item::Lost(Lost { line: 3, offset: 4, bytes: 0 }, Why::Changed)]);
        }
    }

    #[test]
    fn a_line_that_no_string_can_hold_is_an_error() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![b'x'; 5 * CHUNK]).unwrap();
        let error = Reader::new(file, false, 4 * CHUNK).read().unwrap_err();
        assert_eq!(error.code(), "ERR_STRING_TOO_LONG");
    }
}
