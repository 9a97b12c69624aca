//! A directory below which transactions run, and what they keep there: `.atomic`, with a journal and locks.

use std::collections::HashMap;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use crate::dir::place::moved;
use crate::dir::{Directory, names};
use crate::error::{Error, ErrorKind, Named, Result};
use crate::lock::sidecar::not_locked;
use crate::mutant::{Step, leaves_out};
use crate::process::lock;
use crate::sys::{self, Dir, FileId};
use crate::transaction::journal::{
    Content, HEAD_LENGTH, LENGTH, RECORD_AT, Record, STATE_LENGTH, State, Tag,
};
use crate::write::verify::read_fully;

/// What transactions keep in their root.
pub const FOLDER: &str = ".atomic";
const JOURNAL: &str = "journal";
const LOCK: &str = "lock";
const TURN: &str = "turn";
/// What version control is to ignore: all of it.
const IGNORE: (&str, &[u8]) = (".gitignore", b"*\n");
const LIVE: &str = ".live";

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
            Err(_) => (folder.open_file(JOURNAL.as_ref()).named("open")?, false),
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
            is_writable,
        }))
    }

    fn make(dir: &Arc<Directory>) -> Result<Self> {
        let about = |error: Error| match dir.path() {
            Ok(path) => error.about(path.join(FOLDER)),
            Err(_) => error,
        };
        Self::try_make(dir).map_err(about)
    }

    fn try_make(dir: &Arc<Directory>) -> Result<Self> {
        let mode = dir.stat_self().named("fstat")?.access.mode & 0o777;
        let is_new = match dir.make_dir_with(FOLDER.as_ref(), 0o700) {
            Ok(()) => true,
            Err(error) if error.raw_os_error() == Some(sys::EEXIST) => false,
            Err(error) => return Err(error).named("mkdir"),
        };
        let folder = Self::open_folder(dir).named("open")?;
        if is_new {
            // As far as the file system permits.
            drop(sys::set_mode(&folder.as_file().named("open")?, mode, &|_, _| true));
        }
        // All who may change the directory take part, and all who may read it read the journal.
        let writers =
            0o600 | if mode & 0o020 != 0 { 0o060 } else { 0 } | if mode & 0o002 != 0 { 0o006 } else { 0 };
        let file = |name: &str, mode, content: &[u8]| match folder.create_new(name.as_ref(), 0o600) {
            Ok(mut file) => {
                drop(sys::set_mode(&file, mode, &|_, _| true));
                file.write_all(content)
            }
            Err(error) if error.raw_os_error() == Some(sys::EEXIST) => Ok(()),
            Err(error) => Err(error),
        };
        file(LOCK, writers, b"").named("open")?;
        file(TURN, writers, b"").named("open")?;
        file(IGNORE.0, writers | mode & 0o044, IGNORE.1).named("open")?;
        Self::make_journal(&folder, writers | mode & 0o044)?;
        Self::with(dir, folder)?.ok_or_else(moved)
    }

    fn make_journal(folder: &Dir, mode: u32) -> Result<()> {
        let temp = |name: &OsStr| folder.create_new(name, 0o600);
        let (name, mut file) = names::with_temp_name(JOURNAL.as_ref(), temp).named("open")?;
        let mut fill = || {
            sys::hold(&file);
            drop(sys::set_mode(&file, mode, &|_, _| true));
            // Zeros that are written: no metadata changes with a record, whose flush is then one of data alone.
            let mut content = vec![0; LENGTH];
            content[..STATE_LENGTH].copy_from_slice(&State { root: new_tag(), ..State::default() }.encode());
            file.write_all(&content).named("write")?;
            sys::sync_file(&file).named("fsync")
        };
        let named = fill().and_then(|_| match folder.rename_new(&name, JOURNAL.as_ref()) {
            Ok(true) => Ok(()),
            // Without a step that refuses a taken name there may be two makers at once: the last journal counts, and
            // neither has a record yet.
            Ok(false) => folder.rename(&name, folder, JOURNAL.as_ref()).named("rename"),
            Err(error) if error.raw_os_error() == Some(sys::EEXIST) => Ok(()),
            Err(error) => Err(error).named("rename"),
        });
        // It may be the name of nothing by now.
        drop(folder.unlink(&name));
        named
    }

    /// Whoever made the folder may not have come to flushing it. Once in the life of this process.
    fn confirm(&self) -> Result<()> {
        static CONFIRMED: Mutex<Option<HashSet<FileId>>> = Mutex::new(None);
        if lock(&CONFIRMED).get_or_insert_default().contains(&self.folder_id) {
            return Ok(());
        }
        self.folder.sync().named("fsync")?;
        self.dir.sync()?;
        lock(&CONFIRMED).get_or_insert_default().insert(self.folder_id.clone());
        Ok(())
    }

    /// What tells the root from a copy of it.
    pub fn home(&self) -> (u64, u64) {
        (self.dir.file_system_number(), self.dir.id().number())
    }

    /// What names of this root's files have in common.
    ///
    /// # Errors
    /// Those of [`Root::read`].
    pub fn tag(&self) -> Result<Tag> {
        match self.tag.get() {
            Some(tag) => Ok(*tag),
            None => self.read().map(|journal| *self.tag.get_or_init(|| journal.state.root)),
        }
    }

    /// What the journal says now.
    ///
    /// # Errors
    /// [`ErrorKind::Journal`] if it is of another version; a failed read.
    pub fn read(&self) -> Result<Journal> {
        let foreign =
            || Error::from(ErrorKind::Journal { what: "another version of this package has written it" });
        let mut block = [0; STATE_LENGTH];
        let got = read_fully(&self.journal, &mut block, 0)?;
        let state = State::decode(&block[..got]);
        let mut bytes = vec![0; HEAD_LENGTH];
        let got = read_fully(&self.journal, &mut bytes, RECORD_AT)?;
        bytes.truncate(got);
        if let Some(length) = Record::payload_length(&bytes) {
            bytes.resize(HEAD_LENGTH + length, 0);
            let got = read_fully(&self.journal, &mut bytes[HEAD_LENGTH..], RECORD_AT + HEAD_LENGTH as u64)?;
            bytes.truncate(HEAD_LENGTH + got);
        }
        let record = match Record::decode(&bytes) {
            Content::Foreign => return Err(foreign()),
            Content::Whole(record) => Some(record),
            Content::None => None,
        };
        let state = match state {
            Content::Foreign => return Err(foreign()),
            Content::Whole(state) => state,
            // It was not written to its end: what it said can be found out again.
            Content::None => {
                State { root: record.as_ref().and_then(tag_of).unwrap_or_else(new_tag), ..State::default() }
            }
        };
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
    /// A failed write; [`ErrorKind::Journal`] if it is too long.
    pub fn write_record(&self, record: &Record) -> Result<()> {
        let too_long = || {
            Error::from(ErrorKind::Journal {
                what: "the transaction has more files or longer names than a record takes",
            })
        };
        self.write_at(RECORD_AT, &record.encode().ok_or_else(too_long)?)
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
        self.journal.sync_data().named("fdatasync").map_err(|error| self.about(error))
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
        self.folder.sync().named("fsync")?;
        Ok(self.path.join(FOLDER).join(name))
    }

    /// The root's lock, if it is free.
    ///
    /// # Errors
    /// [`ErrorKind::NoLocks`]; those of open(2); `ENOENT` if `.atomic` was removed.
    pub fn try_lock(&self) -> Result<Option<RootLock>> {
        if leaves_out(Step::RootLock) {
            return Ok(Some(RootLock(None)));
        }
        // Whoever waits for the lock has the turn: so the process that had it last does not come first again.
        let turn = self.open_lock(TURN)?;
        if !tried(turn.try_lock())? {
            return Ok(None);
        }
        let file = self.open_lock(LOCK)?;
        let is_ours = tried(file.try_lock())?;
        drop(turn.unlock());
        if is_ours { self.locked(file).map(Some) } else { Ok(None) }
    }

    /// The root's lock, as soon as it is free: this thread waits.
    ///
    /// # Errors
    /// Those of [`Root::try_lock`].
    pub fn lock(&self) -> Result<RootLock> {
        if leaves_out(Step::RootLock) {
            return Ok(RootLock(None));
        }
        let turn = self.open_lock(TURN)?;
        turn.lock().map_err(not_locked)?;
        let file = self.open_lock(LOCK)?;
        let locked = file.lock().map_err(not_locked);
        drop(turn.unlock());
        locked?;
        self.locked(file)
    }

    /// Whether a transaction or a recovery is at work; `None`: this user may not ask.
    pub fn is_locked(&self) -> Option<bool> {
        let file = self.folder.open_file(LOCK.as_ref()).ok()?;
        match file.try_lock_shared() {
            Ok(()) => {
                drop(file.unlock());
                Some(false)
            }
            Err(TryLockError::WouldBlock) => Some(true),
            Err(TryLockError::Error(_)) => None,
        }
    }

    fn locked(&self, file: File) -> Result<RootLock> {
        let lock = RootLock(Some(file));
        let here = self.dir.stat(FOLDER.as_ref()).named("stat")?;
        // Another lock counts when the folder was made anew.
        if here.is_some_and(|here| here.version.id == self.folder_id) { Ok(lock) } else { Err(moved()) }
    }

    fn open_lock(&self, name: &str) -> Result<File> {
        let opened = match self.folder.open_to_overwrite(name.as_ref()) {
            // Reading is enough for a lock.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.folder.open_file(name.as_ref())
            }
            opened => opened,
        };
        opened.named("open").map_err(|error| error.about(self.path.join(FOLDER).join(name)))
    }

    /// What this process puts into the names of the files that it stages here. As long as it lives, nobody sweeps them.
    ///
    /// # Errors
    /// Those of making a file.
    pub fn process_tag(&self) -> Result<String> {
        static TAGS: Mutex<Option<HashMap<FileId, (String, File)>>> = Mutex::new(None);
        let mut tags = lock(&TAGS);
        let tags = tags.get_or_insert_default();
        if let Some((tag, file)) = tags.get(&self.folder_id)
            && self.folder.is_same(format!("{tag}{LIVE}").as_ref(), file).unwrap_or(false)
        {
            return Ok(tag.clone());
        }
        loop {
            let tag = String::from_utf8_lossy(&new_tag()).into_owned();
            let name = format!("{tag}{LIVE}");
            let file = match self.folder.create_new(name.as_ref(), 0o600) {
                Err(error) if error.raw_os_error() == Some(sys::EEXIST) => continue,
                made => made.named("open").map_err(|error| self.about(error))?,
            };
            // A sweeper may have found it before it was locked.
            if tried(file.try_lock())? && self.folder.is_same(name.as_ref(), &file).named("stat")? {
                tags.insert(self.folder_id.clone(), (tag.clone(), file));
                return Ok(tag);
            }
        }
    }

    /// Whether the process with this tag lives. When in doubt, it does.
    pub fn is_alive(&self, tag: &str) -> bool {
        match self.folder.open_orphan(format!("{tag}{LIVE}").as_ref()) {
            Ok(orphan) => orphan.is_none(),
            Err(error) => error.raw_os_error() != Some(sys::ENOENT),
        }
    }

    /// Removes what dead processes have left in `.atomic`. The caller has the lock.
    pub fn sweep(&self) {
        let Ok(entries) = self.folder.names() else { return };
        for name in entries {
            let tag = name.to_str().and_then(|name| name.strip_suffix(LIVE));
            if tag.is_some_and(|tag| !self.is_alive(tag)) || names::is_temp(&name) {
                drop(self.folder.unlink(&name));
            }
        }
    }

    /// The directory at this place below the root, by no link and no mount.
    ///
    /// # Errors
    /// Those of open(2); `ELOOP`, `EXDEV`.
    pub fn directory(&self, below: &Path) -> Result<Arc<Directory>> {
        Directory::open_own(&self.dir, below).named("open")
    }
}

/// The lock, held until it is dropped.
#[derive(Debug)]
pub struct RootLock(Option<File>);

impl Drop for RootLock {
    fn drop(&mut self) {
        // Closing would do, but for a child process that was forked just now and has a copy.
        drop(self.0.as_ref().map(File::unlock));
    }
}

fn tried(locked: std::result::Result<(), TryLockError>) -> Result<bool> {
    match locked {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(not_locked(error)),
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

/// Whether it is no failure, but no folder.
fn is_none(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(sys::ENOENT | sys::ENOTDIR | sys::ELOOP | sys::EXDEV))
}
