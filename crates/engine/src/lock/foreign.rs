//! Files that have the name of a lock and are none. Others may have such a name for a file of their own, which a holder would write over and
//! remove.

use std::fs::File;

use crate::lock::holder::LONGEST_RECORD;
use crate::sys;

/// Whether a file counts as another program's: it is text that is neither a record nor a part of one. What a holder that was killed or a waiter
/// may have made of ours does not: nothing, NUL bytes, a record that ends early or is by a wrong clock, one that was written over another one in
/// part, and bytes that are no text. Nor does what a power cut leaves, but where that is what was on the disk before (ext4 with `data=writeback`,
/// vfat, exFAT) and that is text: then a lock of ours is refused until somebody removes it, as the error says. It takes a power cut just after
/// the lock was made, and nothing is lost by it; a file of another program's would be lost.
pub fn is_foreign(file: &File) -> bool {
    let mut bytes = [0; LONGEST_RECORD as usize + 1];
    let Ok(got) = sys::read_at(file, &mut bytes, 0) else { return false };
    let written = bytes[..got].iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let text = match std::str::from_utf8(&bytes[..written]) {
        Ok(text) => text,
        // The end of what was read may be in the middle of a character.
        Err(error) if error.error_len().is_none() && written == bytes.len() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    let behind = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let may_be_record = behind.is_empty() || behind.len() < text.len() && behind.starts_with(' ');
    let is_text = |letter: char| !letter.is_control() || matches!(letter, '\t' | '\r' | '\n');
    !may_be_record && text.chars().all(is_text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn says(bytes: &[u8]) -> bool {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        is_foreign(file.as_file())
    }

    #[test]
    fn text_that_is_no_record_is_another_programs() {
        let text = "ü".repeat(LONGEST_RECORD as usize);
        let odd = format!("x{text}");
        for text in ["x", "12345\n", "# lock\n", "{}\0\0", " 1 2", "-1", "\n", &text, &odd] {
            assert!(says(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn whatever_a_lock_of_ours_can_have_become_is_not() {
        let record = "4711 1764500000000 host-of-this\nroot 3\n";
        let other = format!("4194304 1700000000000 {}\nroot 2\n", "x".repeat(60));
        for at in 0..=record.len() {
            let (begin, rest) = record.split_at(at);
            for text in [begin, &format!("{begin}{}", &other[at..]), &format!("{}{rest}", &other[..at])] {
                assert!(!says(text.as_bytes()), "{text:?}");
            }
        }
        let odd = ["1 0 host\n", "1 1764500000000 a host\nand more\n", &"\0".repeat(256), &other];
        assert!(odd.iter().all(|text| !says(text.as_bytes())));
        assert!(!says(b"\xff\xfe text") && !says(b"\x7fELF\x01") && !says(b"\0\0text"));
    }
}
