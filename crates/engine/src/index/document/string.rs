//! What a string in JSON stands for. It is compared as UTF-8 in which a half of a surrogate pair may stand alone, because
//! an escape can be such a half, and JavaScript keeps it.

use std::borrow::Cow;

/// What is between the quotes of a string, without escapes.
pub fn plain(inside: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = inside.iter().position(|byte| *byte == b'\\') else { return Cow::Borrowed(inside) };
    let mut plain = Vec::with_capacity(inside.len());
    plain.extend_from_slice(&inside[..first]);
    let mut at = first;
    while let Some(byte) = inside.get(at) {
        if *byte != b'\\' {
            plain.push(*byte);
            at += 1;
            continue;
        }
        let escaped = inside.get(at + 1).copied().unwrap_or(b'\\');
        at += 2;
        match escaped {
            b'b' => plain.push(8),
            b't' => plain.push(b'\t'),
            b'n' => plain.push(b'\n'),
            b'f' => plain.push(12),
            b'r' => plain.push(b'\r'),
            b'u' => {
                let mut code = unit(inside, at);
                at += 4;
                if (0xd800..0xdc00).contains(&code) && inside.get(at..at + 2) == Some(b"\\u") {
                    let low = unit(inside, at + 2);
                    if (0xdc00..0xe000).contains(&low) {
                        code = 0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                        at += 6;
                    }
                }
                push(&mut plain, code);
            }
            itself => plain.push(itself),
        }
    }
    Cow::Owned(plain)
}

/// The four hexadecimal digits at `at`.
fn unit(text: &[u8], at: usize) -> u32 {
    let digits = text.get(at..at + 4).unwrap_or_default();
    digits.iter().fold(0, |code, digit| code << 4 | char::from(*digit).to_digit(16).unwrap_or(0))
}

fn push(plain: &mut Vec<u8>, code: u32) {
    match char::from_u32(code) {
        Some(character) => plain.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        // Half of a pair.
        None => plain
            .extend([0xe0 | code >> 12, 0x80 | code >> 6 & 0x3f, 0x80 | code & 0x3f].map(|byte| byte as u8)),
    }
}

/// A string as JSON has it.
pub fn literal(plain: &str) -> String {
    serde_json::Value::from(plain).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_stand_for_what_they_name() {
        for (inside, expected) in [
            ("", &b""[..]),
            ("a\u{e9}", "aé".as_bytes()),
            (r#"\"\\\/\b\f\n\r\t"#, b"\"\\/\x08\x0c\n\r\t"),
            (r"\u0041\u00e9\uD83D\ude00\u0000", "Aé😀\0".as_bytes()),
            (r"\ud83d", b"\xed\xa0\xbd"),
            (r"\ud83d\ud83d\ude00", b"\xed\xa0\xbd\xf0\x9f\x98\x80"),
            (r"\ude00x\ud83d\n", b"\xed\xb8\x80x\xed\xa0\xbd\n"),
        ] {
            assert_eq!(&*plain(inside.as_bytes()), expected, "{inside}");
        }
    }

    #[test]
    fn a_literal_stands_for_its_text() {
        for text in ["", "a\"b\\c/\u{1}\n", "é😀\u{2028}"] {
            let literal = literal(text);
            assert_eq!(&*plain(&literal.as_bytes()[1..literal.len() - 1]), text.as_bytes());
        }
    }
}
