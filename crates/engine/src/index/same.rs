//! Whether two texts say the same, however each is laid out: then there is nothing to write.
//!
//! An update that changes something is told apart where the change is, so the common beginning is skipped as bytes.

use std::str::Chars;

use crate::index::number;
use crate::index::options::Numbers;
use crate::index::tokens::{Token, Tokens};

/// What is known of two texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// They say the same.
    Same,
    /// They do not.
    Different,
    /// The old one, of which only a part is here, ends before that is known.
    Undecided,
}

/// Whether `new` says what `old` says.
pub fn is_same(old: &[u8], new: &[u8], numbers: Numbers) -> bool {
    let common = common(old, new);
    if common == old.len() && common == new.len() {
        return true;
    }
    let start = boundary(&new[..common]);
    compare(&old[start..], &new[start..], numbers, true) == Comparison::Same
}

/// How many bytes two texts have in common at their beginning.
pub fn common(old: &[u8], new: &[u8]) -> usize {
    // Whole pieces are compared much faster than bytes.
    const PIECE: usize = 4096;
    let equal = old.chunks(PIECE).zip(new.chunks(PIECE)).take_while(|(old, new)| old == new).count();
    let sure = (equal * PIECE).min(old.len()).min(new.len());
    sure + old[sure..].iter().zip(&new[sure..]).take_while(|(old, new)| old == new).count()
}

/// How many bytes two texts have in common at their end.
pub fn common_end(old: &[u8], new: &[u8]) -> usize {
    const PIECE: usize = 4096;
    let equal = old.rchunks(PIECE).zip(new.rchunks(PIECE)).take_while(|(old, new)| old == new).count();
    let sure = (equal * PIECE).min(old.len()).min(new.len());
    let (old, new) = (&old[..old.len() - sure], &new[..new.len() - sure]);
    sure + old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count()
}

/// A place between two tokens near the end of the beginning of a text.
pub fn boundary(beginning: &[u8]) -> usize {
    // No token has a line end in it.
    let line = beginning.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let mut tokens = Tokens::new(&beginning[line..]);
    let mut start = 0;
    loop {
        let next = tokens.offset();
        if tokens.next().is_none() {
            return line + start;
        }
        start = next;
    }
}

/// Compares two texts from a place between two tokens on. `whole`: the old one goes on to its end.
pub fn compare(old: &[u8], new: &[u8], numbers: Numbers, whole: bool) -> Comparison {
    let (mut old_tokens, mut new_tokens) = (Tokens::new(old), Tokens::new(new));
    loop {
        let token = old_tokens.next();
        if !whole && old_tokens.offset() == old.len() {
            return Comparison::Undecided;
        }
        match (token, new_tokens.next()) {
            (None, None) => return Comparison::Same,
            (Some(old), Some(new)) if is_same_token(old, new, numbers) => {}
            _ => return Comparison::Different,
        }
    }
}

fn is_same_token(old: Token<'_>, new: Token<'_>, numbers: Numbers) -> bool {
    if old == new {
        return true;
    }
    match (old, new) {
        (Token::Text(old), Token::Text(new)) => {
            (old.contains(&b'\\') || new.contains(&b'\\')) && is_same_text(old, new)
        }
        (Token::Number(old), Token::Number(new)) => {
            match (std::str::from_utf8(old), std::str::from_utf8(new)) {
                (Ok(old), Ok(new)) => number::is_same(old, new, numbers),
                _ => false,
            }
        }
        (Token::Number(old), Token::Word(b"null")) if numbers == Numbers::Lossy => {
            std::str::from_utf8(old).is_ok_and(number::is_too_large)
        }
        _ => false,
    }
}

/// Whether two strings in JSON stand for the same, which is decided without memory for a copy: for want of that no change may get lost.
fn is_same_text(old: &[u8], new: &[u8]) -> bool {
    let (Ok(old), Ok(new)) = (std::str::from_utf8(old), std::str::from_utf8(new)) else { return false };
    let (mut old, mut new) = (units(old), units(new));
    loop {
        match (old.next(), new.next()) {
            (None, None) => return true,
            (Some(Some(old)), Some(Some(new))) if old == new => {}
            _ => return false,
        }
    }
}

