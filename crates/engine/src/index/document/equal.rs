//! Whether two values are one, with the members of objects in any order (RFC 6902, 4.6).

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::index::document::scan::{Children, skip_white};
use crate::index::document::string::plain;
use crate::index::number;
use crate::index::options::Numbers;

/// The members of an object, of which the last of a name counts.
fn members(text: &[u8]) -> BTreeMap<Cow<'_, [u8]>, &[u8]> {
    Children::new(text, 0).map(|child| (plain(child.name(text)), &text[child.value])).collect()
}

/// Whether two JSON texts say the same. Numbers are compared as doubles; if their digits are to be kept, those of which a double
/// has not all are compared as they are written.
pub fn is_equal(one: &str, other: &str, numbers: Numbers) -> bool {
    // Values may be nested deeper than the stack is.
    let mut pairs = vec![(one.as_bytes(), other.as_bytes())];
    while let Some((one, other)) = pairs.pop() {
        let (one, other) = (&one[skip_white(one, 0)..], &other[skip_white(other, 0)..]);
        if one == other {
            continue;
        }
        match (one.first(), other.first()) {
            (Some(b'{'), Some(b'{')) => {
                let (ones, mut others) = (members(one), members(other));
                if ones.len() != others.len() {
                    return false;
                }
                for (name, one) in ones {
                    let Some(other) = others.remove(&name) else { return false };
                    pairs.push((one, other));
                }
            }
            (Some(b'['), Some(b'[')) => {
                let (mut ones, mut others) = (Children::new(one, 0), Children::new(other, 0));
                loop {
                    match (ones.next(), others.next()) {
                        (None, None) => break,
                        (Some(first), Some(second)) => pairs.push((&one[first.value], &other[second.value])),
                        _ => return false,
                    }
                }
            }
            (Some(b'"'), Some(b'"')) => {
                if plain(inside(one)) != plain(inside(other)) {
                    return false;
                }
            }
            (Some(b'-' | b'0'..=b'9'), Some(b'-' | b'0'..=b'9')) => {
                if !is_same_number(one, other, numbers) {
                    return false;
                }
            }
            _ if one.trim_ascii() == other.trim_ascii() => {}
            _ => return false,
        }
    }
    true
}

fn inside(string: &[u8]) -> &[u8] {
    let string = string.trim_ascii_end();
    string.get(1..string.len() - 1).unwrap_or_default()
}

fn is_same_number(one: &[u8], other: &[u8], numbers: Numbers) -> bool {
    let literal = |text| std::str::from_utf8(text).map(str::trim_end).unwrap_or_default();
    let (one, other) = (literal(one), literal(other));
    let is_raw = |literal| numbers == Numbers::Exact && number::changes(literal, numbers);
    match (is_raw(one), is_raw(other)) {
        (false, false) => one.parse::<f64>().ok() == other.parse().ok(),
        (true, true) => one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_layout_and_spelling_do_not_count() {
        for (one, other) in [
            (r#"{"a": 1, "b": [true, null]}"#, r#"{ "b":[true ,null],"\u0061":1.0}"#),
            (r#"{"a": 1, "a": 2}"#, r#"{"a": 2}"#),
            (r#" "\u00e9\/" "#, "\"é/\""),
            ("-0", "0"),
            ("1e2", " 100 "),
            ("null ", "null"),
        ] {
            let same = |one, other| is_equal(one, other, Numbers::Strict);
            assert!(same(one, other) && same(other, one), "{one} {other}");
        }
    }

    #[test]
    fn digits_count_if_they_are_to_be_kept() {
        for (one, other) in [("12345678901234567891", "12345678901234567890"), ("1e400", "2e400")] {
            assert!(
                is_equal(one, other, Numbers::Lossy) && !is_equal(one, other, Numbers::Exact),
                "{one} {other}"
            );
        }
        assert!(is_equal("[12345678901234567891]", "[12345678901234567891 ]", Numbers::Exact));
        assert!(is_equal("1e2", "100.0", Numbers::Exact));
    }

    #[test]
    fn values_count() {
        for (one, other) in [
            (r#"{"a": 1}"#, r#"{"a": 1, "b": 1}"#),
            (r#"{"a": 1}"#, r#"{"b": 1}"#),
            ("[1, 2]", "[2, 1]"),
            ("[1]", "[1, 1]"),
            ("[]", "{}"),
            ("\"1\"", "1"),
            ("null", "false"),
            (r#""\ud800""#, "\"\u{fffd}\""),
        ] {
            let same = |one, other| is_equal(one, other, Numbers::Strict);
            assert!(!same(one, other) && !same(other, one), "{one} {other}");
        }
    }
}
