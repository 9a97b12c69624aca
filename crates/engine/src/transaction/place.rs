//! A file of a record, as it is now.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::sync::Arc;

use crate::cancel::Cancel;
use crate::dir::Directory;
use crate::error::{Error, ErrorKind, Named, Result};
use crate::lock::sidecar::Lock;
use crate::mutant::{Step, leaves_out};
use crate::sys::{self, Dir, FileId, Kind, Stat, Version};
use crate::transaction::decision::Seen;
use crate::transaction::journal::{Mark, OldMark, Op, Record};
use crate::transaction::root::Root;
use crate::write::verify;

/// What tells the files of a record.
#[derive(Debug)]
pub struct Home {
    /// Inodes say nothing: the tree is a copy.
    copied: bool,
    /// The inodes of the files that the transaction moves.
    moved: HashSet<u64>,
}

impl Home {
    /// Those of a record that was found in this root.
    pub fn of(record: &Record, root: &Root) -> Self {
        let staged = record.ops.iter().filter_map(|op| op.staged.as_ref());
        let moved = staged.filter(|(_, mark)| mark.hash.is_none()).map(|(_, mark)| mark.inode).collect();
        Self { copied: record.home != root.home(), moved }
    }

    /// Whether it is one of those that the transaction moves, by its number.
    pub fn moves(&self, file: &FileId) -> bool {
        !self.copied && self.moved.contains(&file.number())
    }
}

/// A target of a record, as it is now.
#[derive(Debug)]
pub struct Place<'a> {
    /// What was to become of it.
    pub op: &'a Op,
    /// `None`: its directory is gone, or is not below the root any more.
    pub dir: Option<Arc<Directory>>,
    /// If it is an index, and locked.
    pub lock: Option<Lock>,
    /// The staged file, open; and whether it is whole.
    staged: Option<File>,
    is_whole: bool,
    target: Seen,
    /// Which file has its name.
    found: Option<FileId>,
}

impl<'a> Place<'a> {
    /// # Errors
    /// Those of open(2), but that it is not there; [`ErrorKind::Journal`] if something is mounted over its directory, which is still there then.
    pub fn open(root: &Root, op: &'a Op) -> Result<Self> {
        let dir = match root.directory(&op.dir) {
            Ok(dir) => Some(dir),
            Err(error) if is_gone(&error) => None,
            Err(error) if error.errno_of("open") == Some(sys::EXDEV) => {
                let what = "something is mounted over a directory that an interrupted transaction changes: unmount it";
                return Err(Error::from(ErrorKind::Journal { what }).about(root.path.join(&op.dir)));
            }
            Err(error) => return Err(error),
        };
        Ok(Self { op, dir, lock: None, staged: None, is_whole: false, target: Seen::Other, found: None })
    }

    /// # Errors
    /// Those of [`Root::check_rights`].
    pub fn check_rights(&self, root: &Root) -> Result<()> {
        self.dir.as_ref().map_or(Ok(()), |dir| root.check_rights(dir))
    }

    /// Looks at the staged file and at the target. `home`: where the transaction was.
    ///
    /// # Errors
    /// Those of reading them.
    pub fn look(&mut self, home: &Home) -> Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        if let Some((name, mark)) = &self.op.staged {
            // One that no content is known of is only flushed, whether it may be read or not.
            let opened = if mark.hash.is_some() { dir.open_file(name) } else { dir.open_to_flush(name) };
            self.staged = if_there(opened)?;
            self.is_whole = match &self.staged {
                Some(file) => is_whole(file, mark, home.copied)?,
                None => false,
            };
        }
        let linked = self.staged().map(Dir::stat_file).transpose().named("fstat")?;
        let found = dir.stat(&self.op.name).named("stat")?;
        self.target = see(dir, self.op, home, linked.map(|(_, version)| version.id), found.as_ref())?;
        self.found = found.map(|found| found.version.id);
        Ok(())
    }

    /// As the decisions need it.
    pub fn seen(&self) -> (Option<bool>, Seen) {
        (self.op.staged.is_some().then_some(self.is_whole), self.target)
    }

    /// Which file has its name.
    pub fn found(&self) -> &Option<FileId> {
        &self.found
    }

    /// Whether there is a staged file, whole or not.
    pub fn has_staged(&self) -> bool {
        self.staged.is_some()
    }

    /// The staged file, open, if it is whole.
    pub fn staged(&self) -> Option<&File> {
        self.staged.as_ref().filter(|_| self.is_whole)
    }
}

