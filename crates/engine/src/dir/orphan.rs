//! What a killed writer has left under a temp name: it is taken before it is removed.
//!
//! A writer holds a lock on its temp file from before the file has a name until it is gone, and the lock
//! dies with the writer. So a temp file whose lock is free is an orphan, and so is a directory in which a tree
//! was built, if that of its guard is free too. Process ids would lie across containers, ages across clocks.

use std::ffi::OsStr;
use std::fs::File;
use std::io;

use crate::dir::names;
use crate::sys::{self, Dir, Kind};

/// What came of taking a temp name.
#[derive(Debug)]
pub enum Taken {
    /// A file that nobody has, locked as long as this is kept.
    File(File),
    /// A directory that nobody has, locked as long as this is kept.
    Tree(File),
    /// A living process has it.
    Held,
    /// It is another user's directory.
    NotOurs,
    /// There is nothing by that name, or nothing of ours.
    Gone,
}

/// Takes what has this temp name.
///
/// # Errors
/// Those of open(2) and flock(2): nothing is known then.
pub fn take(dir: &Dir, name: &OsStr) -> io::Result<Taken> {
    let Some(seen) = dir.stat(name)? else { return Ok(Taken::Gone) };
    match seen.kind {
        Kind::File => {}
        Kind::Directory if !dir.may_sweep(&seen) => return Ok(Taken::NotOurs),
        // Before its lock is tried, which a builder that finds it taken would give up the directory for.
        Kind::Directory if is_guarded(dir, name) => return Ok(Taken::Held),
        Kind::Directory => {}
        Kind::Symlink | Kind::Other(_) => return Ok(Taken::Gone),
    }
    let file = match dir.open_orphan(name) {
        Err(error) if error.raw_os_error() == Some(sys::ENOENT) => return Ok(Taken::Gone),
        opened => opened?,
    };
    let Some(file) = file else { return Ok(Taken::Held) };
    // Locked first, compared then: the name may have been given to another file in between.
    if Dir::stat_file(&file)?.1.id != seen.version.id || !dir.is_same(name, &file)? {
        return Ok(Taken::Gone);
    }
    Ok(if seen.kind == Kind::File { Taken::File(file) } else { Taken::Tree(file) })
}

/// Whether the process that fills the directory lives. When in doubt, it does.
fn is_guarded(dir: &Dir, name: &OsStr) -> bool {
    match dir.open_orphan(&names::guard(name)) {
        Ok(orphan) => orphan.is_none(),
        Err(error) => error.raw_os_error() != Some(sys::ENOENT),
    }
}
