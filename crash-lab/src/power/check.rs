//! Checks every byte of a file system after a power cut.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::history::{History, Index, Moment, Version, Window, index_text};
use super::lines;
use super::names;
use super::trees;
use crate::report::problem::Harm::{Lost, Torn};
use crate::report::problem::Problem;

/// What is wrong with the file system at `root`, if anything.
pub fn check(root: &Path, history: &History, window: Window) -> Result<(), Problem> {
    names::check(root, history, window)?;
    files(root, history, window)?;
    for (path, versions) in &history.trees {
        trees::check(root, path, versions, window)?;
    }
    for (path, appended) in &history.lines {
        lines::check(root, path, appended, window)?;
    }
    indexes(root, history, window)
}

/// `None` if there is none.
fn content(root: &Path, path: &str) -> Result<Option<Vec<u8>>, Problem> {
    match fs::read(root.join(path)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Torn.problem(format!("{path} cannot be read: {error}"))),
    }
}

fn files(root: &Path, history: &History, window: Window) -> Result<(), Problem> {
    for (path, versions) in &history.files {
        // Writes to one file happen in the order of the calls.
        let oldest = versions.iter().rposition(|version| version.durable.is_some_and(|at| at < window.to));
        let given = || versions.iter().enumerate().filter(|(_, version)| version.started < Some(window.from));
        match (content(root, path)?, oldest) {
            (None, None) => {}
            (None, Some(_)) => return Err(Lost.problem(format!("{path} is absent"))),
            (Some(bytes), oldest) => {
                // From the back: the newest is the most likely.
                let version = given().rfind(|(_, version)| version.bytes == bytes);
                let Some((number, _)) = version else {
                    let is_under_way =
                        |version: &Version| is_under_way(version.started, version.durable, window);
                    if history.in_place.contains(path) && versions.iter().any(is_under_way) {
                        continue;
                    }
                    return Err(Torn.problem(format!("{path} is {}", describe(&bytes))));
                };
                let oldest = oldest.unwrap_or(0);
                if number < oldest {
                    return Err(
                        Lost.problem(format!("{path} is version {number}, {oldest} was acknowledged"))
                    );
                }
            }
        }
    }
    Ok(())
}

/// Whether the power may have been cut while this was being written.
fn is_under_way(started: Option<Moment>, durable: Option<Moment>, window: Window) -> bool {
    started.is_some_and(|at| at < window.from) && durable.is_none_or(|at| at >= window.to)
}

fn describe(bytes: &[u8]) -> String {
    let zeros = bytes.iter().filter(|byte| **byte == 0).count();
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(16)]).into_owned();
    format!("{} bytes, {zeros} of them NUL, and starts with {start:?}", bytes.len())
}

fn indexes(root: &Path, history: &History, window: Window) -> Result<(), Problem> {
    for (path, index) in &history.indexes {
        // How many updates the index, and its backup, must hold at least.
        let mut least = 0;
        let mut backup_least = 0;
        for (number, update) in index.updates.iter().enumerate() {
            if update.durable.is_some_and(|at| at < window.to) {
                least = least.max(number + 1);
                backup_least = backup_least.max((number + 1).saturating_sub(update.batch));
            }
        }
        let may_be_torn = history.in_place.contains(path)
            && index.updates.iter().any(|update| is_under_way(update.started, update.durable, window));
        let now = match version(root, path, index, window) {
            // The backup is whole then, and at least what was acknowledged.
            Err(_) if may_be_torn => {
                backup_least = least;
                index.updates.len()
            }
            now => now?,
        };
        if now < least {
            return Err(Lost.problem(format!("{path} has {now} updates, {least} were acknowledged")));
        }
        if index.backup {
            let backup = format!("{path}.backup");
            let before = version(root, &backup, index, window)?;
            if before < backup_least {
                return Err(Lost.problem(format!("{backup} has {before} updates, not {backup_least}")));
            }
            if before > now {
                return Err(Torn.problem(format!("{backup} has {before} updates, its index {now}")));
            }
        }
    }
    Ok(())
}

