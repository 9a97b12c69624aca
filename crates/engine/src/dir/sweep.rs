//! Removes what killed writers left behind.
//!
//! A writer holds a lock on its temp file from before the file has a name until it is gone, and the lock
//! dies with the writer. So a temp file whose lock is free is an orphan, and so is a directory in which a tree
//! was built, if that of its guard is free too. Process ids would lie across containers, ages across clocks.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::sync::Mutex;

use crate::dir::directory::Directory;
use crate::dir::names;
use crate::process::{lock, spawn_or_skip};
use crate::stats;
use crate::sys::{self, Dir, FileId, Kind};
use crate::walk::remove::remove;

static SWEPT: Mutex<Option<HashSet<FileId>>> = Mutex::new(None);

/// Sweeps a directory, once in the life of this process. Nothing depends on it: an orphan that cannot be
/// opened, locked or removed stays.
pub fn once(dir: &Directory) {
    let first = {
        let mut guard = lock(&SWEPT);
        guard.get_or_insert_default().insert(dir.id().clone())
    };
    if first {
        sweep(dir);
    }
}

fn sweep(dir: &Directory) {
    let Ok(entries) = dir.names() else { return };
    let mut trees = Vec::new();
    for name in entries.filter(|name| names::is_temp(name)) {
        // Locked first, compared then: the name may have been given to another file in between.
        if let Ok(Some(file)) = dir.open_orphan(&name)
            && let Ok((kind, _)) = Dir::stat_file(&file)
            && dir.is_same(&name, &file).unwrap_or(false)
        {
            match kind {
                Kind::File if dir.unlink(&name).is_ok() => stats::swept(),
                Kind::Directory if is_ours(dir, &name) && !is_guarded(dir, &name) => trees.push((name, file)),
                _ => {}
            }
        }
    }
    if !trees.is_empty() {
        sweep_trees(dir, trees);
    }
}

fn is_ours(dir: &Directory, name: &OsString) -> bool {
    dir.stat(name).is_ok_and(|stat| stat.is_some_and(|stat| dir.may_sweep(&stat)))
}

/// Whether the process that fills the directory lives. When in doubt, it does.
fn is_guarded(dir: &Directory, name: &OsStr) -> bool {
    match dir.open_orphan(&names::guard(name)) {
        Ok(orphan) => orphan.is_none(),
        Err(error) => error.raw_os_error() != Some(sys::ENOENT),
    }
}

/// Each is locked until it is gone. On a thread of its own: a tree may be large, and a write waits.
fn sweep_trees(dir: &Directory, trees: Vec<(OsString, File)>) {
    let Ok(dir) = dir.try_clone() else { return };
    spawn_or_skip("atomic-sweep", move || {
        for (name, _held) in trees {
            if remove(&dir, &name, name.as_ref()).is_ok() {
                stats::swept();
            }
        }
    });
}
