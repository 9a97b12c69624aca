//! A version of an index that cannot be used is set aside before it is replaced: as `NAME.corrupt-STAMP`, for people to
//! look at.
//!
//! It gets that name by a link, so the index keeps its own and is never missing. It is copied where there are no links, and
//! where the index is to be overwritten in place, which would overwrite both names.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::cancel::Cancel;
use crate::dir::Target;
use crate::dir::names::NAME_MAX;
use crate::error::{Error, Named, Result};
use crate::index::snapshot::Snapshot;
use crate::process::flush;
use crate::sys;
use crate::write::{Options, commit};

const INFIX: &str = ".corrupt-";
/// Longer than the stamp of a time and a number behind it.
const MOST_END: usize = 24;

/// A name that a version has been given.
#[derive(Debug)]
pub struct Aside {
    target: Target,
    /// An earlier call, which did not come to its end, has given it.
    is_old: bool,
}

/// Gives `broken`, the version that `index` has now, a name that no file has. `stamp`: when that is. `None`: it is another file by now.
///
/// # Errors
/// Those of a write, [about](Error::other_path) the new name, and of a flush.
pub fn set_aside(
    index: &Target,
    broken: &Snapshot,
    stamp: &str,
    options: &Options,
    cancel: &Cancel,
) -> Result<Option<Aside>> {
    let prefix = prefix(index);
    if let Some(target) = earlier(index, broken, &prefix).named("readdir")? {
        return Ok(Some(Aside { target, is_old: true }));
    }
    let mut number = 0_u32;
    let target = loop {
        let end = if number == 0 { String::new() } else { format!("-{number}") };
        let mut name = prefix.clone();
        name.push(format!("{stamp}{end}"));
        let target = index.named(name);
        match give_name(index, broken, &target, options, cancel) {
            Ok(true) => break target,
            Ok(false) => return Ok(None),
            Err(error) if error.errno_of("open") == Some(sys::EEXIST) => number += 1,
            Err(error) => return Err(error.about(target.path())),
        }
    };
    Ok(Some(Aside { target, is_old: false }))
}

/// The name that a call has given it which was killed before it could replace the index.
fn earlier(index: &Target, broken: &Snapshot, prefix: &OsStr) -> std::io::Result<Option<Target>> {
    for name in index.dir.names()? {
        if name.as_encoded_bytes().starts_with(prefix.as_encoded_bytes())
            && index.dir.stat(&name)?.is_some_and(|stat| stat.version.id == broken.version.id)
        {
            return Ok(Some(index.named(name)));
        }
    }
    Ok(None)
}

/// The beginning of the names of what is set aside: that of the index, cut so that the rest has room.
fn prefix(index: &Target) -> OsString {
    let mut prefix = sys::cut(&index.name, NAME_MAX - INFIX.len() - MOST_END);
    prefix.push(INFIX);
    prefix
}

/// `false`: a program without the lock has put another file in its place, or none.
fn give_name(
    index: &Target,
    broken: &Snapshot,
    to: &Target,
    options: &Options,
    cancel: &Cancel,
) -> Result<bool> {
    if !options.in_place {
        match index.dir.link(&index.name, &index.dir, &to.name) {
            // Asked of the index, which changes but does not change back: on an overlay the link may say another inode than the file did.
            Ok(()) if is_still(index, broken)? => return flush(to, broken, options).map(|()| true),
            Ok(()) => return to.dir.unlink(&to.name).named("unlink").map(|()| false),
            Err(error) if error.raw_os_error() == Some(sys::EEXIST) => return Err(Error::taken()),
            Err(_) => {}
        }
    }
    if !is_still(index, broken)? {
        return Ok(false);
    }
    let mode = index.existing()?.map(|stat| stat.access.mode);
    let options = Options { mode, exclusive: true, if_changed: false, in_place: false, ..options.clone() };
    commit::write(to, &broken.bytes()?, &options, cancel).map(|_| true)
}

/// Whether the name of the index is that of this file, whatever else it may be by now.
fn is_still(index: &Target, broken: &Snapshot) -> Result<bool> {
    let found = index.dir.stat(&index.name).named("stat")?;
    Ok(found.is_some_and(|stat| stat.version.id == broken.version.id))
}

fn flush(to: &Target, broken: &Snapshot, options: &Options) -> Result<()> {
    if options.flush {
        // The program that wrote it may not have flushed it. What a disk cannot read need not be written to it.
        match broken.file.with(|file| flush::file(file).named("fsync")) {
            Err(error) if broken.fault.as_ref().is_none_or(|fault| fault.code() != "EIO") => {
                return Err(error);
            }
            _ => {}
        }
        to.dir.sync()?;
    }
    Ok(())
}

