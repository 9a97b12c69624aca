//! How a tree is published, and what was done.

use std::path::PathBuf;

use super::census::Census;
use crate::error::Error;

/// How to publish a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeOptions {
    /// Permission bits of the directory itself; `None`: those of the one that is replaced, else 0o777 less the umask.
    pub mode: Option<u32>,
    /// Flush all that is in it, and the directory that it is in.
    pub flush: bool,
    /// Make missing directories.
    pub mkdir: bool,
    /// Where to keep the old tree.
    pub keep_previous: Option<PathBuf>,
    /// Where two directories cannot be swapped, rename one away and then the other in.
    pub fallback: bool,
}

/// What was done.
#[derive(Debug, Default)]
pub struct TreeReceipt {
    /// What is in the new tree.
    pub census: Census,
    /// All of it was flushed, on a file system where that means something.
    pub durable: bool,
    /// Where the old tree is, if it is still there.
    pub previous: Option<PathBuf>,
    /// Why it is, although it was not to be kept.
    pub leftover: Option<Error>,
}
