//! Adds numbers as JavaScript does, and tells when that would lose digits.

use crate::index::number;
use crate::index::options::Numbers;

/// The largest of the whole numbers that a double tells apart from all others.
const MOST_SAFE: f64 = 9_007_199_254_740_991.0;

/// Whole numbers have at most so many digits, if those are to be kept.
const MOST_DIGITS: u32 = 38;

/// The literal of the sum; `None`: it would lose digits.
pub fn sum(one: &str, other: &str, numbers: Numbers) -> Option<String> {
    if let (Some(one), Some(other)) = (short(one), short(other)) {
        return Some((one + other).to_string());
    }
    let (one, other) = (Term::of(one, numbers)?, Term::of(other, numbers)?);
    if let (Term::Double(one), Term::Double(other)) = (&one, &other) {
        let both_whole = one.fract() == 0.0 && other.fract() == 0.0;
        let sum = one + other;
        if sum.is_finite() && (!both_whole || sum.abs() <= MOST_SAFE || numbers == Numbers::Lossy) {
            return Some(print(sum));
        }
    }
    let (one, other) = (one.whole()?, other.whole()?);
    let sum = one.checked_add(other).filter(|_| numbers == Numbers::Exact)?;
    (sum.unsigned_abs() < 10_u128.pow(MOST_DIGITS)).then(|| sum.to_string())
}

/// A whole number of so few digits that a double has all of them, and those of the sum of two: what most are.
fn short(literal: &str) -> Option<i64> {
    (literal.len() <= 15).then(|| literal.parse().ok())?
}

/// What JavaScript has for a literal: a number, or, if it would change one whose digits are to be kept, the literal.
enum Term {
    Double(f64),
    Whole(i128),
}

impl Term {
    /// `None`: of a literal that is to be kept and is no whole number.
    fn of(literal: &str, numbers: Numbers) -> Option<Self> {
        if numbers == Numbers::Exact && number::changes(literal, numbers) {
            return literal.parse().ok().map(Self::Whole);
        }
        literal.parse().ok().map(Self::Double)
    }

    fn whole(&self) -> Option<i128> {
        let whole = match self {
            Self::Whole(whole) => *whole,
            Self::Double(double) if double.fract() == 0.0 && double.abs() < 1e38 => *double as i128,
            Self::Double(_) => return None,
        };
        (whole.unsigned_abs() < 10_u128.pow(MOST_DIGITS)).then_some(whole)
    }
}

/// A number as JavaScript prints it.
pub fn print(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    // The same digits: as few as tell it from others.
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-6..21).contains(&exponent) {
        return number.to_string();
    }
    let sign = if exponent > 0 { "+" } else { "" };
    format!("{mantissa}e{sign}{exponent}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_printed_as_javascript_prints_them() {
        for (number, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (-1.5e300, "-1.5e+300"),
            (1e-6, "0.000001"),
            (1.5e-7, "1.5e-7"),
            (123_456_789_012_345_680_000.0, "123456789012345680000"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
        ] {
            assert_eq!(print(number), expected);
        }
    }

    #[test]
    fn a_sum_keeps_its_digits_or_is_none() {
        let strict = |one, other| sum(one, other, Numbers::Strict);
        assert_eq!(strict("1", "2").as_deref(), Some("3"));
        assert_eq!(strict("0.1", "0.2").as_deref(), Some("0.30000000000000004"));
        assert_eq!(strict("1e2", "-100.0").as_deref(), Some("0"));
        assert_eq!(strict("9007199254740991", "1"), None);
        assert_eq!(strict("9007199254740993", "0"), None);
        assert_eq!(strict("1e308", "1e308"), None);
        assert_eq!(sum("9007199254740992", "1", Numbers::Lossy).as_deref(), Some("9007199254740992"));
        assert_eq!(sum("9007199254740993", "1", Numbers::Exact).as_deref(), Some("9007199254740994"));
        assert_eq!(sum("0.1234567890123456789", "1", Numbers::Exact), None);
        assert_eq!(sum("1e400", "1", Numbers::Lossy), None);
        let exact = |one: &str, other: &str| sum(one, other, Numbers::Exact);
        assert_eq!(exact("12345678901234567890.0", "1"), None);
        assert_eq!(exact("90071992547409930e-1", "1"), None);
        assert_eq!(exact("9007199254740992", "1").as_deref(), Some("9007199254740993"));
        assert_eq!(exact("1e22", "1").as_deref(), Some("10000000000000000000001"));
        assert_eq!(exact(&"9".repeat(38), "-1").as_deref(), Some(&*format!("{}8", "9".repeat(37))));
        assert_eq!(exact(&"9".repeat(38), "1"), None);
        assert_eq!(exact(&"9".repeat(40), "1"), None);
        assert_eq!(exact("1e300", "1"), None);
    }
}
