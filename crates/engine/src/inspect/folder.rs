//! The folder in which all is tried. It has a temp name and is locked, as every tree on its way, so that a kill leaves it to a sweep.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::ops::Deref;
use std::sync::Arc;

use crate::dir::{Directory, names};
use crate::error::{Named, Result};
use crate::sys::{self, Dir};
use crate::walk::remove::remove;

/// Removed when it is dropped.
pub struct Folder {
    around: Arc<Directory>,
    name: OsString,
    dir: Dir,
    _held: File,
}

impl Folder {
    /// Makes it in `around`.
    ///
    /// # Errors
    /// Those of [`Directory::check_lets_go`], mkdir(2) and open(2).
    pub fn make(around: &Arc<Directory>) -> Result<Self> {
        around.check_lets_go()?;
        loop {
            let make = |name: &OsStr| around.make_dir_with(name, 0o700);
            let (name, ()) = names::with_temp_name("inspect".as_ref(), make).named("mkdir")?;
            let opened = around.open_own_child(&name).and_then(|dir| Ok((dir.as_file()?, dir)));
            let (held, dir) = match opened {
                Ok(opened) => opened,
                // A sweeper has found it before it was locked.
                Err(error) if error.raw_os_error() == Some(sys::ENOENT) => continue,
                Err(error) => {
                    drop(around.remove_dir(&name));
                    return Err(error).named("open");
                }
            };
            if sys::hold(&held) && around.is_same(&name, &held).named("fstat")? {
                return Ok(Self { around: around.clone(), name, dir, _held: held });
            }
            drop(around.remove_dir(&name));
        }
    }
}

impl Deref for Folder {
    type Target = Dir;

    fn deref(&self) -> &Dir {
        &self.dir
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to a sweep.
        drop(remove(&self.around, &self.name, self.name.as_ref()));
    }
}
