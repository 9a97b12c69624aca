//! A JSON index that any number of processes change at once: read it, make the next version, and
//! replace exactly the version that was read.
//!
//! Two operations are all that the code above needs to know of the storage: [`IndexFile::read`] and
//! [`IndexFile::replace`], which refuses when the version is not the expected one any more. A store
//! with conditional writes could stand here in the place of the file and its lock.

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use crate::cancel::Cancel;
use crate::dir::Target;
use crate::dir::place::moved;
use crate::error::{Advice, Error, ErrorKind, Named, Result};
use crate::index::cache::Kept;
use crate::index::document::Tables;
use crate::index::format::Format;
pub use crate::index::options::{BackupOptions, Numbers, UpdateOptions};
use crate::index::replacement::Replacement;
pub use crate::index::snapshot::Snapshot;
use crate::index::source::Source;
use crate::index::text::Text;
use crate::index::{cache, json};
use crate::lock::index_lock::{FileLock, IndexLock};
use crate::process::{Key, Turn, deferred_close, room_to_read};
use crate::sys::{self, Dir, Kind, Stat};
use crate::write::committing::Committing;
use crate::write::{Level, Settled, unchanged};

/// An index that is locked until this is dropped.
#[derive(Debug)]
pub struct IndexFile {
    // Dropped in this order: the call on a lock that gets its turn next finds the index its own.
    held: Arc<Held>,
    /// The turn among the calls on a lock that outlives them.
    line: Option<Turn>,
}

/// What keeps an index from other calls.
#[derive(Debug)]
struct Held {
    // Dropped in this order: the call that gets the turn next finds the lock free.
    lock: IndexLock,
    /// Two files may have one: see [`Key::File`].
    turn: Arc<Turn>,
    target: Target,
}

impl IndexFile {
    /// For a call that has both the turn and the lock.
    pub fn new(lock: IndexLock, turn: impl Into<Arc<Turn>>, target: Target) -> Self {
        Self { held: Arc::new(Held { lock, turn: turn.into(), target }), line: None }
    }

    /// The same index, for a call whose turn it is among those on the lock.
    pub fn lend(&self, line: Turn) -> Self {
        Self { held: self.held.clone(), line: Some(line) }
    }

    /// Whether the lock outlives the call.
    pub fn is_lent(&self) -> bool {
        self.line.is_some()
    }

    /// For a call that has the turn in this process: takes the lock among processes, if it is free.
    ///
    /// # Errors
    /// Those of [`IndexLock::try_acquire`].
    pub fn try_open(target: Target, turn: Turn, own: FileLock) -> Result<Opening> {
        match IndexLock::try_acquire_or_busy(&target, own)? {
            Some(lock) => Ok(Opening::Open(Self::new(lock, turn, target))),
            None => Ok(Opening::Busy(target, turn)),
        }
    }

    /// Which file it is.
    pub fn key(&self) -> &Key {
        self.held.turn.key()
    }

    /// What calls would wait for that are made while a function has the index.
    pub fn keys(&self) -> Arc<[Key]> {
        let line = self.line.as_ref().map(Turn::key);
        line.into_iter().chain([self.key()]).cloned().collect()
    }

    /// The name of the file in its directory.
    pub fn name(&self) -> &OsStr {
        &self.held.target.name
    }

    /// Whether its directory was replaced or moved.
    pub fn is_moved(&self) -> bool {
        self.held.target.is_moved()
    }

    /// # Errors
    /// `ENOENT`, if its directory was replaced or moved.
    pub fn check_place(&self) -> Result<()> {
        if self.is_moved() { Err(moved()) } else { Ok(()) }
    }

    /// Whether another program has removed or replaced the lock file, so that another call may have the index too.
    ///
    /// # Errors
    /// [`ErrorKind::LockLost`], if the lock outlives the call: what its caller has read counts for nothing; those of
    /// [`IndexFile::check_place`] and of stat(2).
    pub(super) fn has_lost_lock(&self) -> Result<bool> {
        match self.held.lock.is_lost()? {
            true if self.is_lent() => {
                let lost = Error::from(ErrorKind::LockLost).advise(Advice::TakeAgain);
                self.check_place().and(Err(lost))
            }
            is_lost => Ok(is_lost),
        }
    }

