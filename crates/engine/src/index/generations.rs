//! More backups than one: `NAME.backup` is the newest, `NAME.backup.1` the one before it, and so on.
//!
//! Each gets the name of the next older one by a link, so the newest name is never missing. That is done before the index is
//! replaced. After a kill in the middle two names are one file, and the next rotation goes on from there: no version is lost
//! that is not the oldest.

use std::sync::Arc;
use std::time::Duration;

use crate::dir::{Target, names};
use crate::error::Result;
use crate::sys;
use crate::sys::Version;
use crate::write::TempName;

/// Whether `version` is to be kept: if it is that much younger than the newest backup, or older, as after a clock was set
/// back. Both times are those of the content.
pub fn is_due(newest: &Version, version: &Version, every: Duration) -> bool {
    let younger = version.modified - newest.modified;
    younger < 0 || younger.unsigned_abs() >= every.as_nanos()
}

/// The backups, from the newest on, whether they are there or not.
pub fn names(newest: &Target, generations: u32) -> impl Iterator<Item = Target> {
    let older = (1..generations).map(|generation| newest.with_suffix(&format!(".{generation}")));
    std::iter::once(newest.clone()).chain(older)
}

/// Makes the backup `newest` the second newest as well, the second newest the third, and so on, up to `generations`.
///
/// # Errors
/// Those of a rename; `EISDIR` and the like for what is no file.
pub fn rotate(newest: &Target, generations: u32) -> Result<()> {
    let mut known = vec![(newest.clone(), newest.existing()?)];
    // The first that is missing, or is the next older one too, need not be kept.
    for older in names(newest, generations).skip(1) {
        if known.last().is_none_or(|(_, last)| last.is_none()) {
            break;
        }
        let found = older.existing()?;
        let last = known.last().and_then(|(_, last)| last.as_ref());
        if found.as_ref().zip(last).is_some_and(|(one, other)| one.version.id == other.version.id) {
            break;
        }
        known.push((older, found));
    }
    for pair in known.windows(2).rev() {
        if let [(from, _), (to, _)] = pair {
            give_name_too(from, to)?;
        }
    }
    Ok(())
}

/// Gives the file `from` the name `to` too; whatever is there is replaced.
fn give_name_too(from: &Target, to: &Target) -> Result<()> {
    let dir = &from.dir;
    let failed = |error| to.rename_failed(error);
    loop {
        match names::with_temp_name(&to.name, |temp| dir.link(&from.name, dir, temp)) {
            Ok((name, ())) => match (TempName { dir: Arc::clone(dir), name }).replace(to) {
                // A sweeper took it for an orphan: nobody has locked it, as it is no new file.
                Err(error) if error.errno_of("rename") == Some(sys::ENOENT) => {}
                replaced => return replaced,
            },
            Err(error) if error.raw_os_error() == Some(sys::ENOENT) => return Err(failed(error)),
            // There are no links, or none to this file: the name is missing for a moment.
            Err(_) => return dir.rename(&from.name, dir, &to.name).map_err(failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::dir::Resolve;

    fn write(dir: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            fs::write(dir.join(name), text).unwrap();
        }
    }

    fn rotated(dir: &Path, generations: u32) -> Vec<(String, String)> {
        let target = Target::resolve(&dir.join("b"), Resolve { mkdir: false, exclusive: false }).unwrap();
        rotate(&target, generations).unwrap();
        let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut files: Vec<_> =
            names.map(|name| (name.clone(), fs::read_to_string(dir.join(name)).unwrap())).collect();
        files.sort();
        files
    }

    fn files(files: &[(&str, &str)]) -> Vec<(String, String)> {
        files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn each_moves_on_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(rotated(dir.path(), 3), []);
        write(dir.path(), &[("b", "3")]);
        assert_eq!(rotated(dir.path(), 1), files(&[("b", "3")]));
        assert_eq!(rotated(dir.path(), 3), files(&[("b", "3"), ("b.1", "3")]));
        fs::remove_file(dir.path().join("b")).unwrap();
        write(dir.path(), &[("b", "4"), ("b.2", "2")]);
        let expected = files(&[("b", "4"), ("b.1", "4"), ("b.2", "3")]);
        assert_eq!(rotated(dir.path(), 3), expected);
        // A kill before the newest is replaced: no older one is lost the next time.
        assert_eq!(rotated(dir.path(), 3), expected);
    }

    #[test]
    fn a_gap_ends_it() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[("b", "3"), ("b.2", "1")]);
        assert_eq!(rotated(dir.path(), 4), files(&[("b", "3"), ("b.1", "3"), ("b.2", "1")]));
    }

    #[test]
    fn a_kill_in_the_middle_is_gone_on_from() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[("b", "3"), ("b.1", "2"), ("b.3", "0")]);
        fs::hard_link(dir.path().join("b.1"), dir.path().join("b.2")).unwrap();
        assert_eq!(rotated(dir.path(), 4), files(&[("b", "3"), ("b.1", "3"), ("b.2", "2"), ("b.3", "0")]));
    }

    #[test]
    fn a_version_is_due_when_it_is_that_much_younger_or_older() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (_, version) = sys::Dir::stat_file(file.as_file()).unwrap();
        let at = |seconds: i128| Version { modified: seconds * 1_000_000_000, ..version.clone() };
        let hour = Duration::from_secs(3600);
        assert!(!is_due(&at(0), &at(3599), hour));
        assert!(is_due(&at(0), &at(3600), hour));
        assert!(is_due(&at(10), &at(9), hour));
        assert!(is_due(&at(0), &at(0), Duration::ZERO));
    }
}
