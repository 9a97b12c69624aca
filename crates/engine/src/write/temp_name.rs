//! The temp name of a file on its way to its final one.

use std::ffi::OsString;
use std::io;
use std::sync::Arc;

use crate::dir::{Directory, Target, names};
use crate::error::{Error, ErrorKind, Named, Result};
use crate::sys;
use crate::write::options::Create;

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

    /// Gives the file the name of `target`. Unless that is `exclusive`, a file that appears in the same instant may be
    /// replaced where the file system cannot refuse that.
    ///
    /// # Errors
    /// `EEXIST` if there is something by that name; [`ErrorKind::NoExclusive`].
    pub fn create(&mut self, target: &Target, how: Create) -> Result<()> {
        let renamed = match how {
            Create { by_rename: true, exclusive: false } => {
                target.dir.rename_no_replace(&self.name, &target.name)
            }
            _ => target.dir.rename_new(&self.name, &target.name),
        };
        let renamed = match renamed {
            Ok(true) => Ok(()),
            Ok(false) if how.exclusive => return Err(ErrorKind::NoExclusive.into()),
            // It would have an owner and a mode to be taken over.
            Ok(false) if target.existing()?.is_some() => return Err(Error::raw("rename", sys::EEXIST)),
            Ok(false) => self.dir.rename(&self.name, &target.dir, &target.name),
            Err(error) => Err(error),
        };
        self.renamed(target, renamed)
    }

    /// Finds out with another temp name whether a taken one is refused in this directory.
    ///
    /// # Errors
    /// [`ErrorKind::NoExclusive`]; those of the rename.
    pub fn rehearse_create(&mut self, target: &Target) -> Result<()> {
        let (name, refuses) =
            names::with_temp_name(&target.name, |name| self.dir.rename_new(&self.name, name))
                .named("rename")?;
        if !refuses {
            return Err(ErrorKind::NoExclusive.into());
        }
        self.name = name;
        Ok(())
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
