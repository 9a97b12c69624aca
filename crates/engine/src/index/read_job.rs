//! A look at an index, without its lock: a file is replaced as a whole, so what is read is one version of it.

use std::path::PathBuf;

use crate::dir::{Resolve, Target};
use crate::error::{Error, Result};
use crate::index::file::{self, Snapshot};
use crate::index::options::UpdateOptions;
use crate::job::{Job, Step};
use crate::sys;

/// Reads an index. `None`: there is no file.
pub struct ReadJob {
    path: PathBuf,
    options: UpdateOptions,
}

impl ReadJob {
    /// Of the options only those of the text count.
    pub fn new(path: PathBuf, options: UpdateOptions) -> Self {
        Self { path, options }
    }

    fn read(&self) -> Result<Option<Snapshot>> {
        let is_missing = |error: &Error| error.errno_of("open") == Some(sys::ENOENT);
        match Target::resolve(&self.path, Resolve { mkdir: false, exclusive: false }) {
            Err(error) if is_missing(&error) => Ok(None),
            target => file::read(&target?, &self.options),
        }
    }
}

impl Job for ReadJob {
    type Output = Option<Snapshot>;

    fn run(self) -> Step<Self> {
        match self.read() {
            Err(error) if error.is_transient() => Step::Again(self, error),
            read => Step::Done(read),
        }
    }
}
