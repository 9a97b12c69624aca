//! What a transaction has left is recovered by the first call of a process that comes near: one that works in a directory below
//! the root. After a power cut all processes are new; a process that lives on finds a pointer in the lock of an index.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::dir::{Directory, names};
use crate::process::lock;
use crate::sys::FileId;
use crate::transaction::recover;
use crate::transaction::root::{FOLDER, Root};

/// What this process has looked at.
#[derive(Default)]
struct Looked {
    /// Directories in which it has worked.
    dirs: HashSet<FileId>,
    /// These and those above them, and whether each is a root.
    paths: HashMap<PathBuf, bool>,
}

static LOOKED: Mutex<Option<Looked>> = Mutex::new(None);

/// Recovers what was left in `dir` and in what is above it, once in the life of this process. Nothing is said of failures:
/// the call is for other files, as a rule, and those that are for the same ones meet them.
pub fn look(dir: &Arc<Directory>) {
    if lock(&LOOKED).get_or_insert_default().dirs.contains(dir.id()) {
        return;
    }
    let Ok(path) = dir.path() else { return };
    for above in path.ancestors() {
        let known = lock(&LOOKED).get_or_insert_default().paths.get(above).copied();
        let is_root = match known {
            Some(is_root) => is_root,
            None => match recovered(above) {
                Some(root) => root.is_some(),
                // Something is at work there: a later call looks again.
                None => return,
            },
        };
        lock(&LOOKED).get_or_insert_default().paths.insert(above.to_owned(), is_root);
        if is_root && let Some(root) = open(above) {
            sweep(&root, dir);
        }
    }
    lock(&LOOKED).get_or_insert_default().dirs.insert(dir.id().clone());
}

fn open(path: &Path) -> Option<Root> {
    Directory::open(None, path, false).and_then(|dir| Root::open(&dir)).ok().flatten()
}

/// `None`: not now. `Some(None)`: there is nothing.
fn recovered(path: &Path) -> Option<Option<Root>> {
    if std::fs::symlink_metadata(path.join(FOLDER)).is_err() {
        return Some(None);
    }
    let Some(root) = open(path).filter(|root| root.is_writable) else { return Some(None) };
    match recover::attempt(&root) {
        Ok(Some(_)) => Some(Some(root)),
        Ok(None) => None,
        Err(_) => Some(None),
    }
}

/// Removes from `dir` what transactions of dead processes have staged there. A record that counts may name such a file, and
/// only a living process can write one: so under the lock, and not if there is one.
pub fn sweep(root: &Root, dir: &Directory) {
    let Ok(entries) = dir.names() else { return };
    let Ok(tag) = root.tag() else { return };
    let is_staged = |name: &std::ffi::OsString| {
        names::transaction(name).is_some_and(|(of, process)| of.as_bytes() == tag && !root.is_alive(process))
    };
    let orphans: Vec<_> = entries.filter(is_staged).collect();
    if orphans.is_empty() {
        return;
    }
    let Ok(Some(_root_lock)) = root.try_lock() else { return };
    if root.read().is_ok_and(|journal| journal.pending().is_none()) {
        orphans.iter().for_each(|orphan| drop(dir.unlink(orphan)));
    }
}
