//! How to write a file, and what was done.

use crate::write::verify::Level;

/// How to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Permission bits; `None`: those of the file that is replaced, else 0o666 less the umask.
    pub mode: Option<u32>,
    /// Fail with `EEXIST` if there is a file.
    pub exclusive: bool,
    /// Flush the file and its directory.
    pub flush: bool,
    /// Read back and compare.
    pub verify: Option<Level>,
    /// Leave a file that holds these bytes already as it is.
    pub if_changed: bool,
    /// Overwrite a file that cannot be replaced.
    pub in_place: bool,
    /// A new file gets its name by a rename, for programs that watch the directory for that.
    pub by_rename: bool,
}

/// How a file gets a name that no file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Create {
    /// A name that was taken meanwhile is an error.
    pub exclusive: bool,
    /// By a rename, and not by a link.
    pub by_rename: bool,
}

impl Options {
    pub(crate) fn create(&self) -> Create {
        Create { exclusive: self.exclusive, by_rename: self.by_rename }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mode: None,
            exclusive: false,
            flush: true,
            verify: Some(Level::Cache),
            if_changed: false,
            in_place: false,
            by_rename: false,
        }
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// `false`: the file held these bytes already.
    pub written: bool,
    /// How many bytes the file has.
    pub bytes: u64,
    /// File and directory were flushed, on a file system where that means something.
    pub durable: bool,
    /// How far the bytes were read back.
    pub verified: Option<Level>,
    /// `false`: the file could not be replaced and was overwritten.
    pub atomic: bool,
}
