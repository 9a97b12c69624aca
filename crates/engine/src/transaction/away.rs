//! The removal of a name, and what becomes of a file that nobody expected there.
//!
//! One that was moved may go only with the version that was moved: a write by a program that does not wait for the root's lock may come right before, and
//! would be nowhere then. So the name is looked at, taken away, and looked at again without haste: another version gets it back, as if
//! it had been written after the transaction. (A version that is removed or replaced was written before it: then nothing is missing.)
//!
//! Whoever is killed between the two leaves a file of which nobody has found out whose it is. The record is pending then, and recovery [brings it
//! back](bring_back) before it looks at anything.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};

use crate::dir::{Directory, names};
use crate::error::{Named, Result};
use crate::mutant::{Step, leaves_out};
use crate::process::Key;
use crate::sys::{self, FileId, Kind, Stat};

/// The names that go because their files are moved, and what the names of each file say which one it is. (An overlay may have two answers.)
pub type Moved = HashMap<Key, Vec<FileId>>;

/// The transaction that takes names away: the tag of its root, and its number. A record that names the removals is pending.
#[derive(Debug)]
pub struct Taker(pub String, pub u64);

impl Taker {
    fn away(&self, name: &OsStr) -> OsString {
        names::away(name, &self.0, self.1)
    }
}

/// What became of a name that was to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// It went.
    Removed,
    /// Nothing had it.
    Before,
    /// It stands for another file, which stays.
    Another,
}

/// Removes whatever has the name.
///
/// # Errors
/// Those of unlink(2).
pub fn remove(dir: &Directory, name: &OsStr) -> Result<Gone> {
    match dir.unlink(name) {
        Err(error) if error.raw_os_error() == Some(sys::ENOENT) => Ok(Gone::Before),
        removed => removed.named("unlink").map(|()| Gone::Removed),
    }
}

/// Removes the name if it still stands for this file.
///
/// # Errors
/// Those of rename(2), stat(2) and unlink(2).
pub fn remove_if_same(dir: &Directory, name: &OsStr, file: &[FileId], taker: &Taker) -> Result<Gone> {
    let look = |name: &OsStr| -> Result<Gone> {
        let found = dir.stat(name).named("stat")?;
        Ok(match found.map(|found| file.contains(&found.version.id) || leaves_out(Step::MovedLook)) {
            Some(true) => Gone::Removed,
            Some(false) => Gone::Another,
            None => Gone::Before,
        })
    };
    match look(name)? {
        Gone::Removed => {}
        found => return Ok(found),
    }
    // Not by a link: the name would be unlinked after it, without a look.
    let away = taker.away(name);
    match dir.rename_no_replace(name, &away) {
        Ok(true) => {}
        Err(error) if error.raw_os_error() == Some(sys::ENOENT) => return Ok(Gone::Before),
        Err(error) if !error.raw_os_error().is_some_and(needs_one_more_name) => {
            return Err(error).named("rename");
        }
        // There is a moment between the look and the removal then.
        _ => {
            return match look(name)? {
                Gone::Removed => remove(dir, name),
                found => Ok(found),
            };
        }
    }
    let found = look(&away);
    match &found {
        Ok(Gone::Removed) => return remove(dir, &away),
        _ if leaves_out(Step::PutBack) => {}
        Ok(Gone::Before) => {}
        _ => put_back(dir, &away, name)?,
    }
    found
}

/// What a removal may not fail for: no room for one more name, or for a name that is longer; or somebody has taken it.
fn needs_one_more_name(errno: i32) -> bool {
    sys::is_full(errno) || [sys::ENAMETOOLONG, sys::EEXIST].contains(&errno)
}

/// Gives back what was taken away by a process that was killed before it looked at it; what `is_moved` goes, as it has its new name. Where
/// somebody has written since it is set aside, under the name that is returned, unless it has another one.
///
/// # Errors
/// Those of rename(2), stat(2) and unlink(2).
pub fn bring_back(
    dir: &Directory,
    name: &OsStr,
    taker: &Taker,
    is_moved: impl Fn(&FileId) -> bool,
) -> Result<Option<OsString>> {
    if leaves_out(Step::BringBack) {
        return Ok(None);
    }
    let away = taker.away(name);
    let stat = match dir.stat(&away) {
        // No file can have that name.
        Err(error) if error.raw_os_error() == Some(sys::ENAMETOOLONG) => return Ok(None),
        stat => stat.named("stat")?,
    };
    let Some(stat) = stat else { return Ok(None) };
    if has_another_name(&stat) && is_moved(&stat.version.id) {
        return remove(dir, &away).map(|_| None);
    }
    match dir.rename_new(&away, name) {
        Ok(true) => Ok(None),
        Err(error) if error.raw_os_error() == Some(sys::ENOENT) => Ok(None),
        Err(error) if error.raw_os_error() != Some(sys::EEXIST) => Err(error).named("rename"),
        _ if has_another_name(&stat) => remove(dir, &away).map(|_| None),
        _ => set_aside(dir, name, &away),
    }
}

