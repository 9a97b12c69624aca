//! What JavaScript makes of a number: the double that is nearest, printed with as few digits as tell it from others.
//!
//! That changes numbers that nobody has touched: 1161888007138312192 becomes 1161888007138312200, and 1e400 becomes
//! `null`. So literals are compared by their decimal values.

use crate::index::options::Numbers;
use crate::index::same;
use crate::index::tokens::{Token, Tokens};
use crate::sys::{BLOCK, places};

/// Every literal up to this length, without an exponent, has no more digits than a double keeps.
const SAFE_LENGTH: usize = 15;

/// A number as decimal digits without zeros at either end, times a power of ten.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    is_negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    fn of(literal: &str) -> Self {
        let (is_negative, literal) = literal.strip_prefix('-').map_or((false, literal), |rest| (true, rest));
        let (mantissa, exponent) = literal.split_once(['e', 'E']).unwrap_or((literal, "0"));
        // Only one of too many digits is no such number.
        let most = if exponent.starts_with('-') { i64::MIN } else { i64::MAX };
        let exponent = exponent.parse().unwrap_or(most);
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
        digits.truncate(digits.len() - zeros);
        digits.drain(..digits.iter().take_while(|digit| **digit == b'0').count());
        if digits.is_empty() {
            return Self { is_negative: false, digits, exponent: 0 };
        }
        let shift = zeros as i64 - fraction.len() as i64;
        Self { is_negative, digits, exponent: i64::saturating_add(exponent, shift) }
    }

    fn is_integer(&self) -> bool {
        self.exponent >= 0
    }
}

/// Whether JavaScript would write another number in the place of this one. A zero loses its sign, and that does not
/// count.
pub fn changes(literal: &str, numbers: Numbers) -> bool {
    if numbers == Numbers::Lossy || literal.len() <= SAFE_LENGTH && !literal.contains(['e', 'E']) {
        return false;
    }
    let Ok(double) = literal.parse::<f64>() else { return true };
    let decimal = Decimal::of(literal);
    double.is_infinite()
        || (numbers == Numbers::Exact || decimal.is_integer())
            && decimal != Decimal::of(&format!("{double:e}"))
}

/// Where the first number is that [`changes`], and its literal.
pub fn first_that_changes(text: &str, numbers: Numbers) -> Option<(usize, &str)> {
    if numbers == Numbers::Lossy || !may_change(text.as_bytes(), numbers) {
        return None;
    }
    let mut tokens = Tokens::new(text.as_bytes());
    while let Some(token) = tokens.next() {
        if let Token::Number(literal) = token
            && let Ok(literal) = std::str::from_utf8(literal)
            && changes(literal, numbers)
        {
            return Some((tokens.offset() - literal.len(), literal));
        }
    }
    None
}

/// Whether a text may have a number that [`changes`] though the text before it, `old`, has none. Both are JSON.
///
/// Only what is between the common beginning and the common end is new. What the end is of, a string or not, is
/// the same in both: each has as many quotes from there on.
pub fn may_bring(old: &str, new: &str, numbers: Numbers) -> bool {
    let (old, new) = (old.as_bytes(), new.as_bytes());
    let start = same::common(old, new);
    let end = new.len() - same::common_end(&old[start..], &new[start..]);
    let mut parts = Parts::default();
    // A number may have begun before, and go on after that.
    let start = start - new[..start].iter().rev().take_while(|byte| parts.take(**byte)).count();
    let end = end + new[end..].iter().take_while(|byte| parts.take(**byte)).count();
    may_change(&new[start..end], numbers)
}

/// Whether there is something that looks like a number that [`changes`]. `false` is certain; `true` may be a string's doing.
///
/// To go through all tokens takes as long as to check the text's syntax. This takes a quarter of that.
pub(super) fn may_change(text: &[u8], numbers: Numbers) -> bool {
    let (mut seen, mut after_digit) = (0, 0);
    let mut padded = [b' '; BLOCK];
    let mut start = 0;
    while start < text.len() {
        let rest = &text[start..];
        let block = if let Some(block) = rest.first_chunk() {
            block
        } else {
            padded[..rest.len()].copy_from_slice(rest);
            &padded
        };
        // With `:` and what comes after it, as far as `?`: a few bits less to compare.
        let digits = places(block, b'?', 0x0f);
        let points = places(block, b'.', 0);
        let exponents = places(block, b'e', 0x20) & (digits << 1 | after_digit);
        let mut found = long(digits, points) | exponents;
        while found != 0 {
            let at = start + found.trailing_zeros() as usize;
            found &= found - 1;
            if at >= seen && (exponents >> (at - start) & 1 == 0 || is_large_exponent(text, at)) {
                let (changes, end) = changes_around(text, at, numbers);
                if changes {
                    return true;
                }
                seen = end;
            }
        }
        after_digit = digits >> (BLOCK - 1);
        start += BLOCK;
    }
    false
}

