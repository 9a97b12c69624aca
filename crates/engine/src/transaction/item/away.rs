//! The removal of a name.
//!
//! One that was moved may go only with the version that was moved: a write by a program that does not wait for the root's lock may come right before, and
//! would be nowhere then. So the name is taken away first, and looked at without haste: another version gets it back, as if
//! it had been written after the transaction. (A version that is removed or replaced was written before it: then nothing is missing.)

use crate::dir::{Target, names};
use crate::error::{Named, Result};
use crate::process::Key;
use crate::sys::{self, FileId};

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
pub fn remove_if_same(target: &Target, moved: &Moved, tags: &str) -> Result<bool> {
    let Target { dir, name, .. } = target;
    // A file system without such a step, or without room for one more name, which a removal does not need.
    let Ok((away, true)) = names::with_transaction_name(name, tags, |away| dir.rename_new(name, away)) else {
        return remove(target);
    };
    let found = dir.stat(&away).named("stat");
    if let Ok(Some(found)) = &found
        && moved.is(&found.version.id)
    {
        // The name is gone already; a sweep finds this one.
        drop(dir.unlink(&away));
        return Ok(true);
    }
    match dir.rename_new(&away, name) {
        // And a third version has come since.
        Err(error) if error.raw_os_error() == Some(sys::EEXIST) => drop(dir.unlink(&away)),
        put_back => drop(put_back.named("rename")?),
    }
    found.map(|_| true)
}
