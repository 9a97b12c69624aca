//! Whether two names are one: that is the file system's to say, and differs from mount to mount, and with ext4 and NTFS from
//! directory to directory.
//!
//! Where a wrong yes only makes two calls wait for each other, every directory counts as case-insensitive, which costs no
//! system call ([`fold`]). Where it would fail a call, the directory is asked ([`Directory::is_one_name`]).

use std::ffi::{OsStr, OsString};

use crate::dir::directory::Directory;
use crate::dir::names;
use crate::error::{Named, Result};

/// The same for all names that differ in the case of their letters only.
pub fn fold(name: &OsStr) -> OsString {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    // Some letters have two lower-case forms.
    name.to_string_lossy().to_uppercase().to_lowercase().into()
}

impl Directory {
    /// Whether two names are one in here.
    ///
    /// # Errors
    /// Those of stat(2) and mkdir(2): where there are no such files, a directory that is removed at once tells. Where that could not be
    /// removed, they count as two.
    pub fn is_one_name(&self, one: &OsStr, other: &OsStr) -> Result<bool> {
        if one == other {
            return Ok(true);
        }
        if fold(one) != fold(other) {
            return Ok(false);
        }
        let id =
            |name: &OsStr| -> Result<_> { Ok(self.stat(name).named("lstat")?.map(|stat| stat.version.id)) };
        match (id(one)?, id(other)?) {
            (None, None) => {}
            // Perhaps two links to one file.
            (Some(first), Some(second)) if first == second => {}
            _ => return Ok(false),
        }
        if self.check_lets_go().is_err() {
            return Ok(false);
        }
        loop {
            let (name, ()) =
                names::with_temp_name(one, |temp| self.make_dir_with(temp, 0o700)).named("mkdir")?;
            let found = id(&names::temp_name_like(&name, other));
            let made = id(&name);
            drop(self.remove_dir(&name));
            // Otherwise a sweeper took it.
            if let Some(made) = made? {
                return Ok(found? == Some(made));
            }
        }
    }
}