    /// Whether it is to be replaced still: it is the version that is expected, and locked.
    ///
    /// # Errors
    /// Those of [`IndexFile::has_lost_lock`].
    pub(super) fn is_still(&self, expected: Option<&Snapshot>) -> Result<bool> {
        Ok(is_version(self.held.target.existing()?.as_ref(), expected) && !self.has_lost_lock()?)
    }

    /// Whether a call of this index has failed as its name has become a symbolic link, which is to be followed.
    pub(super) fn is_linked(&self, error: &Error) -> bool {
        error.is_link() && !self.is_lent()
    }

    /// Lets the lock go, and keeps the turn; `None`: the lock outlives the call.
    pub(super) fn unlock(self) -> Option<Turn> {
        Arc::into_inner(Arc::into_inner(self.held)?.turn)
    }

    /// The turn of this call, behind which others of this process wait.
    pub fn turn(&self) -> &Turn {
        self.line.as_ref().unwrap_or(&self.held.turn)
    }

    /// The version that is there now, or `None` without a file.
    ///
    /// # Errors
    /// [`ErrorKind::TooLong`], [`ErrorKind::CorruptIndex`], [`ErrorKind::LossyIndex`]; `EISDIR`, [`ErrorKind::NotRegular`]; a failed open or
    /// read.
    pub fn read(&self, options: &UpdateOptions) -> Result<Option<Snapshot>> {
        read(&self.held.target, options)
    }

    /// Writes `text`, which must be one of its format, in the place of `expected` (`None`: no file), unless that says the same.
    /// Returns `None` if a program without the lock has changed the file since, or has removed the lock file; then nothing was written. A text that was written is kept for the
    /// next update, and `text` and `expected` are empty then.
    ///
    /// A change between the last look and the rename, without the turn and the lock, is not seen: rename(2)
    /// has no condition.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidJson`], [`ErrorKind::TooLong`], [`ErrorKind::LockLost`]; those of [`commit::write`](crate::write::commit::write) and of the backup.
    pub fn replace(
        &self,
        text: &mut Vec<u8>,
        expected: &mut Option<Snapshot>,
        options: &UpdateOptions,
        cancel: &Cancel,
    ) -> Result<Option<Settled>> {
        json::check_length(text, options.longest)?;
        options.format.check_made(text)?;
        self.replace_patched(text, &mut None, expected, options, cancel)
    }

    /// As [`IndexFile::replace`], of a text that a [`Document`](crate::index::document::Document) has made: of parts that are known to be JSON. What
    /// is known of it is kept too, and `tables` is empty then.
    ///
    /// # Errors
    /// As [`IndexFile::replace`].
    pub fn replace_patched(
        &self,
        text: &mut Vec<u8>,
        tables: &mut Option<Tables>,
        expected: &mut Option<Snapshot>,
        options: &UpdateOptions,
        cancel: &Cancel,
    ) -> Result<Option<Settled>> {
        json::check_length(text, options.longest)?;
        if let Some(old) = &*expected {
            let says = old.says(text, options, cancel);
            // What could not be compared may have been changed: then that is the answer.
            if !matches!(says, Ok(false)) && !is_version(self.held.target.existing()?.as_ref(), Some(old)) {
                return Ok(None);
            }
            if says? {
                let bytes = old.version.size;
                let target = &self.held.target;
                let receipt = old
                    .file
                    .with(|file| unchanged::confirm(target, file, bytes, &options.commit, Level::Cache))?;
                if (tables.is_some() || options.edition.is_some()) && *old.text.whole.as_bytes() == **text {
                    old.keep_unchanged(target.key(), text, tables.take(), options.edition);
                }
                return Ok(Some(Settled::new(receipt, !target.is_moved())));
            }
        }
        let publish = |_| {
            let _committing = Committing::begin(&self.held.target.key());
            let expected = expected.as_ref();
            Replacement { index: self, text, expected, options, cancel }.publish()
        };
        let Some((published, state)) = deferred_close::retry_when_full(publish)? else { return Ok(None) };
        let settled = published.settle()?;
        let old = expected.take();
        // What is kept is known to be JSON.
        if let (Some(state), Format::Json) = (state, options.format)
            && let Ok(text) = String::from_utf8(std::mem::take(text))
        {
            let checked = old.as_ref().and_then(|old| old.checked_after(&text, tables.as_ref()));
            let kept = Kept { text, tables: tables.take(), checked, edition: options.edition };
            cache::keep(self.held.target.key(), state, kept);
        }
        if let Some(file) = old.and_then(|old| old.file.into_handle()) {
            deferred_close::close(file);
        }
        Ok(Some(settled))
    }

