//! Removes what killed writers left behind, where the next one works.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::sync::Mutex;

use crate::dir::directory::Directory;
use crate::dir::names;
use crate::dir::orphan::{self, Taken};
use crate::process::{lock, spawn_or_skip};
use crate::stats;
use crate::sys::FileId;
use crate::walk::remove::remove;

static SWEPT: Mutex<Option<HashSet<FileId>>> = Mutex::new(None);

/// Sweeps a directory, once in the life of this process. Nothing depends on it: an orphan that cannot be
/// opened, locked or removed stays. On a network file system, and in a folder that is shared with a host, all stays: locks need not reach
/// other machines there, and their living writers would lose what they have staged.
pub fn once(dir: &Directory) {
    let first = {
        let mut guard = lock(&SWEPT);
        guard.get_or_insert_default().insert(dir.id().clone())
    };
    // Asked once as well: to find it out takes a system call, and on FUSE a look through all mounts.
    if !first {
        return;
    }
    let file_system = dir.file_system();
    if file_system.network.is_none() && !file_system.is_shared {
        sweep(dir);
    }
}

fn sweep(dir: &Directory) {
    let Ok(entries) = dir.names() else { return };
    let mut trees = Vec::new();
    for name in entries.filter(|name| names::is_temp(name)) {
        match orphan::take(dir, &name) {
            Ok(Taken::File(_held)) if dir.unlink(&name).is_ok() => stats::swept(),
            Ok(Taken::Tree(held)) => trees.push((name, held)),
            _ => {}
        }
    }
    if !trees.is_empty() {
        sweep_trees(dir, trees);
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
