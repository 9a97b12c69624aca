//! What a transaction has left is recovered by the first call of a process that comes near: one that works in a directory below
//! the root. After a power cut all processes are new; a process that lives on finds a pointer in the lock of an index.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::dir::{Directory, names};
use crate::error::{Error, Result};
use crate::process::lock;
use crate::sys::FileId;
use crate::transaction::recover;
use crate::transaction::root::{FOLDER, Root, RootLock};

/// What this process has looked at.
#[derive(Default)]
struct Looked {
    /// Directories in which it has worked.
    dirs: HashSet<FileId>,
    /// These and those above them, and whether each is a root.
    paths: HashMap<PathBuf, bool>,
}

static LOOKED: Mutex<Option<Looked>> = Mutex::new(None);

/// What came of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Look {
    /// Nothing is in the way, or nothing that this call could do.
    Clear,
    /// A transaction is to be recovered, or at work: the caller is to look again.
    Busy,
}

/// Recovers what was left in `dir` and in what is above it, once in the life of this process. What cannot be recovered is no
/// failure here: the call is for other files, as a rule, and those that are for the same ones meet it.
///
/// # Errors
/// Only those that pass by themselves.
pub fn look(dir: &Arc<Directory>) -> Result<Look> {
    if lock(&LOOKED).get_or_insert_default().dirs.contains(dir.id()) {
        return Ok(Look::Clear);
    }
    let Ok(path) = dir.path() else { return Ok(Look::Clear) };
    let mut is_known = true;
    for above in path.ancestors() {
        let known = lock(&LOOKED).get_or_insert_default().paths.get(above).copied();
        let root = match known {
            Some(false) => continue,
            Some(true) => open(above).ok().flatten(),
            None => match recovered(above) {
                Err(error) if error.is_transient() => return Err(error),
                // Another call may succeed.
                Err(_) => {
                    is_known = false;
                    continue;
                }
                Ok(Found::Busy) => return Ok(Look::Busy),
                Ok(Found::None) => None,
                Ok(Found::Root(root)) => Some(root),
            },
        };
        lock(&LOOKED).get_or_insert_default().paths.insert(above.to_owned(), root.is_some());
        if let Some(root) = root {
            sweep(&root, dir);
        }
    }
    if is_known {
        lock(&LOOKED).get_or_insert_default().dirs.insert(dir.id().clone());
    }
    Ok(Look::Clear)
}

fn open(path: &Path) -> Result<Option<Root>> {
    Directory::open(None, path, false).and_then(|dir| Root::open(&dir))
}

enum Found {
    None,
    /// With nothing pending.
    Root(Root),
    Busy,
}

fn recovered(path: &Path) -> Result<Found> {
    match std::fs::symlink_metadata(path.join(FOLDER)) {
        Ok(_) => {}
        Err(error) if is_no_root(&error) => return Ok(Found::None),
        Err(error) => return Err(Error::system("lstat", error)),
    }
    let Some(root) = open(path)? else { return Ok(Found::None) };
    Ok(match recover::attempt(&root)? {
        Some(_) => Found::Root(root),
        None => Found::Busy,
    })
}

/// Whether a second look would come to the same: there is none, or none that this process could do anything about.
fn is_no_root(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | NotADirectory | PermissionDenied | InvalidFilename)
}

/// Removes from `dir` what transactions of dead processes have staged there.
fn sweep(root: &Root, dir: &Directory) {
    let Ok(entries) = dir.names() else { return };
    let orphans: Vec<_> = entries.filter(|name| is_orphan(root, name)).collect();
    if !orphans.is_empty()
        && let Ok(Orphans::Free(_root_lock)) = orphans_of(root)
    {
        orphans.iter().for_each(|orphan| drop(dir.unlink(orphan)));
    }
}

/// Whether a transaction of this root has staged the file, in a process that is dead.
pub fn is_orphan(root: &Root, name: &OsStr) -> bool {
    is_of(root, name) && names::transaction(name).is_some_and(|(_, process)| !root.is_alive(process))
}

/// Whether a transaction of this root has staged the file.
pub fn is_of(root: &Root, name: &OsStr) -> bool {
    root.tag().is_ok_and(|tag| names::transaction(name).is_some_and(|(of, _)| of.as_bytes() == tag))
}

/// What the journal says about the files that dead processes have staged.
pub enum Orphans {
    /// They may be removed as long as this is kept.
    Free(RootLock),
    /// A transaction is at work.
    Live,
    /// The last transaction is to be recovered first.
    Pending,
}

/// A record that counts may name such files, and only a living process can write one: so they are removed under the lock,
/// and not if there is one.
///
/// # Errors
/// Those of taking the lock of the root, and of reading its journal.
pub fn orphans_of(root: &Root) -> Result<Orphans> {
    let Some(root_lock) = root.try_lock()? else { return Ok(Orphans::Live) };
    Ok(if root.read()?.pending().is_some() { Orphans::Pending } else { Orphans::Free(root_lock) })
}

/// The roots that a directory is in, itself included, from the nearest one on. What cannot be opened is none.
pub fn roots_around(path: &Path) -> impl Iterator<Item = Root> {
    path.ancestors().filter_map(|above| open(above).ok().flatten())
}
