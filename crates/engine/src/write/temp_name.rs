//! The temp name of a file on its way to its final one.

use std::ffi::OsString;
use std::io;
use std::sync::Arc;

use crate::dir::{Directory, Target};
use crate::error::Result;

/// A temp name, removed on drop.
#[derive(Debug)]
pub struct TempName {
    pub dir: Arc<Directory>,
    pub name: OsString,
}

impl TempName {
    /// Gives the file the name of `target`; whatever is there is replaced.
    pub fn replace(&mut self, target: &Target) -> Result<()> {
        self.renamed(target, self.dir.rename(&self.name, &target.dir, &target.name))
    }

    /// Gives the file the name of `target`.
    ///
    /// # Errors
    /// `EEXIST` if there is something by that name.
    pub fn create(&mut self, target: &Target) -> Result<()> {
        self.renamed(target, target.dir.rename_new(&self.name, &target.name))
    }

    /// Gives the file the name of `target`, and this name to the file that is there.
    pub fn exchange(&self, target: &Target) -> Result<()> {
        let exchanged = self.dir.exchange(&self.name, &target.dir, &target.name);
        exchanged.map_err(|error| target.rename_failed(error))
    }

    fn renamed(&mut self, target: &Target, renamed: io::Result<()>) -> Result<()> {
        renamed.map_err(|error| target.rename_failed(error))?;
        self.forget();
        Ok(())
    }

    /// The name is not ours any more.
    pub fn forget(&mut self) {
        self.name.clear();
    }
}

impl Drop for TempName {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            // The first error is the one to report, and a sweep comes by later.
            drop(self.dir.unlink(&self.name));
        }
    }
}
