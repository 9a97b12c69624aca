//! Every flush of a file or a directory goes by here, to be counted and timed.

use std::fs::File;
use std::io;

use crate::stats;
use crate::steps::{self, Step};
use crate::sys::{self, Dir};

/// Flushes content and attributes. `false`: the file system has no such operation.
pub fn file(file: &File) -> io::Result<bool> {
    by(|| sys::sync_file(file))
}

/// Flushes content, and of the attributes only what is needed to read it.
pub fn data(file: &File) -> io::Result<()> {
    by(|| file.sync_data())
}

fn by<T>(flush: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    stats::flushes_file();
    let _during = steps::begin(Step::Fsync);
    flush()
}

/// Flushes the entries of a directory. `false`: that cannot be done here.
pub fn directory(dir: &Dir) -> io::Result<bool> {
    stats::flushes_directory();
    let _during = steps::begin(Step::DirectoryFsync);
    dir.sync()
}
