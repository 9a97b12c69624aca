//! A JSON index that any number of processes change at once: read it, make the next version, and
//! replace exactly the version that was read.
//!
//! Two operations are all that the code above needs to know of the storage: [`IndexFile::read`] and
//! [`IndexFile::replace`], which refuses when the version is not the expected one any more. A store
//! with conditional writes could stand here in the place of the file and its lock.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::cancel::Cancel;
use crate::dir::target::{Resolve, Target};
use crate::error::{Error, ErrorKind, Named, Result};
use crate::index::{cache, json};
use crate::lock::sidecar::Lock;
use crate::process::buffer_pool::room;
use crate::process::deferred_close;
use crate::process::queue::{CallId, Turn};
use crate::sys::{self, Dir, Kind, Version};
use crate::write::commit::{self, Options, Receipt};
use crate::write::staged;
use crate::write::verify::{self, Content, Level};

/// Of an index this large one text at a time is enough.
const LARGE: usize = 16 << 20;

/// An index that is ours alone until this is dropped.
#[derive(Debug)]
pub struct IndexFile {
    // Dropped in this order: who gets the turn next finds the lock free.
    _lock: Lock,
    turn: Turn,
    target: Target,
}

/// One version of an index.
#[derive(Debug)]
pub struct Snapshot {
    /// JSON, checked; empty if it was forgotten.
    pub text: String,
    /// Whether the text is plain ASCII, which some can take without decoding it.
    pub ascii: bool,
    version: Version,
    file: File,
}

/// How an index is replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdateOptions {
    /// As for any file; `exclusive` and `if_changed` mean nothing here.
    pub commit: Options,
    /// Where to keep the version before.
    pub backup: Option<PathBuf>,
    /// Make missing directories for the backup.
    pub mkdir: bool,
}

impl IndexFile {
    /// For who has both the turn and the lock.
    pub fn new(lock: Lock, turn: Turn, target: Target) -> Self {
        Self { _lock: lock, turn, target }
    }

    /// For who has the turn in this process: the lock among processes, if it is free.
    ///
    /// # Errors
    /// Those of [`Lock::try_acquire`].
    pub fn try_open(target: Target, turn: Turn) -> Result<Opening> {
        match Lock::try_acquire_or_busy(&target)? {
            Some(lock) => Ok(Opening::Open(Self::new(lock, turn, target))),
            None => Ok(Opening::Busy(target, turn)),
        }
    }

    /// Has the next call in this process's line go along, if it is `wanted`: its change is made with
    /// this one's, and the line goes on behind it.
    pub fn take_follower(&self, wanted: impl Fn(CallId) -> bool) -> Option<CallId> {
        self.turn.take_follower(wanted)
    }

    /// The version that is there now, or `None` without a file.
    ///
    /// # Errors
    /// [`ErrorKind::CorruptIndex`]; `EISDIR`, [`ErrorKind::NotRegular`]; a failed open or read.
    pub fn read(&self) -> Result<Option<Snapshot>> {
        if self.target.existing()?.is_none() {
            return Ok(None);
        }
        let mut file = match self.target.dir.open_file(&self.target.name) {
            Err(error) if error.raw_os_error() == Some(sys::ENOENT) => return Ok(None),
            opened => opened.named("open")?,
        };
        let (kind, version) = Dir::stat_file(&file).named("fstat")?;
        if kind != Kind::File {
            return Err(ErrorKind::NotRegular { what: "not the file that it was a moment ago" }.into());
        }
        let text = match cache::take(&self.target.key(), &file) {
            Some(text) => text,
            None => {
                let mut bytes = room(usize::try_from(version.size).unwrap_or(0) + 1);
                file.read_to_end(&mut bytes).named("read")?;
                json::check_index(bytes)?
            }
        };
        Ok(Some(Snapshot { ascii: text.is_ascii(), text, version, file }))
    }

