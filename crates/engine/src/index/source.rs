//! The file that a version of an index was read from.
//!
//! It stays open where an open file can be replaced: the version can be read again whatever gets its name, and no other file gets
//! its number. Elsewhere a handle of this process would stop its own rename, so the file is opened again for each use.

use std::fs::File;

use crate::dir::Target;
use crate::error::{Error, Named, Result};
use crate::sys::{self, Dir, Version};

/// The file of one version.
#[derive(Debug)]
pub enum Source {
    Open(File),
    Named(Box<(Target, Version)>),
}

impl Source {
    /// For the file of `target`, which has this version.
    pub fn new(target: &Target, file: File, version: &Version) -> Self {
        if sys::REPLACES_OPEN_FILES {
            Self::Open(file)
        } else {
            Self::Named(Box::new((target.clone(), version.clone())))
        }
    }

    /// Calls `read` with the file.
    ///
    /// # Errors
    /// Those of `read`; where the file is opened again, those of open(2), and `EAGAIN` if it has another version now.
    pub fn with<T>(&self, read: impl FnOnce(&File) -> Result<T>) -> Result<T> {
        let (target, version) = match self {
            Self::Open(file) => return read(file),
            Self::Named(named) => &**named,
        };
        let file = target.dir.open_file(&target.name).named("open")?;
        let (_, found) = Dir::stat_file(&file).named("fstat")?;
        if !found.has_content_of(version) {
            return Err(Error::raw("open", sys::EAGAIN));
        }
        read(&file)
    }

    /// The handle, if there is one all the time.
    pub fn handle(&self) -> Option<&File> {
        match self {
            Self::Open(file) => Some(file),
            Self::Named(_) => None,
        }
    }

    /// As [`Source::handle`], to be closed.
    pub fn into_handle(self) -> Option<File> {
        match self {
            Self::Open(file) => Some(file),
            Self::Named(_) => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::dir::Resolve;

    #[test]
    fn a_file_that_is_opened_again_is_read_only_in_its_version() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index.json");
        std::fs::write(&path, "{}").unwrap();
        let target = Target::resolve(&path, Resolve { mkdir: false, exclusive: false }).unwrap();
        let version = target.existing().unwrap().unwrap().version;
        let source = Source::Named(Box::new((target, version)));
        assert_eq!(source.with(|file| Ok(file.metadata().unwrap().len())).unwrap(), 2);
        std::fs::write(&path, "{ }").unwrap();
        assert!(source.with(|_| Ok(())).unwrap_err().is_transient());
    }
}
