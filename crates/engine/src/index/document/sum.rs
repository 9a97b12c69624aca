//! Adds numbers as JavaScript does, and tells when that would lose digits.

use crate::index::number;
use crate::index::options::Numbers;

/// The largest of the whole numbers that a double tells apart from all others.
const MOST_SAFE: f64 = 9_007_199_254_740_991.0;

/// The literal of the sum; `None`: it would lose digits.
pub fn sum(one: &str, other: &str, numbers: Numbers) -> Option<String> {
    let whole = whole(one).zip(whole(other));
    let keeps = |literal: &str| !number::changes(literal, numbers);
    if keeps(one) && keeps(other) {
        let sum = one.parse::<f64>().ok()? + other.parse::<f64>().ok()?;
        let is_kept = whole.is_none() || sum.abs() <= MOST_SAFE || numbers == Numbers::Lossy;
        if sum.is_finite() && is_kept {
            return Some(print(sum));
        }
    }
    let (one, other) = whole.filter(|_| numbers == Numbers::Exact)?;
    Some(one.checked_add(other)?.to_string())
}

/// The whole number that a literal stands for, of up to 38 digits.
fn whole(literal: &str) -> Option<i128> {
    if let Ok(whole) = literal.parse() {
        return Some(whole);
    }
    let double: f64 = literal.parse().ok()?;
    (double.fract() == 0.0 && double.abs() < 1e38).then_some(double as i128)
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
    }
}
