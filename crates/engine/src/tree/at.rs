//! Where a directory is.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use crate::dir::Directory;

/// A directory by its name in another.
#[derive(Clone, Debug)]
pub struct At {
    pub dir: Arc<Directory>,
    pub name: OsString,
}

impl At {
    /// Its path, as far as that is known.
    pub fn path(&self) -> PathBuf {
        self.dir.path().unwrap_or_default().join(&self.name)
    }
}
