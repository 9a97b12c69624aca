//! What a transaction has left is recovered by the first call of a process that comes near: one that works in a directory below
//! the root. After a power cut all processes are new; a process that lives on finds a pointer in the lock of an index.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::dir::{Directory, names};
use crate::error::{Error, Result};
use crate::process::lock;
use crate::sys::FileId;
use crate::transaction::recover;
use crate::transaction::root::Root;
use crate::transaction::staged::{Fate, Roots, may_be_root};

/// What this process has looked at.
#[derive(Default)]
struct Looked {
    /// Directories in which it has worked.
    dirs: HashSet<FileId>,
    /// These and those above them, and whether each is a root.
    paths: HashMap<PathBuf, bool>,
    /// Roots at which a transaction was at work, and when that was. What a thousand calls wait for is looked at as often as for one.
    busy: HashMap<PathBuf, Instant>,
}

impl Looked {
    /// Whether it is a root, if that is known; or whether it was busy a moment ago.
    fn at(&self, path: &Path) -> Option<Found> {
        let is_busy = || self.busy.get(path).is_some_and(|since| since.elapsed() < PAUSE);
        match self.paths.get(path) {
            Some(true) => Some(Found::Root),
            Some(false) => Some(Found::None),
            None => is_busy().then_some(Found::Busy),
        }
    }
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
    let (mut is_known, mut is_below_root) = (true, false);
    for above in path.ancestors() {
        let known = lock(&LOOKED).get_or_insert_default().at(above);
        let is_root = match known {
            Some(Found::Busy) => return Ok(Look::Busy),
            Some(found) => found == Found::Root,
            None => match recovered(above) {
                Err(error) if error.is_transient() => return Err(error),
                // Another call may succeed.
                Err(_) => {
                    is_known = false;
                    continue;
                }
                Ok(Found::Busy) => {
                    let mut looked = lock(&LOOKED);
                    looked.get_or_insert_default().busy.insert(above.to_owned(), Instant::now());
                    return Ok(Look::Busy);
                }
                Ok(found) => found == Found::Root,
            },
        };
        let mut looked = lock(&LOOKED);
        let Looked { paths, busy, .. } = looked.get_or_insert_default();
        busy.remove(above);
        paths.insert(above.to_owned(), is_root);
        is_below_root |= is_root;
    }
    if is_below_root {
        sweep(dir, &path);
    }
    if is_known {
        lock(&LOOKED).get_or_insert_default().dirs.insert(dir.id().clone());
    }
    Ok(Look::Clear)
}

/// How long a call that could go on waits for a transaction that is to be recovered first; recovery would keep what is written meanwhile.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long such a call waits until the next look.
pub const PAUSE: Duration = Duration::from_millis(1);

/// [Looks](look) for a call that has begun at `since`, and goes on after a second in any case. Whether it is to look again.
///
/// # Errors
/// Only those that pass by themselves.
pub fn is_in_the_way(dir: &Arc<Directory>, since: Instant) -> Result<bool> {
    Ok(look(dir)? == Look::Busy && since.elapsed() < PATIENCE)
}

#[derive(PartialEq, Eq)]
enum Found {
    None,
    /// With nothing pending.
    Root,
    Busy,
}

fn recovered(path: &Path) -> Result<Found> {
    match may_be_root(path) {
        Ok(true) => {}
        Ok(false) => return Ok(Found::None),
        // A second look would come to the same.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(Found::None),
        Err(error) => return Err(Error::system("lstat", error)),
    }
    let Some(root) = Root::open(&Directory::open(None, path, false)?)? else { return Ok(Found::None) };
    Ok(match recover::attempt(&root)? {
        Some(_) => Found::Root,
        None => Found::Busy,
    })
}

/// Removes from `dir`, which is at `path`, what transactions of dead processes have staged there.
fn sweep(dir: &Directory, path: &Path) {
    let Ok(entries) = dir.names() else { return };
    let staged: Vec<_> = entries.filter(|name| names::transaction(name).is_some()).collect();
    if staged.is_empty() {
        return;
    }
    let mut roots = Roots::around(path);
    for name in staged.iter().filter(|name| roots.fate(dir, name) == Fate::Orphan) {
        drop(dir.unlink(name));
    }
}
