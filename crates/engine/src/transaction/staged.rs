//! Files that transactions have staged, and whether anybody needs one still.
//!
//! A root and a copy of it put the same characters into the names of their files, and the copy may be inside the root. Neither
//! knows the marks and the journal of the other. So a file is an orphan only if every root around it that it may belong to says so.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use crate::dir::{Directory, names};
use crate::error::{Named, Result};
use crate::transaction::away;
use crate::transaction::journal::Tag;
use crate::transaction::root::{FOLDER, Root, RootLock};

/// What is known of a staged file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is of a dead process, and no journal names it. That holds as long as the [`Roots`] are kept, which have the locks.
    Orphan,
    /// A living process may need it.
    Live,
    /// A transaction is to be recovered first.
    Pending,
    /// It was taken away, was never found out to be what the transaction had moved, and has no other name.
    OnlyCopy,
    /// It is of no root that can be seen, or of one that does not tell.
    Unknown,
}

/// The roots around a directory.
pub struct Roots {
    roots: Vec<Around>,
    /// One of them cannot be read.
    is_partial: bool,
}

struct Around {
    root: Root,
    tag: Tag,
    says: Option<Says>,
}

/// What the journal of a root says of files that dead processes have staged.
enum Says {
    /// They may go. Only a living process can write a record that names them, and it needs the lock.
    Free {
        _root_lock: RootLock,
        /// The root is a copy that has had no transaction since: the one that it is a copy of may be out of sight.
        is_copy: bool,
    },
    Not(Fate),
}

impl Roots {
    /// Those around the directory at `path`, itself included.
    pub fn around(path: &Path) -> Self {
        let mut all = Self { roots: Vec::new(), is_partial: false };
        for above in path.ancestors() {
            match open(above) {
                Ok(Some((root, tag))) => all.roots.push(Around { root, tag, says: None }),
                Ok(None) => {}
                Err(_) => all.is_partial = true,
            }
        }
        all
    }

    /// What is to be said of the file `name` in that directory, `dir`.
    pub fn fate(&mut self, dir: &Directory, name: &OsStr) -> Fate {
        let Some((tag, process)) = names::transaction(name) else { return Fate::Unknown };
        let is_partial = self.is_partial;
        let mut fate = Fate::Unknown;
        for around in self.roots.iter_mut().filter(|around| around.tag == tag.as_bytes()) {
            if around.root.is_alive(process) {
                return Fate::Live;
            }
            match around.says.get_or_insert_with(|| ask(&around.root)) {
                Says::Free { is_copy: true, .. } => {}
                Says::Free { .. } => fate = Fate::Orphan,
                Says::Not(other) => return *other,
            }
        }
        match fate {
            Fate::Orphan if is_partial => Fate::Unknown,
            // Recovery has brought it back, if the record was there: a power cut may keep its end without what was flushed by nobody.
            Fate::Orphan if names::is_away(name) && !has_another_name(dir, name) => Fate::OnlyCopy,
            fate => fate,
        }
    }
}

fn has_another_name(dir: &Directory, name: &OsStr) -> bool {
    dir.stat(name).ok().flatten().is_some_and(|stat| away::has_another_name(&stat))
}

fn open(path: &Path) -> Result<Option<(Root, Tag)>> {
    if !may_be_root(path).named("lstat")? {
        return Ok(None);
    }
    let dir = Directory::open(None, path, false)?;
    let Some(root) = Root::open(&dir)? else { return Ok(None) };
    let tag = root.tag()?;
    Ok(Some((root, tag)))
}

/// Whether there is something that may be the folder of a root, for a look that opens no directories.
///
/// # Errors
/// Those of lstat(2), but that there is nothing.
pub fn may_be_root(path: &Path) -> io::Result<bool> {
    use io::ErrorKind::{InvalidFilename, NotADirectory, NotFound};
    match std::fs::symlink_metadata(path.join(FOLDER)) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), NotFound | NotADirectory | InvalidFilename) => Ok(false),
        Err(error) => Err(error),
    }
}

fn ask(root: &Root) -> Says {
    let says = || -> Result<Says> {
        let Some(root_lock) = root.try_lock()? else { return Ok(Says::Not(Fate::Live)) };
        let journal = root.read()?;
        if journal.pending().is_some() {
            return Ok(Says::Not(Fate::Pending));
        }
        let is_copy = journal.record.is_some_and(|record| record.home != root.home());
        Ok(Says::Free { _root_lock: root_lock, is_copy })
    };
    says().unwrap_or(Says::Not(Fate::Unknown))
}
