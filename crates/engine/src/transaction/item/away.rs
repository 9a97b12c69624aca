//! The removal of a name.
//!
//! One that was moved may go only with the version that was moved: a write by a program that does not wait for the root's lock may come right before, and
//! would be nowhere then. So the name is taken away first, and looked at without haste: another version gets it back, as if
//! it had been written after the transaction. (A version that is removed or replaced was written before it: then nothing is missing.)

use crate::dir::{Target, names};
use crate::error::{Named, Result};
use crate::mutant::{Step, leaves_out};
use crate::process::Key;
use crate::sys::{self, FileId, Stat};

/// A file that was moved.
#[derive(Debug)]
pub struct Moved {
    /// The name that goes.
    pub from: Key,
    /// What its names say which file it is. (An overlay may have two answers.)
    pub ids: Vec<FileId>,
}

impl Moved {
    /// Whether it is this file.
    pub fn is(&self, id: &FileId) -> bool {
        self.ids.contains(id)
    }
}

/// Removes whatever has the name. `false`: nothing had.
pub fn remove(target: &Target) -> Result<bool> {
    match target.dir.unlink(&target.name) {
        Err(error) if error.raw_os_error() == Some(sys::ENOENT) => Ok(false),
        removed => removed.named("unlink").map(|()| true),
    }
}

/// Removes the name if it still stands for the file that was moved. `tags`: those of a staged file, as which it is removed if this process is killed.
///
/// # Errors
/// Those of rename(2), stat(2) and unlink(2).
pub fn remove_if_same(target: &Target, moved: &Moved, tags: &str) -> Result<bool> {
    let Target { dir, name, .. } = target;
    let is_moved = |found: &Stat| moved.is(&found.version.id) || leaves_out(Step::MovedLook);
    let away = match names::with_transaction_name(name, tags, |away| dir.rename_new(name, away)) {
        Ok((away, true)) => away,
        Err(error) if error.raw_os_error() == Some(sys::ENOENT) => return Ok(false),
        Err(error) if !error.raw_os_error().is_some_and(sys::is_full) => return Err(error).named("rename"),
        // A file system without such a step, or without room for one more name, which a removal does not need. There is a moment between the
        // look and the removal then.
        _ => {
            let found = dir.stat(name).named("stat")?;
            return if found.as_ref().is_some_and(is_moved) { remove(target) } else { Ok(false) };
        }
    };
    let found = dir.stat(&away).named("stat");
    if let Ok(Some(found)) = &found
        && is_moved(found)
    {
        // The name is gone already; a sweep finds this one.
        drop(dir.unlink(&away));
        return Ok(true);
    }
    if leaves_out(Step::PutBack) {
        return Ok(true);
    }
    match dir.rename_new(&away, name) {
        // And a third version has come since.
        Err(error) if error.raw_os_error() == Some(sys::EEXIST) => drop(dir.unlink(&away)),
        put_back => drop(put_back.named("rename")?),
    }
    found.map(|_| true)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;

    use super::super::{Change, Expected, Item};
    use crate::cancel::Cancel;
    use crate::dir::{Resolve, Target};

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
            item.stage("TTTTPPPP", false, &Cancel::default()).unwrap();
        }
        assert!(moves.look(false).unwrap() && goes.look(false).unwrap());
        let moved = [moves.moved().unwrap()];
        assert!(!goes.is_newer_than(&moved));
        fs::write(dir.path().join("theirs"), "theirs").unwrap();
        fs::rename(dir.path().join("theirs"), &from).unwrap();
        assert!(goes.look(false).unwrap(), "a removal takes any file");
        assert!(goes.is_newer_than(&moved));
    }
}
