//! Removes what killed writers left behind.
//!
//! A writer holds a lock on its temp file from before it has a name until it is gone, and the lock
//! dies with the writer. So a temp file whose lock can be had is nobody's. Process ids would lie
//! across containers, ages across clocks.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::directory::Directory;
use super::names;
use super::sys::{Dir, FileId, Kind};

static SWEPT: Mutex<Option<HashSet<FileId>>> = Mutex::new(None);

/// Sweeps a directory, once in the life of this process. Nothing depends on it: what cannot be
/// opened, locked or removed stays.
pub fn once(dir: &Directory) {
    let first = {
        let mut guard = SWEPT.lock().unwrap_or_else(PoisonError::into_inner);
        guard.get_or_insert_default().insert(dir.id().clone())
    };
    if first {
        sweep(dir);
    }
}

fn sweep(dir: &Directory) {
    let Ok(entries) = dir.names() else { return };
    for name in entries.filter(|name| names::is_temp(name)) {
        // Held first, compared then: the name may have been given to another file in between.
        if let Ok(Some(file)) = dir.open_orphan(&name)
            && Dir::stat_file(&file).is_ok_and(|(kind, _)| kind == Kind::File)
            && dir.is_same(&name, &file).unwrap_or(false)
        {
            drop(dir.unlink(&name));
        }
    }
}