fn is_gone(error: &Error) -> bool {
    let gone = [sys::ENOENT, sys::ENOTDIR, sys::ELOOP];
    error.errno_of("open").is_some_and(|errno| gone.contains(&errno))
}

fn if_there(opened: io::Result<File>) -> Result<Option<File>> {
    match opened {
        Err(error) if matches!(error.raw_os_error(), Some(sys::ENOENT | sys::ELOOP)) => Ok(None),
        opened => opened.named("open").map(Some),
    }
}

fn hash_of(file: &File, version: &Version) -> Result<u128> {
    verify::digest(file, version.size, &Cancel::default()).map(|digest| digest.hash())
}

fn is_whole(file: &File, mark: &Mark, copied: bool) -> Result<bool> {
    let (kind, version) = Dir::stat_file(file).named("fstat")?;
    if kind != Kind::File || version.size != mark.size {
        return Ok(false);
    }
    match mark.hash {
        Some(hash) => Ok(leaves_out(Step::Checksum) || hash_of(file, &version)? == hash),
        None => Ok(copied || mark.inode == version.id.number()),
    }
}

/// Whether it is the file that was there before, and nothing was done to it.
fn is_unchanged(old: &OldMark, now: &Version) -> bool {
    (old.inode, old.size) == (now.id.number(), now.size)
        && (old.modified, old.changed) == (now.modified, now.changed)
}

/// `staged`: which file is staged, if it is there and whole. `stat`: what has the name.
fn see(dir: &Directory, op: &Op, home: &Home, staged: Option<FileId>, stat: Option<&Stat>) -> Result<Seen> {
    let copied = home.copied;
    let Some(stat) = stat else {
        return Ok(match (&op.staged, &op.old) {
            (None, _) => Seen::New,
            (Some(_), None) => Seen::Old,
            (Some(_), Some(_)) => Seen::Other,
        });
    };
    if stat.kind != Kind::File {
        return Ok(Seen::Other);
    }
    let version = &stat.version;
    let number = version.id.number();
    let mut hash = None;
    let mut is_hash = |expected: u128| -> Result<bool> {
        let found = match hash {
            Some(found) => found,
            None => match if_there(dir.open_file(&op.name))? {
                Some(file) => *hash.insert(hash_of(&file, version)?),
                None => return Ok(false),
            },
        };
        Ok(found == expected)
    };
    if let Some((_, new)) = &op.staged
        && new.size == version.size
        && (copied || new.inode == number)
    {
        let says_the_same = |old: &OldMark| old.size == new.size && old.hash == new.hash;
        let is_new = match (new.hash, &staged) {
            (Some(hash), _) => is_hash(hash)?,
            // On an overlay of several file systems another file may have the same number.
            (None, Some(staged)) => *staged == version.id,
            (None, None) => !copied && !op.old.as_ref().is_some_and(|old| is_unchanged(old, version)),
        };
        if is_new && !(copied && op.old.as_ref().is_some_and(says_the_same)) {
            return Ok(Seen::New);
        }
    }
    let Some(old) = &op.old else { return Ok(Seen::Other) };
    if old.size != version.size {
        return Ok(Seen::Other);
    }
    // What was moved may be told as its new name is: on an overlay, when the old one has been forgotten (`Item::link`).
    let is_moved = op.staged.is_none() && home.moved.contains(&number);
    // Another name or mode is a change of the file, but not of what it says.
    let is_same_file = old.modified == version.modified && (copied || old.inode == number || is_moved);
    // In a copy that kept the times a file that was moved may look like the one that it has replaced.
    let is_untouched = is_same_file && !copied && old.changed == version.changed;
    let says_the_same = |is_hash: &mut dyn FnMut(u128) -> Result<bool>| old.hash.map(is_hash).transpose();
    let is_old = is_untouched
        || match says_the_same(&mut is_hash)? {
            // A removal uses up no staged file: one that comes back would remove a file that was made again with the same bytes.
            Some(true) => is_same_file || copied || op.staged.is_some(),
            Some(false) => false,
            None => is_same_file,
        };
    Ok(if is_old { Seen::Old } else { Seen::Other })
}
