//! A directory with a temp name, which is held by its open file from the start: a sweeper leaves it alone.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;

use crate::dir::names;
use crate::error::{Named, Result};
use crate::sys::{self, Dir};

/// One that was made.
#[derive(Debug)]
pub struct Made<T> {
    pub name: OsString,
    pub dir: Dir,
    /// The lock.
    pub held: File,
    /// What was made with it.
    pub with: T,
}

impl<T> Made<T> {
    /// Makes it in `around`, by a temp name for `hint` that `make` is called with.
    ///
    /// # Errors
    /// Those of mkdir(2), open(2) and fstat(2).
    pub fn make(around: &Dir, hint: &OsStr, make: impl Fn(&OsStr) -> io::Result<T>) -> Result<Self> {
        loop {
            let (name, with) = names::with_temp_name(hint, &make).named("mkdir")?;
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
                return Ok(Self { name, dir, held, with });
            }
            // A sweeper that only looks leaves it there.
            drop(around.remove_dir(&name));
        }
    }
}
