//! What holds for any bytes: the fuzz targets in `fuzz/` look for an input that breaks it, and the tests try some, at random too.
//!
//! It is here, and not there, because most of it is about private parts. Nothing of it is in the addon.

use serde::de::IgnoredAny;

use crate::error::ErrorKind;
use crate::index::document::{Pointer, find};
use crate::index::layout::without_mark;
use crate::index::options::Numbers;
use crate::index::seek::{Sought, seek};
use crate::index::{json, number, same, tokens};
use crate::transaction::journal::{Content, HEAD_LENGTH, Record, State};

/// The check of an index takes what is JSON and nothing else; where it says that the text is broken, the text before that is the
/// beginning of some JSON. What is sought while a text is read is what is found in it.
///
/// # Panics
/// If that does not hold.
pub fn json(bytes: &[u8]) {
    sought(bytes);
    match json::check_index(bytes.to_vec()) {
        Ok(text) => {
            assert_eq!(text.as_bytes(), bytes);
            assert!(is_json(without_mark(&text)), "taken, and is no JSON");
            assert!(json::check_text(bytes).is_ok());
            assert!(same::is_same(bytes, bytes, Numbers::Exact));
        }
        Err(error) => {
            let ErrorKind::CorruptIndex { place, .. } = error.kind() else { panic!("{error:?}") };
            let offset = usize::try_from(place.offset).expect("it is in memory");
            let before = bytes.get(..offset).expect("the place is in the text");
            let newlines = before.iter().filter(|byte| **byte == b'\n').count() as u64;
            let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            assert_eq!((place.line, place.column), (newlines + 1, (offset - line_start) as u64 + 1));
            let Ok(text) = std::str::from_utf8(bytes) else { return };
            assert!(!is_json(without_mark(text)), "refused, and is JSON");
            let before = without_mark(std::str::from_utf8(before).expect("a place between two characters"));
            assert!(may_go_on(before), "broken before the place: {before:?}");
        }
    }
}

fn sought(bytes: &[u8]) {
    for pointer in ["/a", "/0", "/a/0", "/0/a", "/a/a", "/"].map(Pointer::parse) {
        let pointer = pointer.expect("a pointer");
        let found = match seek(&mut &*bytes, bytes.len() as u64, &pointer).expect("bytes can be read") {
            Sought::Unclear => continue,
            Sought::Nothing => None,
            Sought::Found(found) => Some(found),
        };
        let text = json::check_index(bytes.to_vec()).expect("what is plainly JSON is JSON");
        assert_eq!(found.as_deref(), find(&text, &pointer).map(|found| &text[found.range]), "{pointer}");
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Whether more text could make JSON of it. A number that has no digit yet is the one thing that serde_json does not take for an
/// early end.
fn may_go_on(text: &str) -> bool {
    let is_beginning =
        |text: &str| serde_json::from_str::<IgnoredAny>(text).err().is_none_or(|error| error.is_eof());
    is_beginning(text) || is_beginning(&format!("{text}0"))
}

/// The scanner that skips most of a text finds the number that going through all tokens finds, and what a change may bring is
/// never missed.
///
/// The bytes are two texts, old and new, out of what numbers consist of.
///
/// # Panics
/// If that does not hold.
pub fn numbers(bytes: &[u8]) {
    const ALPHABET: &[u8; 32] = b"012345678901234567890..eE+--,, \"";
    let half = bytes.len() / 2;
    let text = |part: &[u8]| {
        let of = |byte: &u8| char::from(ALPHABET[usize::from(byte % 32)]);
        format!("[{}]", part.iter().map(of).collect::<String>())
    };
    // Often the two have much in common, as an index and its next version do.
    let (old, new) = match bytes.first() {
        Some(first) if first % 2 == 0 => (text(&bytes[..half]), text(bytes)),
        _ => (text(&bytes[..half]), text(&bytes[half..])),
    };
    if !is_json(&old) || !is_json(&new) {
        return;
    }
    for numbers in [Numbers::Strict, Numbers::Exact, Numbers::Lossy] {
        let found = number::first_that_changes(&new, numbers);
        assert_eq!(found, first_by_tokens(&new, numbers), "{numbers:?} {new}");
        if found.is_some() && number::first_that_changes(&old, numbers).is_none() {
            assert!(number::may_bring(&old, &new, numbers), "{numbers:?} {old} -> {new}");
        }
        assert!(same::is_same(old.as_bytes(), old.as_bytes(), numbers), "{numbers:?} {old}");
    }
}

fn first_by_tokens(text: &str, numbers: Numbers) -> Option<(usize, &str)> {
    let mut all = tokens::Tokens::new(text.as_bytes());
    while let Some(token) = all.next() {
        let tokens::Token::Number(literal) = token else { continue };
        let literal = std::str::from_utf8(literal).expect("it is ASCII");
        if number::changes(literal, numbers) {
            return Some((all.offset() - literal.len(), literal));
        }
    }
    None
}

/// What is read from a journal is written as it was, and its names stay below the root, though the checksums are right.
///
/// The first byte is the number of operations.
///
/// # Panics
/// If that does not hold.
pub fn journal(bytes: &[u8]) {
    if let Content::Whole(state) = State::decode(bytes) {
        assert_eq!(State::decode(&state.encode()), Content::Whole(state));
    }
    assert!(!matches!(Record::decode(bytes), Content::Whole(record) if !round_trips(&record)));
    let Some((count, payload)) = bytes.split_first() else { return };
    if let Content::Whole(record) = Record::decode(&Record::forged(u32::from(*count), payload)) {
        assert!(round_trips(&record), "{record:?}");
    }
}

fn round_trips(record: &Record) -> bool {
    record.encode().is_some_and(|bytes| {
        Record::payload_length(&bytes) == Some(bytes.len() - HEAD_LENGTH)
            && Record::decode(&bytes) == Content::Whole(record.clone())
    })
}

#[cfg(test)]
mod random;
#[cfg(test)]
mod tests;
