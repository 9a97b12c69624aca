//! A directory below which transactions run, and what they keep there: `.atomic`, with a journal and locks.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use crate::dir::{Directory, names};
use crate::error::{Error, ErrorKind, Named, Result};
use crate::mutant::{Step, leaves_out};
use crate::process;
use crate::process::flush;
use crate::sys::{self, Dir, FileId};
use crate::transaction::journal::{Content, HEAD_LENGTH, RECORD_AT, Record, State, Tag};
use crate::write::verify::read_fully;

mod live;
mod lock;
mod make;

pub use live::is_mark;
pub use lock::{RootLock, RootWait};

/// What transactions keep in their root.
pub const FOLDER: &str = ".atomic";
pub const JOURNAL: &str = "journal";
const LOCK: &str = "lock";
const TURN: &str = "turn";
/// What version control is to ignore: all of it.
const IGNORE: (&str, &[u8]) = (".gitignore", b"*\n");
const LIVE: &str = ".live";
/// So much of a journal is read at once: the state, and nearly every record.
const FIRST_READ: usize = 2 * RECORD_AT as usize;

/// A root that has a journal.
#[derive(Debug)]
pub struct Root {
    /// The directory.
    pub dir: Arc<Directory>,
    /// Where it is, links resolved.
    pub path: PathBuf,
    folder: Dir,
    folder_id: FileId,
    journal: File,
    tag: OnceLock<Tag>,
    home: OnceLock<(u64, u64)>,
    /// It may be written to.
    pub is_writable: bool,
}

/// What a journal says.
#[derive(Clone, Debug)]
pub struct Journal {
    /// How far transactions have come.
    pub state: State,
    /// The last one, if its record counts.
    pub record: Option<Record>,
}

impl Journal {
    /// The transaction that is not known to be complete: a live one, or one to be recovered.
    pub fn pending(&self) -> Option<&Record> {
        self.record.as_ref().filter(|record| record.txid > self.state.finished)
    }

    /// The number of the next transaction.
    pub fn next(&self) -> u64 {
        let State { finished, applied, .. } = self.state;
        finished.max(applied).max(self.record.as_ref().map_or(0, |record| record.txid)) + 1
    }
}

impl Root {
    /// The root `dir`, if transactions have run there.
    ///
    /// # Errors
    /// [`ErrorKind::Journal`] if other users than those who may change the directory have made it; those of open(2).
    pub fn open(dir: &Arc<Directory>) -> Result<Option<Self>> {
        match Self::open_folder(dir) {
            Ok(folder) => Self::with(dir, folder),
            Err(error) if is_none(&error) => Ok(None),
            Err(error) => Err(error).named("open"),
        }
    }

    /// The root `dir`, made ready for transactions if it is not.
    ///
    /// # Errors
    /// Those of [`Root::open`]; those of making directories and files.
    pub fn open_or_make(dir: &Arc<Directory>) -> Result<Self> {
        let root = match Self::open(dir)? {
            Some(root) => root,
            None => Self::make(dir)?,
        };
        root.confirm()?;
        Ok(root)
    }

    fn open_folder(dir: &Directory) -> io::Result<Dir> {
        dir.open_own_child(FOLDER.as_ref())
    }

    fn with(dir: &Arc<Directory>, folder: Dir) -> Result<Option<Self>> {
        let (own, around) = (folder.stat_self().named("fstat")?, dir.stat_self().named("fstat")?);
        let (journal, is_writable) = match folder.open_to_overwrite(JOURNAL.as_ref()) {
            Ok(journal) => (journal, true),
            Err(error) if error.raw_os_error() == Some(sys::ENOENT) => return Ok(None),
            Err(error) if is_refused(&error) => (folder.open_file(JOURNAL.as_ref()).named("open")?, false),
            Err(error) => return Err(error).named("open"),
        };
        let is_trusted = own.access.is_as_trusted_as(&around.access)
            && sys::access_of(&journal).named("fstat")?.is_as_trusted_as(&around.access);
        if !is_trusted {
            return Err(ErrorKind::Journal {
                what: "it belongs to a user who may not change this directory",
            }
            .into());
        }
        let path = dir.path().named("readlink")?;
        let folder_id = folder.id().named("fstat")?;
        Ok(Some(Self {
            dir: dir.clone(),
            path,
            folder,
            folder_id,
            journal,
            tag: OnceLock::new(),
            home: OnceLock::new(),
            is_writable,
        }))
    }