/// The last byte of each word that is full: sixteen digits, with or without a point between them, fill a word of eight bytes,
/// wherever they begin.
fn long(digits: u64, points: u64) -> u64 {
    const LAST: u64 = 0x8080_8080_8080_8080;
    // Each byte of the sum has its highest bit if it is full but for that bit, as nothing is carried over.
    let all = digits | points;
    let mut full = ((all & !LAST) + (LAST >> 7)) & all & LAST;
    let mut words = if points == 0 { 0 } else { full };
    while words != 0 {
        let last = words & words.wrapping_neg();
        words ^= last;
        let word = last | (last - (last >> 7));
        if (points & word).count_ones() > 1 {
            full ^= last;
        }
    }
    full
}

/// Whether the exponent at `at` has three digits: a short literal needs as many to be out of range.
fn is_large_exponent(text: &[u8], at: usize) -> bool {
    let digits = text.get(at + 1..at + 4).unwrap_or_default();
    at > 0
        && text[at - 1].is_ascii_digit()
        && digits.iter().skip(1).filter(|byte| byte.is_ascii_digit()).count() == 2
        && (digits[0].is_ascii_digit() || b"+-".contains(&digits[0]))
}

/// Whether what looks like a number around `at` is one that [`changes`], and where it ends.
fn changes_around(text: &[u8], at: usize, numbers: Numbers) -> (bool, usize) {
    let mut parts = Parts::default();
    let start = at - text[..at].iter().rev().take_while(|byte| parts.take(**byte)).count();
    let end = at + text[at..].iter().take_while(|byte| parts.take(**byte)).count();
    let literal = &text[start..end];
    if numbers == Numbers::Strict && parts.are_of_fraction(literal) {
        return (false, end);
    }
    let is_alone = |neighbour: Option<&u8>| neighbour.is_none_or(|byte| b" \t\r\n[]{},:".contains(byte));
    let is_number = is_alone(text[..start].last()) && is_alone(text.get(end));
    let literal = std::str::from_utf8(literal);
    (is_number && literal.is_ok_and(|literal| changes(literal, numbers)), end)
}

/// What there is in a literal beside digits and signs.
#[derive(Default)]
struct Parts {
    points: usize,
    exponents: usize,
}

impl Parts {
    /// Whether this byte can belong to a number.
    fn take(&mut self, byte: u8) -> bool {
        match byte {
            b'0'..=b'9' | b'+' | b'-' => {}
            b'.' => self.points += 1,
            b'e' | b'E' => self.exponents += 1,
            _ => return false,
        }
        true
    }

    /// Whether the number is no integer, and in range. Measured values are such, and there may be a lot of them.
    fn are_of_fraction(&self, literal: &[u8]) -> bool {
        // The largest double has 309 digits before the point.
        const LONGEST: usize = 300;
        let has_fraction = literal.last().is_some_and(|last| (b'1'..=b'9').contains(last));
        self.points == 1 && self.exponents == 0 && has_fraction && literal.len() < LONGEST
    }
}

/// Whether two literals are one number: the same decimal value. Or, unless digits count, what JavaScript makes of the
/// old one is the new one.
pub fn is_same(old: &str, new: &str, numbers: Numbers) -> bool {
    old == new
        || Decimal::of(old) == Decimal::of(new)
        || numbers != Numbers::Exact
            && !changes(new, Numbers::Exact)
            && old.parse::<f64>().is_ok_and(|old| Ok(old) == new.parse())
}

