//! Where a directory was when a path was followed to it, and whether it is still there.
//!
//! A directory can be replaced as a whole while a file in it is written: the open directory is then an old tree, and
//! what gets its name there is lost to all who read by path. So each writer looks once more before it answers.
//!
//! A place is a path without links. A link on the caller's path that is switched meanwhile changes nothing: the call
//! means the file that the path meant when it was followed.

use std::path::Path;
use std::sync::Arc;

use crate::error::{Advice, Error, Result};
use crate::sys::{self, Dir, FileId};

/// Where a directory was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// `None`: that is not known, and nothing is said about it.
    path: Option<Arc<Path>>,
    /// The system has said so, and not only the caller.
    is_told: bool,
}

impl Place {
    /// The place of `dir`, which was found at `path` just now, links followed. `None`: by now `path` means another one.
    pub fn of(dir: &Dir, id: &FileId, path: &Path) -> Option<Self> {
        let Ok(real) = dir.path() else {
            return Some(Self { path: path.is_absolute().then(|| path.into()), is_told: false });
        };
        if real != path {
            // There are links in the path, or the directory was moved before it was asked where it is.
            match is_at(id, path) {
                Some(true) => {}
                Some(false) => return None,
                None => return Some(Self::default()),
            }
            // A mount that is detached, or outside of our root, has no path that leads there.
            if is_at(id, &real) != Some(true) {
                return Some(Self::default());
            }
        }
        Some(Self { path: Some(real.into()), is_told: true })
    }

    /// As a path.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// As a path that is certain to have no links.
    pub fn told(&self) -> Option<&Path> {
        self.path().filter(|_| self.is_told)
    }

    /// Whether nothing speaks against it that `dir` is still here.
    pub fn holds(&self, dir: &FileId) -> bool {
        self.path().is_none_or(|path| is_at(dir, path).unwrap_or(true))
    }

    /// # Errors
    /// [`moved`], if it is not.
    pub fn check(&self, dir: &FileId) -> Result<()> {
        if self.holds(dir) { Ok(()) } else { Err(moved()) }
    }
}

/// Whether `path` leads to `dir`. `None`: that cannot be told, as in a directory that may not be searched any more.
pub fn is_at(dir: &FileId, path: &Path) -> Option<bool> {
    match sys::id_at(path) {
        Ok(id) => Some(id == *dir),
        Err(error) => {
            matches!(error.raw_os_error(), Some(sys::ENOENT | sys::ENOTDIR | sys::ELOOP)).then_some(false)
        }
    }
}

/// The failure of a call whose directory is not at its place any more: `ENOENT`.
pub fn moved() -> Error {
    Error::raw("open", sys::ENOENT).advise(Advice::Moved)
}
