//! Files of lines after a power cut: each line that was acknowledged is there, once, and what a reader takes for a line is one.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::history::{Version, Window};
use crate::report::problem::Harm::{Lost, Torn};
use crate::report::problem::Problem;

/// So many old files a rotation keeps.
const KEPT: u32 = 9;

/// The names of the old files, the oldest first.
pub fn rotated(path: &str) -> impl Iterator<Item = String> {
    (1..=KEPT).rev().map(move |number| format!("{path}.{number}"))
}

/// `appended`: what each call has given, in the order of the calls.
pub fn check(root: &Path, path: &str, appended: &[Version], window: Window) -> Result<(), Problem> {
    let mut given = BTreeMap::new();
    for (call, version) in appended.iter().enumerate() {
        let lines = version.bytes.split_inclusive(|byte| *byte == b'\n').enumerate();
        given.extend(lines.map(|(at, line)| (line, (call, at))));
    }
    let mut found = Vec::new();
    for name in rotated(path).chain([path.to_owned()]) {
        let bytes = match fs::read(root.join(&name)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(Torn.problem(format!("{name} cannot be read: {error}"))),
        };
        // The rule for readers: a line has an end, and no NUL bytes.
        let lines = bytes.split_inclusive(|byte| *byte == b'\n');
        for line in lines.filter(|line| line.ends_with(b"\n") && !line.contains(&0)) {
            let start = String::from_utf8_lossy(&line[..line.len().min(24)]);
            match given.get(line) {
                None => {
                    return Err(Torn.problem(format!("{name} has a line {start:?} that was not appended")));
                }
                Some((call, _)) if appended[*call].started >= Some(window.from) => {
                    return Err(
                        Torn.problem(format!("{name} has {start:?}, which had not been appended yet"))
                    );
                }
                Some(place) => found.push(*place),
            }
        }
    }
    if !found.is_sorted_by(|one, next| one < next) {
        return Err(Torn.problem(format!("{path} has lines twice, or not in their order")));
    }
    for (line, (call, at)) in given {
        let is_due = appended[call].durable.is_some_and(|moment| moment < window.to);
        if is_due && found.binary_search(&(call, at)).is_err() {
            let start = String::from_utf8_lossy(&line[..line.len().min(24)]);
            return Err(Lost.problem(format!("{path} lacks the line {start:?}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(files: &[(&str, &str)], window: Window) -> String {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("crash-lab-lines-{}-{number}", std::process::id()));
        fs::create_dir(&root).unwrap();
        for (name, text) in files {
            fs::write(root.join(name), text).unwrap();
        }
        let version = |at, bytes: &str| Version {
            started: Some(at),
            durable: Some(at + 1),
            bytes: bytes.as_bytes().to_vec(),
        };
        let appended = [version(1, "a\nb\n"), version(5, "c\n")];
        let checked = check(&root, "log", &appended, window);
        fs::remove_dir_all(root).unwrap();
        checked.err().map(|problem| problem.to_string()).unwrap_or_default()
    }

    const ALL: Window = Window { from: 100, to: 100 };

    #[test]
    fn acknowledged_lines_are_there_once_and_in_order() {
        assert_eq!(verdict(&[("log", "a\nb\nc\n")], ALL), "");
        assert_eq!(verdict(&[("log.1", "a\nb\n"), ("log", "c\n")], ALL), "");
        assert!(verdict(&[("log", "a\nb\n")], ALL).contains("lacks the line"));
        assert!(verdict(&[("log.1", "a\nb\nc\n"), ("log", "c\n")], ALL).contains("twice"));
        assert!(verdict(&[("log", "c\na\nb\n")], ALL).contains("order"));
    }

    #[test]
    fn what_is_under_way_may_be_there_in_part_but_no_reader_takes_a_part_for_a_line() {
        let window = Window { from: 7, to: 6 };
        for rest in ["", "c", "c\n", "\0\0\n", "\0\0"] {
            assert_eq!(verdict(&[("log", &format!("a\nb\n{rest}"))], window), "", "{rest:?}");
        }
        assert!(verdict(&[("log", "a\nb\nx\n")], window).contains("not appended"));
        assert!(verdict(&[("log", "a\nb\nc\n")], Window { from: 4, to: 3 }).contains("yet"));
    }
}
