//! What JavaScript makes of a number: the double that is nearest, printed with as few digits as tell it from others.
//!
//! That changes numbers that nobody has touched: 1161888007138312192 becomes 1161888007138312200, and 1e400 becomes
//! `null`. So literals are compared by their decimal values.

use crate::index::options::Numbers;
use crate::index::tokens::{Token, Tokens};

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
    if numbers == Numbers::Lossy {
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
        for literal in ["0.1234567890123456789", "1e-400", "3.141592653589793238462643"] {
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
    fn two_literals_can_be_one_number() {
        let same = |old, new| is_same(old, new, Numbers::Strict);
        assert!(same("1.0", "1") && same("1E3", "1000") && same("-0", "0") && same("0.10", "0.1"));
        assert!(same("0.1234567890123456789", "0.12345678901234568"), "as JavaScript rounds it");
        assert!(!same("1", "2") && !same("1", "-1"));
        assert!(!same("1161888007138312200", "1161888007138312192"), "digits that somebody has written");
        assert!(!is_same("0.1234567890123456789", "0.12345678901234568", Numbers::Exact));
    }
}
