//! What to append, how, and what was done.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::steps::Steps;
use crate::write::Level;

/// Lines, each with its line end.
#[derive(Debug, Default)]
pub struct Lines {
    /// In UTF-8.
    pub text: Vec<u8>,
    /// Whose they are, in order.
    pub parts: Vec<Part>,
}

/// What one call appends.
#[derive(Clone, Debug)]
pub struct Part {
    /// How much of the text.
    pub bytes: u64,
    /// How many lines.
    pub lines: usize,
    /// When the call was made.
    pub since: Instant,
    /// How long its steps take, if anyone wants to know.
    pub steps: Option<Arc<Steps>>,
}

/// How to append. Calls are made together only if theirs are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendOptions {
    /// Permission bits of a new file; `None`: those of the file that was rotated, else 0o666 less the umask.
    pub mode: Option<u32>,
    /// Flush the file, and its directory if the name is new.
    pub flush: bool,
    /// Read back and compare.
    pub verify: Option<Level>,
    /// Make missing directories.
    pub mkdir: bool,
    /// The file may be on a network file system.
    pub network: bool,
    /// Each line is a JSON value: so an unfinished one that is complete can be told from a torn one.
    pub json: bool,
    /// When to begin a new file.
    pub rotate: Option<Rotate>,
    /// How long to wait for the file.
    pub timeout: Duration,
}

/// When to begin a new file, and what becomes of the old ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotate {
    /// A file of so many bytes gets no more lines.
    pub size: u64,
    /// How many old files to keep: 1 or more.
    pub keep: u32,
}

impl Default for AppendOptions {
    fn default() -> Self {
        Self {
            mode: None,
            flush: true,
            verify: Some(Level::Cache),
            mkdir: true,
            network: false,
            json: false,
            rotate: None,
            timeout: Duration::from_secs(30),
        }
    }
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// How many lines of this call.
    pub lines: usize,
    /// Their bytes, line ends included.
    pub bytes: u64,
    /// Where the first of them begins.
    pub offset: u64,
    /// File and name were flushed, on a file system where that means something.
    pub durable: bool,
    /// How far the bytes were read back.
    pub verified: Option<Level>,
    /// A new file was begun for them.
    pub rotated: bool,
    /// What was found at the end of the file, and set aside.
    pub torn: Option<Torn>,
    /// How many calls were made together.
    pub calls: usize,
    /// From the call until the file was ours.
    pub waited: Duration,
}

/// A part of a line that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Where it is now.
    pub path: PathBuf,
    /// Where it was.
    pub offset: u64,
    /// How long it is.
    pub bytes: u64,
}
