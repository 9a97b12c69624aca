//! Keeps sweepers away from a directory that is being filled, whatever becomes of the directory itself.
//!
//! Many generators remove their output directory and make it anew. A lock on the directory goes with it, and the new one
//! would be an orphan to the next sweep. So the lock is on a file beside it, whose name follows from the directory's.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::sync::Arc;

use crate::dir::{Directory, names};
use crate::sys;
use crate::write::TempName;

/// A locked file. Dropped, it is gone.
#[derive(Debug)]
pub struct Guard {
    // Removed first, closed then: no sweeper comes across it.
    _name: TempName,
    _file: File,
}

impl Guard {
    /// For the directory that is to have the temp name `guarded` in `dir`.
    ///
    /// # Errors
    /// `EEXIST` if the name is not to be used: there is a guard, or a sweeper has found this one before it was locked. Such a sweeper is about
    /// to unlink the name, so the name is given to no other file. Those of open(2).
    pub fn make(dir: &Arc<Directory>, guarded: &OsStr) -> io::Result<Self> {
        let name = names::guard(guarded);
        let file = dir.create_new(&name, 0o600)?;
        Self::lock(TempName { dir: dir.clone(), name }, file)
    }

    fn lock(name: TempName, file: File) -> io::Result<Self> {
        if sys::hold(&file) && name.dir.is_same(&name.name, &file)? {
            return Ok(Self { _name: name, _file: file });
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::dir::orphan::{self, Taken};

    #[test]
    fn a_name_that_a_sweeper_is_about_to_unlink_is_given_up() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Directory::open(None, temp.path(), false).unwrap();
        let name = names::guard(".site.abcdefghijkl.atomic-tmp".as_ref());
        let file = dir.create_new(&name, 0o600).unwrap();
        let _held = match orphan::take(&dir, &name).unwrap() {
            Taken::File(held) => held,
            _ if sys::REPLACES_OPEN_FILES => panic!("nobody has it"),
            // Where the handle that is open is the lock, no sweeper comes between.
            _ => return,
        };
        let guard = Guard::lock(TempName { dir: dir.clone(), name: name.clone() }, file);
        assert_eq!(guard.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(dir.stat(&name).unwrap().is_none(), "nothing is left for the sweeper to unlink");
    }
}