    /// Writes `text`, which must be JSON, in the place of `expected`. `None`: somebody without the
    /// lock has changed the file since; nothing was written. What was written is kept for the next
    /// update, and `text` and `expected` are empty then.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidJson`]; those of [`commit::replace`].
    pub fn replace(
        &self,
        text: &mut Vec<u8>,
        expected: &mut Option<Snapshot>,
        options: &UpdateOptions,
        cancel: &Cancel,
    ) -> Result<Option<Receipt>> {
        json::check_text(text)?;
        let version = expected.as_ref().map(|snapshot| &snapshot.version);
        if let Some(old) = &*expected
            && old.version.size == text.len() as u64
            && old.holds(text, cancel)?
        {
            match self.target.existing()? {
                Some(now) if now.version.has_content_of(&old.version) => {}
                _ => return Ok(None),
            }
            return commit::confirm(
                &self.target,
                &old.file,
                text.len() as u64,
                &options.commit,
                Level::Cache,
            )
            .map(Some);
        }
        let mut before = || match (&*expected, &options.backup) {
            (Some(old), Some(path)) => {
                self.back_up(old, path, options, cancel).map_err(|error| error.about(path))
            }
            _ => Ok(()),
        };
        let mut state = None;
        let mut after = |file: &File| state = cache::State::of(file);
        let receipt =
            commit::replace(&self.target, text, &options.commit, cancel, version, &mut before, &mut after)?;
        if receipt.is_some()
            && let Some(old) = expected.take()
        {
            deferred_close::close(old.file);
        }
        if receipt.is_some()
            && let Some(state) = state
            && let Ok(text) = String::from_utf8(std::mem::take(text))
        {
            cache::keep(self.target.key(), state, text);
        }
        Ok(receipt)
    }

    /// The old version is still an inode: a link keeps it, however large it is. Where that is not
    /// possible (another file system, somebody else's file) its text is written once more.
    fn back_up(&self, old: &Snapshot, path: &Path, options: &UpdateOptions, cancel: &Cancel) -> Result<()> {
        let backup = Target::resolve(path, Resolve { mkdir: options.mkdir, exclusive: false })?;
        if backup.key() == self.target.key() {
            return Err(Error::raw("link", sys::EINVAL));
        }
        match backup.existing()? {
            // From an update that was cut short. Renaming one name of a file over another does nothing.
            Some(there) if there.version.id == old.version.id => return Ok(()),
            _ => {}
        }
        // A sweeper must not take the link for an orphan while it has its temp name. Somebody else's
        // lock on the index does as well.
        sys::hold(&old.file);
        let linked = staged::link_over(&self.target, &backup, options.commit.flush.then_some(&old.file));
        sys::release(&old.file);
        match linked {
            Ok(()) if options.commit.flush && backup.dir.id() != self.target.dir.id() => {
                backup.dir.sync()?;
                Ok(())
            }
            Err(error) if staged::cannot_link(&error) => {
                let mode = self.target.existing()?.map(|stat| stat.access.mode);
                let copy = Options { mode, exclusive: false, if_changed: false, ..options.commit.clone() };
                commit::write(&backup, &old.bytes()?, &copy, cancel).map(drop)
            }
            linked => linked,
        }
    }
}

impl Snapshot {
    /// Lets go of the text, if it is a large one: it can be compared with the file as well.
    pub fn forget(&mut self) {
        if self.text.len() >= LARGE {
            self.text = String::new();
        }
    }

    /// Whether its bytes are these.
    fn holds(&self, text: &[u8], cancel: &Cancel) -> Result<bool> {
        if !self.text.is_empty() {
            return Ok(self.text.as_bytes() == text);
        }
        match verify::verify(&self.file, Content::Bytes(text), Level::Cache, cancel) {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::Verify { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// All of its bytes.
    fn bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = room(usize::try_from(self.version.size).unwrap_or(0));
        bytes.resize(bytes.capacity(), 0);
        let mut got = 0;
        loop {
            match sys::read_at(&self.file, &mut bytes[got..], got as u64).named("read")? {
                0 => break,
                more => got += more,
            }
        }
        bytes.truncate(got);
        Ok(bytes)
    }
}

/// What came of a try to open an index.
#[derive(Debug)]
pub enum Opening {
    /// It is ours.
    Open(IndexFile),
    /// Somebody else has the lock.
    Busy(Target, Turn),
}
