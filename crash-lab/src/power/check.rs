//! Looks at every byte of a file system that came back from a power cut.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::history::{History, Index, Moment};
use super::names;

/// The span of time in which the power may have been cut to leave this state.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Nothing that started later can be there.
    pub from: Moment,
    /// All that was acknowledged before must be there.
    pub to: Moment,
}

/// What is wrong with the file system at `root`, if anything.
pub fn check(root: &Path, history: &History, window: Window) -> Option<String> {
    let looked = names::check(root, history, window)
        .and_then(|()| files(root, history, window))
        .and_then(|()| indexes(root, history, window));
    looked.err().map(|error| format!("{error:#}"))
}

/// `None`: there is none.
fn content(root: &Path, path: &str) -> Result<Option<Vec<u8>>> {
    match fs::read(root.join(path)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot be read: {path}")),
    }
}

fn files(root: &Path, history: &History, window: Window) -> Result<()> {
    for (path, versions) in &history.files {
        // Writes to one file happen in the order of the calls.
        let oldest = versions.iter().rposition(|version| version.durable.is_some_and(|at| at < window.to));
        let given = || versions.iter().enumerate().filter(|(_, version)| version.started < window.from);
        match content(root, path)? {
            None => anyhow::ensure!(oldest.is_none(), "lost: {path} was acknowledged and is absent"),
            Some(bytes) => {
                // Looked for from the back: the newest is the likeliest.
                let version = given().rfind(|(_, version)| version.bytes == bytes);
                let Some((number, _)) = version else {
                    anyhow::bail!("torn: {path} is {}", describe(&bytes));
                };
                let oldest = oldest.unwrap_or(0);
                anyhow::ensure!(
                    number >= oldest,
                    "lost: {path} is version {number}, {oldest} was acknowledged"
                );
            }
        }
    }
    Ok(())
}

fn describe(bytes: &[u8]) -> String {
    let zeros = bytes.iter().filter(|byte| **byte == 0).count();
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(16)]).into_owned();
    format!("{} bytes, {zeros} of them NUL, and starts with {start:?}", bytes.len())
}

fn indexes(root: &Path, history: &History, window: Window) -> Result<()> {
    for (path, index) in &history.indexes {
        // Numbers of updates that a version holds: at least, and what is there.
        let mut least = 0;
        let mut backup_least = 0;
        for (number, update) in index.updates.iter().enumerate() {
            if update.durable.is_some_and(|at| at < window.to) {
                least = least.max(number + 1);
                backup_least = backup_least.max((number + 1).saturating_sub(update.batch));
            }
        }
        let now = version(root, path, index, window)?;
        anyhow::ensure!(now >= least, "lost: {path} has {now} updates, {least} were acknowledged");
        if index.backup {
            let backup = format!("{path}.backup");
            let before = version(root, &backup, index, window)?;
            anyhow::ensure!(
                before >= backup_least,
                "lost: {backup} has {before} updates, not {backup_least}"
            );
            anyhow::ensure!(before <= now, "{backup} has {before} updates, its index {now}");
        }
    }
    Ok(())
}

/// How many updates the index at `path` holds; none if it is absent.
fn version(root: &Path, path: &str, index: &Index, window: Window) -> Result<usize> {
    let Some(bytes) = content(root, path)? else { return Ok(0) };
    let torn = || format!("torn: {path} is {}", describe(&bytes));
    let value: Value = serde_json::from_slice(&bytes).with_context(torn)?;
    let count = value["entries"].as_array().map_or(0, Vec::len);
    anyhow::ensure!((1..=index.updates.len()).contains(&count), "{path} has {count} entries");
    let updates = &index.updates[..count];
    let entries: Vec<_> = updates.iter().map(|update| update.entry.as_str()).collect();
    let whole = serde_json::to_string_pretty(&json!({ "filler": index.filler, "entries": entries }))?;
    anyhow::ensure!(bytes.strip_suffix(b"\n").unwrap_or(&bytes) == whole.as_bytes(), torn());
    let early = updates.iter().all(|update| update.started < window.from);
    anyhow::ensure!(early, "{path} holds an update that had not started");
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::super::history::{Update, Version};
    use super::*;

    const ALL: Window = Window { from: 100, to: 100 };

    fn version(at: Moment, bytes: &[u8]) -> Version {
        Version { started: at, durable: Some(at + 1), bytes: bytes.into() }
    }

    fn two_versions() -> History {
        let versions = vec![version(0, b"old"), version(10, b"new")];
        History { files: [("made/file".to_owned(), versions)].into(), ..History::default() }
    }

    /// What is said of a folder with these files.
    fn verdict(files: &[(&str, &str)], history: &History, window: Window) -> String {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("crash-lab-check-{}-{number}", std::process::id()));
        for (path, bytes) in files {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), bytes).unwrap();
        }
        let problem = check(&root, history, window);
        fs::remove_dir_all(root).unwrap();
        problem.unwrap_or_default()
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
        assert!(verdict(&[("made/file", "old")], &history, ALL).starts_with("lost"));
        assert!(verdict(&[("made/other.lock", "")], &history, ALL).contains("nobody gave"));
        assert!(verdict(&[(".x.0123456789ab.atomic-tmp", "")], &history, ALL).starts_with("lost"));
    }

    #[test]
    fn what_nobody_gave_or_not_yet_is_torn() {
        let history = two_versions();
        assert!(verdict(&[("made/file", "ne\0")], &history, ALL).starts_with("torn"));
        assert!(verdict(&[("made/file", "new")], &history, Window { from: 5, to: 5 }).starts_with("torn"));
    }

    #[test]
    fn an_index_is_one_of_its_versions_with_all_that_was_acknowledged() {
        let update =
            |at, entry: &str| Update { started: at, durable: Some(at), entry: entry.into(), batch: 1 };
        let updates = vec![update(1, "a"), update(2, "b")];
        let index = Index { filler: "f".into(), updates, backup: true };
        let history = History { indexes: [("i".to_owned(), index)].into(), ..History::default() };
        let text = |entries: &[&str]| {
            serde_json::to_string_pretty(&json!({ "filler": "f", "entries": entries })).unwrap()
        };
        let (one, two) = (text(&["a"]), text(&["a", "b"]));
        assert_eq!(verdict(&[("i", &two), ("i.backup", &one), (".i.lock", "")], &history, ALL), "");
        assert!(verdict(&[("i", &one), ("i.backup", &one)], &history, ALL).starts_with("lost"));
        assert!(verdict(&[("i", &two)], &history, ALL).starts_with("lost"));
        assert!(verdict(&[("i", &text(&["b"]))], &history, ALL).starts_with("torn"));
        assert!(verdict(&[("i", &two[1..])], &history, ALL).starts_with("torn"));
    }
}