    /// Its lock, among processes.
    pub(super) fn lock(&self) -> &IndexLock {
        &self.held.lock
    }

    /// Its directory and name.
    pub(crate) fn target(&self) -> &Target {
        &self.held.target
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.held.target.path()
    }
}

/// The version that is there now, or `None` without a file.
///
/// # Errors
/// [`ErrorKind::TooLong`], [`ErrorKind::CorruptIndex`], [`ErrorKind::LossyIndex`]; `EISDIR`, [`ErrorKind::NotRegular`]; a failed open or
/// read.
pub(crate) fn read(target: &Target, options: &UpdateOptions) -> Result<Option<Snapshot>> {
    if target.existing()?.is_none() {
        return Ok(None);
    }
    let mut file = match target.dir.open_file(&target.name) {
        Err(error) if error.raw_os_error() == Some(sys::ENOENT) => return Ok(None),
        opened => opened.named("open")?,
    };
    let (kind, version) = Dir::stat_file(&file).named("fstat")?;
    if kind != Kind::File {
        return Err(ErrorKind::NotRegular { what: "not the file that it was a moment ago" }.into());
    }
    let read = read_text(target, &mut file, version.size, options);
    let file = Source::new(target, file, &version);
    match read {
        Ok((text, checked)) => Ok(Some(Snapshot { text, checked, fault: None, version, file })),
        Err(error) if options.anyway && error.is_old_texts_fault() => {
            let text = Text::new(String::new(), false, options.format);
            Ok(Some(Snapshot { text, checked: None, fault: Some(Box::new(error)), version, file }))
        }
        Err(error) => Err(error),
    }
}

/// What the index says, and what is known of its numbers.
fn read_text(
    target: &Target,
    file: &mut File,
    size: u64,
    options: &UpdateOptions,
) -> Result<(Text, Option<Numbers>)> {
    json::check_size(size, options.longest)?;
    let Kept { text, tables, checked, edition } = match cache::take(&target.key(), file) {
        Some(kept) => kept,
        None => {
            let mut bytes = room_to_read(size)?;
            file.read_to_end(&mut bytes).named("read")?;
            json::check_length(&bytes, options.longest)?;
            Kept { text: options.format.check(bytes)?, tables: None, checked: None, edition: None }
        }
    };
    if options.format == Format::Other {
        return Ok((Text::new(text, false, Format::Other), None));
    }
    let is_checked = checked.is_some_and(|checked| checked.covers(options.numbers));
    let keeps_digits = !is_checked && json::check_numbers(&text, options.numbers)?;
    let has_none = options.numbers != Numbers::Lossy && !keeps_digits;
    let checked = if has_none && !is_checked { Some(options.numbers) } else { checked };
    Ok((Text { tables, edition, ..Text::new(text, keeps_digits, Format::Json) }, checked))
}

pub(super) fn is_version(found: Option<&Stat>, expected: Option<&Snapshot>) -> bool {
    match (found, expected) {
        (None, None) => true,
        (Some(found), Some(expected)) => found.version.has_content_of(&expected.version),
        _ => false,
    }
}

/// The outcome of an attempt to open an index.
#[derive(Debug)]
pub enum Opening {
    /// The lock is ours.
    Open(IndexFile),
    /// Another process has the lock.
    Busy(Target, Turn),
}
