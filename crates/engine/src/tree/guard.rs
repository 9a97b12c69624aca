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
    /// `EEXIST` if there is one; those of open(2).
    pub fn make(dir: &Arc<Directory>, guarded: &OsStr) -> io::Result<Self> {
        let name = names::guard(guarded);
        loop {
            let file = dir.create_new(&name, 0o600)?;
            let made = TempName { dir: dir.clone(), name: name.clone() };
            // A sweeper may have found it before it was locked.
            if sys::hold(&file) && dir.is_same(&name, &file)? {
                return Ok(Self { _name: made, _file: file });
            }
        }
    }
}