/// Whether JavaScript makes `null` of a literal.
pub fn is_too_large(literal: &str) -> bool {
    literal.parse::<f64>().is_ok_and(f64::is_infinite)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn integers_with_more_digits_than_a_double_keeps_change() {
        for (literal, expected) in [
            ("9007199254740993", true),
            ("9007199254740992", false),
            // A double holds it, and JavaScript prints another one.
            ("1161888007138312192", true),
            // What JavaScript prints for that double.
            ("1161888007138312200", false),
            ("-1161888007138312192", true),
            ("116188800713831219.2e1", true),
            ("1161888007138312192.000", true),
            ("18446744073709552000", false),
            ("1e23", false),
            ("1E+400", true),
            ("-1e0309", true),
            ("1e99999999999999999999999", true),
            ("1000000000000000000000000", false),
            ("0e99999999999999999999999", false),
            ("-0.0000000000000000000", false),
        ] {
            assert_eq!(changes(literal, Numbers::Strict), expected, "{literal}");
            assert_eq!(changes(literal, Numbers::Exact), expected, "{literal}");
            assert!(!changes(literal, Numbers::Lossy));
        }
    }

    #[test]
    fn decimals_may_round_unless_digits_count() {
        for literal in
            ["0.1234567890123456789", "-1e-400", "3.141592653589793238462643", "-0.30000000000000000001"]
        {
            assert!(!changes(literal, Numbers::Strict), "{literal}");
            assert!(changes(literal, Numbers::Exact), "{literal}");
        }
        assert!(!changes("0.1000000000000000000", Numbers::Exact));
    }

    #[test]
    fn a_text_tells_where_its_first_such_number_is() {
        let text = r#"{"1161888007138312192":["1e400\"",1,1161888007138312192]}"#;
        assert_eq!(first_that_changes(text, Numbers::Strict), Some((36, "1161888007138312192")));
        assert_eq!(first_that_changes(r#"["9007199254740993"]"#, Numbers::Strict), None);
    }

    #[test]
    fn a_number_is_found_wherever_it_is() {
        for literal in ["1e400", "9007199254740993", "-1161888007138312192", "1.0E309"] {
            for before in 0..200 {
                let pad = "x".repeat(before);
                for text in [format!("[\"{pad}\",{literal}]"), format!("[\"{pad}\", {literal} ,1]")] {
                    let found = first_that_changes(&text, Numbers::Strict);
                    assert_eq!(found.map(|(_, literal)| literal), Some(literal), "{text}");
                }
            }
            assert!(first_that_changes(literal, Numbers::Strict).is_some());
        }
    }

    #[test]
    fn what_is_in_words_or_does_not_change_needs_no_second_look() {
        let digits = "1234567890".repeat(10_000);
        for text in [
            "[\"0f4e57a9e81e4b7c4d3e2\"]",
            "[\"1161888007138312192\"]",
            "[15,1.5]",
            "[0.1234567890123456789,-12.5000000000000001,1161888007138312200,1.234567890123456e-7]",
            &format!("\"{digits}\""),
            &format!("\"{}\"", "1e100".repeat(10_000)),
        ] {
            assert!(!may_change(text.as_bytes(), Numbers::Strict), "{}", &text[..text.len().min(40)]);
        }
        assert!(may_change(b"[\"from 1e500 to 2\"]", Numbers::Strict));
    }

    #[test]
    fn a_change_brings_what_is_new_in_it() {
        let big = "9007199254740993";
        for cut in 0..=big.len() {
            let (head, tail) = big.split_at(cut);
            for (old, new) in [
                (format!("[{head},{tail}0]"), format!("[{head}{tail}]")),
                (format!("[1{head},1{tail}]"), format!("[1{head}{tail}]")),
                (format!("[\"{head}{tail}\"]"), format!("[{head}{tail}]")),
                ("[1]".to_owned(), format!("[1,{big}]")),
                ("[1,2]".to_owned(), format!("[1,{big},2]")),
            ] {
                assert!(may_bring(&old, &new, Numbers::Strict), "{old} {new}");
            }
        }
        assert!(may_bring("[1e30]", "[1e309]", Numbers::Strict));
        assert!(may_bring("[1,309]", "[1e309]", Numbers::Strict));
        assert!(may_bring("[0.5]", "[0.5000000000000000001]", Numbers::Exact));
        assert!(!may_bring("[\"1161888007138312192\",1]", "[\"1161888007138312192\",2]", Numbers::Strict));
        assert!(!may_bring("[1]", "[1,2,0.30000000000000004]", Numbers::Strict));
    }

    #[test]
    fn whatever_changes_no_number_comes_unseen() {
        const PARTS: [&str; 10] = [
            "1",
            "-2.5",
            "9007199254740993",
            "1e400",
            "90071992",
            "1e4",
            "\"1\"",
            "\"1e400\"",
            "\"\\\"\"",
            "\",\"",
        ];
        let mut random = fastrand::Rng::with_seed(1);
        let mut found = 0;
        for _ in 0..20_000 {
            let mut parts: Vec<_> = (0..random.usize(1..5)).map(|_| random.choice(PARTS).unwrap()).collect();
            let text = |parts: &[&str]| format!("[{}]", parts.join(","));
            let old = text(&parts);
            let at = random.usize(..parts.len());
            match random.u8(..3) {
                0 => parts[at] = random.choice(PARTS).unwrap(),
                1 => parts.insert(at, random.choice(PARTS).unwrap()),
                _ => {
                    parts.remove(at);
                }
            }
            let new = text(&parts);
            let has_one = |text: &str| first_that_changes(text, Numbers::Strict).is_some();
            if !has_one(&old) && has_one(&new) {
                found += 1;
                assert!(may_bring(&old, &new, Numbers::Strict), "{old} {new}");
            }
        }
        assert!(found > 1000, "{found}");
    }

    #[test]
    fn two_literals_can_be_one_number() {
        let same = |old, new| is_same(old, new, Numbers::Strict);
        assert!(same("1.0", "1") && same("1E3", "1000") && same("-0", "0") && same("0.10", "0.1"));
        assert!(same("0.1234567890123456789", "0.12345678901234568"), "as JavaScript rounds it");
        assert!(!same("1", "2") && !same("1", "-1"));
        assert!(!same("1161888007138312200", "1161888007138312192"), "digits that somebody has written");
        assert!(!is_same("0.1234567890123456789", "0.12345678901234568", Numbers::Exact));
    }
}