/// What a string in JSON stands for, in UTF-16, which can express all that escapes can; `None` for what is no escape.
fn units(text: &str) -> impl Iterator<Item = Option<u16>> {
    let mut rest = text.chars();
    let mut second = None;
    std::iter::from_fn(move || {
        if let Some(unit) = second.take() {
            return Some(Some(unit));
        }
        Some(match rest.next()? {
            '\\' => escaped(&mut rest),
            plain => {
                let mut pair = [0; 2];
                let units = plain.encode_utf16(&mut pair);
                second = units.get(1).copied();
                units.first().copied()
            }
        })
    })
}

/// What is behind a backslash.
fn escaped(rest: &mut Chars<'_>) -> Option<u16> {
    Some(match rest.next()? {
        'u' => {
            let (digits, behind) = rest.as_str().split_at_checked(4)?;
            *rest = behind.chars();
            return u16::from_str_radix(digits, 16).ok();
        }
        'b' => 8,
        't' => 9,
        'n' => 10,
        'f' => 12,
        'r' => 13,
        itself => itself as u16,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(old: &str, new: &str) -> bool {
        is_same(old.as_bytes(), new.as_bytes(), Numbers::Strict)
    }

    #[test]
    fn layout_and_spelling_do_not_count() {
        for (old, new) in [
            ("{\r\n  \"a\" : [ 1 , 2 ]\r\n}\r\n", "{\"a\":[1,2]}"),
            (r#"["\u00e9\/\n\ud83d\ude00\uD800"]"#, "[\"é/\\u000a😀\\ud800\"]"),
            ("[1.0, 1e2, -0, true]", "[1,100,0,true]"),
            ("[1]", "[1]"),
        ] {
            assert!(same(old, new), "{old} {new}");
        }
    }

    #[test]
    fn values_count() {
        for (old, new) in [
            ("[1,2]", "[1]"),
            ("[1]", "[1,2]"),
            ("[1]", "[\"1\"]"),
            ("[true]", "[false]"),
            ("[\"a b\"]", "[\"ab\"]"),
            (r#"["\u00e9"]"#, r#"["\\u00e9"]"#),
            (r#"["\nx"]"#, r#"["\ny"]"#),
            (r#"["\nx"]"#, r#"["\nxy"]"#),
            (r#"["\n😀"]"#, r#"["\n😁"]"#),
            (r#"["\n😀"]"#, r#"["\n\ud83d"]"#),
            ("{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}"),
            ("[12]", "[1,2]"),
            ("[1e400]", "[null]"),
        ] {
            assert!(!same(old, new), "{old} {new}");
        }
        assert!(is_same(b"[1e400]", b"[null]", Numbers::Lossy), "as JavaScript has it");
    }

    #[test]
    fn the_common_beginning_is_as_long_as_it_is() {
        for length in [0, 1, 4095, 4096, 4097, 10_000] {
            let text = "1".repeat(length);
            assert_eq!(common(text.as_bytes(), text.as_bytes()), length);
            assert_eq!(common(text.as_bytes(), format!("{text}2").as_bytes()), length);
            assert_eq!(common(format!("{text}3").as_bytes(), format!("{text}2").as_bytes()), length);
        }
    }

    #[test]
    fn the_common_end_is_as_long_as_it_is() {
        for length in [0, 1, 4095, 4096, 4097, 10_000] {
            let text = "1".repeat(length);
            assert_eq!(common_end(text.as_bytes(), text.as_bytes()), length);
            assert_eq!(common_end(text.as_bytes(), format!("2{text}").as_bytes()), length);
            assert_eq!(common_end(format!("3{text}").as_bytes(), format!("2{text}").as_bytes()), length);
        }
    }

    #[test]
    fn a_difference_inside_a_token_is_seen_from_its_start() {
        assert!(same("[\"a\", \"b\\u0041\"]", "[\"a\", \"bA\"]"));
        assert!(same("{\n \"k\": 10\n}", "{\n \"k\": 1e1\n}"));
        assert!(!same("[1, 10]", "[1, 100]"));
    }

    #[test]
    fn a_part_of_the_old_text_decides_or_does_not() {
        let of = |old: &str, new: &str| compare(old.as_bytes(), new.as_bytes(), Numbers::Strict, false);
        assert_eq!(of("[1, 2", "[1,3]"), Comparison::Undecided, "it may be 25, or the end of the line");
        assert_eq!(of("[1, \"a", "[1,\"ab\"]"), Comparison::Undecided);
        assert_eq!(of("[1, 2, 3", "[1,3]"), Comparison::Different);
    }
}
