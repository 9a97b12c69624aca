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
}

impl Default for Options {
    fn default() -> Self {
        let verify = Some(Level::Cache);
        Self { mode: None, exclusive: false, flush: true, verify, if_changed: false, in_place: false }
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