    /// Whoever made the folder may not have come to flushing it. Once in the life of this process.
    fn confirm(&self) -> Result<()> {
        static CONFIRMED: Mutex<Option<HashSet<FileId>>> = Mutex::new(None);
        if process::lock(&CONFIRMED).get_or_insert_default().contains(&self.folder_id) {
            return Ok(());
        }
        flush::directory(&self.folder).named("fsync")?;
        self.dir.sync()?;
        process::lock(&CONFIRMED).get_or_insert_default().insert(self.folder_id.clone());
        Ok(())
    }

    /// # Errors
    /// [`ErrorKind::Journal`] if there are users who may write to the journal, or put another one in its place, and may not change the
    /// directory `dir`: this process is not to do it for them.
    pub fn check_rights(&self, dir: &Directory) -> Result<()> {
        let dir = dir.stat_self().named("fstat")?.access;
        let writers =
            [sys::access_of(&self.journal).named("fstat")?, self.dir.stat_self().named("fstat")?.access];
        if writers.iter().all(|writers| dir.may_be_changed_by_all_of(writers)) {
            return Ok(());
        }
        let what = "a transaction of another user changes a directory that not all who may write the journal may change: \
                    have that user recover it";
        Err(ErrorKind::Journal { what }.into())
    }

    /// What tells the root from a copy of it.
    pub fn home(&self) -> (u64, u64) {
        *self.home.get_or_init(|| (sys::file_system_number(&self.journal), self.dir.id().number()))
    }

    /// Where a directory is below the root, as a path without links.
    ///
    /// # Errors
    /// [`ErrorKind::OutsideRoot`].
    pub fn place_of(&self, dir: &Directory) -> Result<PathBuf> {
        let path = dir.path().named("readlink")?;
        Ok(path.strip_prefix(&self.path).map_err(|_| ErrorKind::OutsideRoot)?.to_owned())
    }

    /// What names of this root's files have in common.
    ///
    /// # Errors
    /// Those of [`Root::read`].
    pub fn tag(&self) -> Result<Tag> {
        match self.tag.get() {
            Some(tag) => Ok(*tag),
            None => self.read().map(|journal| *self.tag.get().unwrap_or(&journal.state.root)),
        }
    }

    /// What the journal says now.
    ///
    /// # Errors
    /// [`ErrorKind::Journal`] if it is of another version; a failed read.
    pub fn read(&self) -> Result<Journal> {
        let foreign = || {
            Error::from(ErrorKind::Journal {
                what: "another version of this package has written it: use that one",
            })
        };
        let mut bytes = vec![0; FIRST_READ];
        let mut got = read_fully(&self.journal, &mut bytes, 0)?;
        let length = bytes[..got].get(RECORD_AT as usize..).and_then(Record::payload_length);
        if let Some(end) = length.map(|length| RECORD_AT as usize + HEAD_LENGTH + length)
            && got == FIRST_READ
            && got < end
        {
            bytes.resize(end, 0);
            got += read_fully(&self.journal, &mut bytes[FIRST_READ..], FIRST_READ as u64)?;
        }
        let (state, record) = bytes[..got].split_at(got.min(RECORD_AT as usize));
        let record = match Record::decode(record) {
            Content::Foreign => return Err(foreign()),
            Content::Whole(record) => Some(record),
            Content::None => None,
        };
        let state = match State::decode(state) {
            Content::Foreign => return Err(foreign()),
            Content::Whole(state) => state,
            // It was not written to its end: what it said can be found out again.
            Content::None => {
                let root = || *self.tag.get_or_init(new_tag);
                State { root: record.as_ref().and_then(tag_of).unwrap_or_else(root), ..State::default() }
            }
        };
        self.tag.get_or_init(|| state.root);
        Ok(Journal { state, record })
    }