impl Aside {
    /// Where it is, as a caller would call it who calls the index `given`.
    pub fn path(&self, given: &Path) -> PathBuf {
        self.target.path_beside(given)
    }

    /// Takes the name back, if the version is still what `index` is: it was not replaced.
    pub fn undo(self, index: &Target, broken: &Snapshot) {
        let is_there = || {
            index.existing().is_ok_and(|stat| stat.is_some_and(|stat| stat.version.id == broken.version.id))
        };
        if !self.is_old && is_there() {
            // The first error is the one to report, and the next call uses the name.
            drop(self.target.dir.unlink(&self.target.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::dir::Resolve;
    use crate::index::file;
    use crate::index::options::UpdateOptions;

    struct Broken(tempfile::TempDir, Target, Snapshot);

    fn broken(text: &str) -> Broken {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("i");
        fs::write(&path, text).unwrap();
        let target = Target::resolve(&path, Resolve { mkdir: false, exclusive: false }).unwrap();
        let options = UpdateOptions { anyway: true, ..UpdateOptions::default() };
        let snapshot = file::read(&target, &options).unwrap().unwrap();
        Broken(dir, target, snapshot)
    }

    fn names(dir: &Path) -> Vec<String> {
        let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    fn set(Broken(_, index, snapshot): &Broken, in_place: bool) -> Aside {
        let options = Options { in_place, ..Options::default() };
        set_aside(index, snapshot, "S", &options, &Cancel::default()).unwrap().unwrap()
    }

    #[test]
    fn the_index_keeps_its_name() {
        let broken = broken("{");
        let aside = set(&broken, false);
        assert_eq!(aside.path(broken.1.path()), broken.0.path().join("i.corrupt-S"));
        assert_eq!(names(broken.0.path()), ["i", "i.corrupt-S"]);
    }

    #[test]
    fn no_other_file_is_overwritten() {
        for in_place in [false, true] {
            let broken = broken("{");
            fs::write(broken.0.path().join("i.corrupt-S"), "older").unwrap();
            fs::write(broken.0.path().join("i.corrupt-S-1"), "old").unwrap();
            let aside = set(&broken, in_place);
            assert_eq!(fs::read_to_string(aside.path(broken.1.path())).unwrap(), "{");
            assert_eq!(names(broken.0.path()), ["i", "i.corrupt-S", "i.corrupt-S-1", "i.corrupt-S-2"]);
            assert_eq!(fs::read_to_string(broken.0.path().join("i.corrupt-S")).unwrap(), "older");
        }
    }

    #[test]
    fn a_kill_before_it_is_replaced_leaves_a_name_that_is_used() {
        let broken = broken("{");
        set(&broken, false);
        let again = set_aside(&broken.1, &broken.2, "T", &Options::default(), &Cancel::default());
        let again = again.unwrap().unwrap();
        assert_eq!(again.path(broken.1.path()), broken.0.path().join("i.corrupt-S"));
        again.undo(&broken.1, &broken.2);
        assert_eq!(names(broken.0.path()), ["i", "i.corrupt-S"]);
    }

    #[test]
    fn an_index_that_is_overwritten_is_copied() {
        let broken = broken("{");
        let aside = set(&broken, true);
        fs::write(broken.1.path(), "{}").unwrap();
        assert_eq!(fs::read_to_string(aside.path(broken.1.path())).unwrap(), "{");
    }

    #[test]
    fn what_another_program_has_put_there_gets_no_second_name() {
        let replace = |path: &Path, what: u8| {
            fs::remove_file(path).unwrap();
            match what {
                0 => fs::write(path, "{}").unwrap(),
                1 => fs::create_dir(path).unwrap(),
                _ => {}
            }
        };
        for (what, left) in [(0, vec!["i"]), (1, vec!["i"]), (2, vec![])] {
            for in_place in [false, true] {
                let Broken(dir, index, snapshot) = broken("{");
                replace(index.path(), what);
                let options = Options { in_place, ..Options::default() };
                assert!(set_aside(&index, &snapshot, "S", &options, &Cancel::default()).unwrap().is_none());
                assert_eq!(names(dir.path()), left);
            }
        }
    }

    #[test]
    fn what_was_not_replaced_keeps_one_name() {
        let broken = broken("{");
        set(&broken, false).undo(&broken.1, &broken.2);
        assert_eq!(names(broken.0.path()), ["i"]);
        let aside = set(&broken, false);
        fs::remove_file(broken.1.path()).unwrap();
        aside.undo(&broken.1, &broken.2);
        assert_eq!(names(broken.0.path()), ["i.corrupt-S"]);
    }
}
