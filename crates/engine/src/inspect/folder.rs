//! The folder in which all is tried. It has a temp name and is locked, as every tree on its way, so that a kill leaves it to a sweep.

use std::ffi::OsStr;
use std::ops::Deref;
use std::sync::Arc;

use crate::dir::Directory;
use crate::dir::made::Made;
use crate::error::Result;
use crate::sys::Dir;
use crate::walk::remove::remove;

/// Removed when it is dropped.
pub struct Folder {
    around: Arc<Directory>,
    made: Made<()>,
}

impl Folder {
    /// Makes it in `around`.
    ///
    /// # Errors
    /// Those of [`Directory::check_lets_go`], mkdir(2) and open(2).
    pub fn make(around: &Arc<Directory>) -> Result<Self> {
        around.check_lets_go()?;
        let make = |name: &OsStr| around.make_dir_with(name, 0o700);
        let made = Made::make(around, "inspect".as_ref(), make)?;
        Ok(Self { around: around.clone(), made })
    }
}

impl Deref for Folder {
    type Target = Dir;

    fn deref(&self) -> &Dir {
        &self.made.dir
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to a sweep.
        drop(remove(&self.around, &self.made.name, self.made.name.as_ref()));
    }
}