    /// Writes how far transactions have come; it is on disk with the next [flush](Root::flush).
    ///
    /// # Errors
    /// A failed write.
    pub fn write_state(&self, state: &State) -> Result<()> {
        self.write_at(0, &state.encode())
    }

    /// Writes a record in the place of the last one.
    ///
    /// # Errors
    /// A failed write; [`ErrorKind::TooLarge`].
    pub fn write_record(&self, record: &Record) -> Result<()> {
        self.write_at(RECORD_AT, &record.encode().ok_or(ErrorKind::TooLarge)?)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut journal = &self.journal;
        journal.seek(SeekFrom::Start(offset)).named("lseek")?;
        journal.write_all(bytes).named("write").map_err(|error| self.about(error))
    }

    /// Has the journal on disk.
    ///
    /// # Errors
    /// A failed fdatasync(2).
    pub fn flush(&self) -> Result<()> {
        if leaves_out(Step::RecordSync) {
            return Ok(());
        }
        flush::data(&self.journal).named("fdatasync").map_err(|error| self.about(error))
    }

    fn about(&self, error: Error) -> Error {
        error.about(self.path.join(FOLDER).join(JOURNAL))
    }

    /// Puts a journal aside that cannot be read, and begins a new one. The caller has the lock.
    ///
    /// # Errors
    /// Those of rename(2), and of making a file.
    pub fn give_up_journal(&self) -> Result<PathBuf> {
        let aside = |name: &OsStr| self.folder.rename_new(JOURNAL.as_ref(), name);
        let (name, _) = names::with_lost_name(JOURNAL.as_ref(), aside).named("rename")?;
        let mode = self.dir.stat_self().named("fstat")?.access.mode;
        Self::make_journal(&self.folder, 0o600 | mode & 0o066)?;
        flush::directory(&self.folder).named("fsync")?;
        Ok(self.path.join(FOLDER).join(name))
    }

    /// The directory at this place below the root, by no link and no mount.
    ///
    /// # Errors
    /// Those of open(2); `ELOOP`, `EXDEV`.
    pub fn directory(&self, below: &Path) -> Result<Arc<Directory>> {
        Directory::open_own(&self.dir, below).named("open")
    }
}

fn new_tag() -> Tag {
    std::array::from_fn(|_| u8::try_from(fastrand::alphanumeric()).unwrap_or(b'a'))
}

/// The root's characters, by the name of a file that a transaction has staged.
fn tag_of(record: &Record) -> Option<Tag> {
    let staged = record.ops.iter().find_map(|op| op.staged.as_ref())?;
    names::transaction(&staged.0)?.0.as_bytes().try_into().ok()
}

/// Whether it may be read all the same: by another user, on a mount that is read-only.
fn is_refused(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Whether it is no failure, but no folder.
fn is_none(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(sys::ENOENT | sys::ENOTDIR | sys::ELOOP | sys::EXDEV))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::transaction::journal::Op;

    #[test]
    fn a_record_is_read_whole_however_long_and_without_what_a_longer_one_has_left() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open_or_make(&Directory::open(None, dir.path(), false).unwrap()).unwrap();
        let op = Op { dir: "a".into(), name: "b".into(), staged: None, is_index: false, old: None };
        // The second one alone ends in what is read at first; the third is longer than a new journal.
        for ops in [100, 1, 1000, 40] {
            let record = Record { txid: ops, home: (1, 2), ops: vec![op.clone(); ops as usize] };
            root.write_record(&record).unwrap();
            assert_eq!(root.read().unwrap().record, Some(record));
        }
    }
}