/// Whether its bytes are still there when it loses the name by which it was found.
pub fn has_another_name(stat: &Stat) -> bool {
    stat.kind == Kind::File && stat.version.links > 1
}

fn put_back(dir: &Directory, away: &OsStr, name: &OsStr) -> Result<()> {
    let failed = match dir.rename_no_replace(away, name) {
        Ok(true) => return Ok(()),
        Ok(false) => None,
        // A third version has come since.
        Err(error) if error.raw_os_error() == Some(sys::EEXIST) => None,
        Err(error) => Some(error),
    };
    set_aside(dir, name, away)?;
    failed.map_or(Ok(()), |error| Err(error).named("rename"))
}

/// Gives the file `staged` a name like `name` that no sweep takes. `None`: it is gone.
///
/// # Errors
/// Those of rename(2).
pub fn set_aside(dir: &Directory, name: &OsStr, staged: &OsStr) -> Result<Option<OsString>> {
    let aside = names::with_lost_name(name, |name| match dir.rename_new(staged, name)? {
        true => Ok(()),
        false => dir.rename(staged, dir, name),
    });
    match aside {
        Ok((name, ())) => Ok(Some(name)),
        Err(error) if error.raw_os_error() == Some(sys::ENOENT) => Ok(None),
        Err(error) => Err(error).named("rename"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::cancel::Cancel;
    use crate::dir::{Resolve, Target};
    use crate::transaction::item::{Change, Expected, Item, Staging};

    fn taker() -> Taker {
        Taker("TTTT".to_owned(), 7)
    }

    fn says(dir: &Path, name: &OsStr) -> Option<String> {
        fs::read_to_string(dir.join(name)).ok()
    }

    #[test]
    fn a_version_whose_name_has_been_taken_when_it_gets_it_back_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let open = Directory::open(None, dir.path(), false).unwrap();
        let name = OsStr::new("name");
        fs::write(dir.path().join("away"), "theirs").unwrap();
        fs::write(dir.path().join(name), "a third").unwrap();
        put_back(&open, "away".as_ref(), name).unwrap();
        assert_eq!(says(dir.path(), name).as_deref(), Some("a third"));
        let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let others = names.filter(|found| found != name);
        let aside: Vec<_> = others.map(|found| (names::ours(&found), says(dir.path(), &found))).collect();
        assert_eq!(aside, [(Some(names::Ours::Lost), Some("theirs".to_owned()))]);
    }

    #[test]
    fn a_name_goes_all_the_same_where_the_one_to_take_it_away_by_has_been_taken() {
        let dir = tempfile::tempdir().unwrap();
        let open = Directory::open(None, dir.path(), false).unwrap();
        let (name, away) = (OsStr::new("name"), taker().away("name".as_ref()));
        fs::write(dir.path().join(&away), "of somebody").unwrap();
        for (is_moved, gone) in [(false, Gone::Another), (true, Gone::Removed)] {
            fs::write(dir.path().join(name), "moved").unwrap();
            let file = open.stat(name).unwrap().filter(|_| is_moved).map(|found| found.version.id);
            assert_eq!(remove_if_same(&open, name, file.as_slice(), &taker()).unwrap(), gone);
            assert_eq!(says(dir.path(), name).is_none(), is_moved);
            assert_eq!(says(dir.path(), &away).as_deref(), Some("of somebody"));
        }
    }

    #[test]
    fn what_takes_the_place_of_a_file_between_two_looks_is_not_what_was_moved() {
        let dir = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| dir.path().join(name));
        let target = |path| Target::resolve(path, Resolve { mkdir: false, exclusive: false }).unwrap();
        let item = |path, change| Item::new(target(path), change, Expected::Any, false);
        fs::write(&from, "moved").unwrap();
        let mut moves = item(&to, Change::Rename(target(&from)));
        let mut goes = item(&from, Change::Remove(true));
        for item in [&mut moves, &mut goes] {
            item.look_first().unwrap();
            item.stage(&Staging::new("TTTTPPPP".into()), false, &Cancel::default()).unwrap();
        }
        assert!(moves.look(false).unwrap() && goes.look(false).unwrap());
        let moved = moves.moved().into_iter().collect();
        assert!(!goes.is_newer_than(&moved));
        fs::write(dir.path().join("theirs"), "theirs").unwrap();
        fs::rename(dir.path().join("theirs"), &from).unwrap();
        assert!(goes.look(false).unwrap(), "a removal takes any file");
        assert!(goes.is_newer_than(&moved));
    }
}