/// How many updates the index at `path` holds; 0 if it is absent.
fn version(root: &Path, path: &str, index: &Index, window: Window) -> Result<usize, Problem> {
    let Some(bytes) = content(root, path)? else { return Ok(0) };
    let torn = |what: &str| Torn.problem(format!("{path} {what}: {}", describe(&bytes)));
    let value: Value = serde_json::from_slice(&bytes).map_err(|_| torn("is not JSON"))?;
    let count = value["entries"].as_array().map_or(0, Vec::len);
    // Half a group was never committed.
    if !index.commits.contains(&count) {
        return Err(torn(&format!("has {count} entries")));
    }
    let updates = &index.updates[..count];
    let entries: Vec<_> = updates.iter().map(|update| update.entry.as_str()).collect();
    let whole = index_text(&index.filler, &entries).ok();
    if std::str::from_utf8(bytes.strip_suffix(b"\n").unwrap_or(&bytes)).ok() != whole.as_deref() {
        return Err(torn("is not what it was made"));
    }
    if updates.iter().any(|update| update.started >= Some(window.from)) {
        return Err(torn("holds an update that had not started"));
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::super::history::{Tree, Update};
    use super::*;

    const ALL: Window = Window { from: 100, to: 100 };
    const LOST: &str = "acknowledged but lost";

    fn version(at: Moment, bytes: &[u8]) -> Version {
        Version { started: Some(at), durable: Some(at + 1), bytes: bytes.into() }
    }

    fn two_versions() -> History {
        let versions = vec![version(0, b"old"), version(10, b"new")];
        History { files: [("made/file".to_owned(), versions)].into(), ..History::default() }
    }

    /// What the check reports about a folder with these files.
    fn verdict(files: &[(&str, &str)], history: &History, window: Window) -> String {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("crash-lab-check-{}-{number}", std::process::id()));
        fs::create_dir(&root).unwrap();
        for (path, bytes) in files {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), bytes).unwrap();
        }
        let checked = check(&root, history, window);
        fs::remove_dir_all(root).unwrap();
        checked.err().map(|problem| problem.to_string()).unwrap_or_default()
    }

    #[test]
    fn the_newest_version_is_right_and_so_is_an_older_one_that_may_still_be_there() {
        let history = two_versions();
        assert_eq!(verdict(&[("made/file", "new")], &history, ALL), "");
        assert_eq!(verdict(&[("made/file", "old")], &history, Window { from: 12, to: 10 }), "");
    }

    #[test]
    fn what_is_older_than_acknowledged_is_lost() {
        let history = two_versions();
        assert!(verdict(&[("made/file", "old")], &history, ALL).starts_with(LOST));
        assert!(verdict(&[("made/other.lock", "")], &history, ALL).contains("unknown name"));
        let temp = verdict(&[(".x.0123456789ab.atomic-tmp", "")], &history, ALL);
        assert!(temp.starts_with(LOST));
    }

    #[test]
    fn what_was_never_written_or_not_yet_is_torn() {
        let history = two_versions();
        assert!(verdict(&[("made/file", "ne\0")], &history, ALL).starts_with("torn"));
        assert!(verdict(&[("made/file", "new")], &history, Window { from: 5, to: 5 }).starts_with("torn"));
    }

    #[test]
    fn an_index_is_one_of_its_versions_with_all_that_was_acknowledged() {
        let update =
            |at, entry: &str| Update { started: Some(at), durable: Some(at), entry: entry.into(), batch: 1 };
        let updates = vec![update(1, "a"), update(2, "b")];
        let index = Index { filler: "f".into(), updates, commits: [1, 2].into(), backup: true };
        let history = History { indexes: [("i".to_owned(), index)].into(), ..History::default() };
        let text = |entries: &[&str]| index_text(&"f".into(), entries).unwrap();
        let (one, two) = (text(&["a"]), text(&["a", "b"]));
        assert_eq!(verdict(&[("i", &two), ("i.backup", &one), (".i.lock", "")], &history, ALL), "");
        assert!(verdict(&[("i", &one), ("i.backup", &one)], &history, ALL).starts_with(LOST));
        assert!(verdict(&[("i", &two)], &history, ALL).starts_with(LOST));
        assert!(verdict(&[("i", &text(&["b"]))], &history, ALL).starts_with("torn"));
        assert!(verdict(&[("i", &two[1..])], &history, ALL).starts_with("torn"));
    }

    #[test]
    fn half_a_group_is_torn() {
        let update = |entry: &str| Update { started: Some(1), durable: None, entry: entry.into(), batch: 2 };
        let updates = vec![update("a"), update("b")];
        let index = Index { updates, commits: [2].into(), ..Index::default() };
        let history = History { indexes: [("i".to_owned(), index)].into(), ..History::default() };
        let text = |entries: &[&str]| index_text(&"".into(), entries).unwrap();
        assert_eq!(verdict(&[("i", &text(&["a", "b"]))], &history, ALL), "");
        assert!(verdict(&[("i", &text(&["a"]))], &history, ALL).starts_with("torn"));
    }

    #[test]
    fn a_directory_is_one_version_whole() {
        let tree = |at, bytes: &str| Tree {
            started: Some(at),
            durable: Some(at + 1),
            files: [("a".to_owned(), bytes.into()), ("b/c".to_owned(), bytes.into())].into(),
        };
        let trees = [("site".to_owned(), vec![tree(1, "1"), tree(5, "2")])].into();
        let history = History { trees, ..History::default() };
        let site = |a, c| [("site/a", a), ("site/b/c", c)];
        assert_eq!(verdict(&site("2", "2"), &history, ALL), "");
        assert_eq!(
            verdict(
                &[&site("2", "2")[..], &[("site.previous/a", "1"), ("site.previous/b/c", "1")]].concat(),
                &history,
                ALL
            ),
            ""
        );
        assert!(verdict(&site("1", "1"), &history, ALL).starts_with(LOST));
        assert!(verdict(&[], &history, ALL).starts_with(LOST));
        assert!(verdict(&site("2", "1"), &history, ALL).starts_with("torn"));
        assert!(verdict(&site("2", "2")[..1], &history, ALL).starts_with("torn"));
        assert!(
            verdict(&[&site("2", "2")[..], &[("site.previous/a", "1")]].concat(), &history, ALL)
                .starts_with("torn")
        );
        assert_eq!(verdict(&site("1", "1"), &history, Window { from: 4, to: 4 }), "");
    }

    #[test]
    fn what_was_there_before_may_be_there_at_any_moment() {
        let before = Version { started: None, durable: Some(0), bytes: b"below".into() };
        let history = History { files: [("file".to_owned(), vec![before])].into(), ..History::default() };
        assert_eq!(verdict(&[("file", "below")], &history, Window { from: 0, to: 0 }), "");
        assert!(verdict(&[], &history, Window { from: 1, to: 1 }).starts_with(LOST));
    }
}
