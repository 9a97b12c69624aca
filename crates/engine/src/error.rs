//! What can go wrong, as the engine tells it: the operation that failed and the system's own
//! error, never a bare message. The N-API side turns it into the shape of `node:fs`.

mod advice;
mod kind;

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, io};

pub use advice::Advice;
pub use kind::*;

use crate::lines::Torn;
use crate::lock::holder::Timeout;
use crate::sys;

/// The engine's result.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed operation. Unless [`Error::committed`], the file is what it was before, byte for byte.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    about: Option<Box<Path>>,
    entry: Option<usize>,
    replaced: Option<usize>,
    committed: bool,
    advice: Option<Advice>,
    torn: Option<Box<Torn>>,
}

impl Error {
    /// A failed system call.
    pub fn system(operation: &'static str, source: io::Error) -> Self {
        // The standard library gives no number to its own failed allocations.
        if source.kind() == io::ErrorKind::OutOfMemory && source.raw_os_error().is_none() {
            return Self::no_memory();
        }
        ErrorKind::System { operation, source, dest: None }.into()
    }

    /// A system error of our own making, by its number.
    pub fn raw(operation: &'static str, errno: i32) -> Self {
        Self::system(operation, io::Error::from_raw_os_error(errno))
    }

    /// `EEXIST`: there is a file where none was to be.
    pub fn taken() -> Self {
        Self::raw("open", sys::EEXIST)
    }

    /// `ENOENT`: there is no file where one was to be.
    pub fn missing() -> Self {
        Self::raw("open", sys::ENOENT)
    }

    /// `ENOMEM`: there is no memory for a copy of what a caller gave, or for what a file says.
    pub fn no_memory() -> Self {
        Self::raw("malloc", sys::ENOMEM).advise(Advice::NoMemory)
    }

    /// `EINVAL`: what has that name would be removed as left behind by a killed process.
    pub(crate) fn swept(operation: &'static str) -> Self {
        Self::raw(operation, sys::EINVAL).advise(Advice::Swept)
    }

    /// The same failure, of a call that takes two names.
    pub fn with_dest(mut self, path: PathBuf) -> Self {
        if let ErrorKind::System { dest, .. } = &mut self.kind {
            *dest = Some(path);
        }
        self
    }

    /// A file could not be made in a directory. The path that messages have is that of a file which this user may well
    /// write to.
    pub(crate) fn not_made(error: io::Error, what: Advice) -> Self {
        let advice = what.of_making(&error);
        Self { advice, ..Self::system("open", error) }
    }

    /// The same failure, with the reason or the way out where the system's words mislead.
    pub(crate) fn advise(mut self, advice: Advice) -> Self {
        self.advice.get_or_insert(advice);
        self
    }

    /// The same failure, with this as the way out if it is [`ErrorKind::LockLost`].
    #[must_use]
    pub(crate) fn of_lost_lock(self, advice: Advice) -> Self {
        if matches!(self.kind, ErrorKind::LockLost) { Self { advice: Some(advice), ..self } } else { self }
    }

    /// The reason or the way out.
    pub fn advice(&self) -> Option<Advice> {
        let is_held = || match &self.kind {
            ErrorKind::System { source, .. } => source.raw_os_error().is_some_and(sys::is_held),
            _ => false,
        };
        self.advice.or_else(|| is_held().then_some(Advice::Held))
    }

    /// The same failure, after the new file had got its name.
    pub fn after_commit(mut self) -> Self {
        self.committed = true;
        self
    }

    /// The same failure, of the entry at this position in a batch.
    pub fn of_entry(mut self, entry: usize) -> Self {
        self.entry.get_or_insert(entry);
        self
    }

    /// The same failure, of a batch of which so many entries had their names by then.
    pub fn with_replaced(mut self, replaced: usize) -> Self {
        self.replaced = Some(replaced);
        self
    }

    /// The same failure, of an append that had set a part of a line aside by then.
    pub(crate) fn with_torn(mut self, torn: Option<Torn>) -> Self {
        self.torn = torn.map(Box::new).or(self.torn);
        self
    }

    /// What an append had set aside, if it had.
    pub fn torn(&self) -> Option<&Torn> {
        self.torn.as_deref()
    }

    /// How many entries of a batch had their names, if any had.
    pub fn replaced(&self) -> Option<usize> {
        self.replaced
    }

    /// The same failure, of a call that was made inside the functions of the calls for these files. It is told after a
    /// timeout, as they may wait for each other.
    pub fn inside(mut self, names: impl FnOnce() -> Vec<String>) -> Self {
        if let ErrorKind::LockTimeout(timeout) = &mut self.kind {
            timeout.inside = names();
        }
        self
    }

    /// The same failure, after a timeout, of a call that has waited for so long.
    pub(crate) fn waited(mut self, waited: Duration) -> Self {
        if let ErrorKind::LockTimeout(timeout) = &mut self.kind {
            timeout.waited = waited;
        }
        self
    }

    /// The same failure as it is told another call that has waited for so long, after a timeout that calls share. `None`: it is another failure.
    pub fn of_waiter(&self, waited: Duration, inside: impl FnOnce() -> Vec<String>) -> Option<Self> {
        let ErrorKind::LockTimeout(timeout) = &self.kind else { return None };
        Some(Timeout { waited, inside: inside(), ..Timeout::clone(timeout) }.into())
    }

    /// Which entry of a batch failed.
    pub fn entry(&self) -> Option<usize> {
        self.entry
    }

    /// The same failure, of a file other than the one that the caller wants to change: its backup,
    /// its lock. What happened to that one says nothing about the file itself.
    pub(crate) fn about(mut self, path: impl Into<PathBuf>) -> Self {
        self.about = Some(path.into().into_boxed_path());
        self.committed = false;
        self
    }

    /// The file that the failure is about, if it is not the one that the caller named.
    pub fn other_path(&self) -> Option<&Path> {
        self.about.as_deref()
    }

    /// The error's number, if it is the failure of that call and nothing was committed.
    pub(crate) fn errno_of(&self, call: &str) -> Option<i32> {
        match &self.kind {
            ErrorKind::System { operation, source, .. } if *operation == call && !self.committed => {
                source.raw_os_error()
            }
            _ => None,
        }
    }

    /// The disk is full, or the user's quota is used up. Nothing was committed.
    ///
    /// A failed fsync of another file than the staged one does not count: a second one would lie.
    pub(crate) fn is_full(&self) -> bool {
        matches!(&self.kind, ErrorKind::System { operation, source, .. }
            if !(self.committed || self.about.is_some() && *operation == "fsync")
                && source.raw_os_error().is_some_and(sys::is_full))
    }

    /// Nothing has changed, and the file can only be overwritten.
    pub(crate) fn needs_in_place(&self) -> bool {
        use Advice::{MakesFile, MakesLock, MountPoint, ReadOnly, Sticky};
        !self.committed && matches!(self.advice, Some(MakesFile | MakesLock | MountPoint | ReadOnly | Sticky))
    }

    /// A link(2) failed that a file made with a name does without.
    pub(crate) fn cannot_link(&self) -> bool {
        self.errno_of("link").is_some_and(sys::cannot_link)
    }

    /// The name of the file has become a symbolic link since its path was followed.
    pub(crate) fn is_link(&self) -> bool {
        self.other_path().is_none() && self.errno_of("open") == Some(sys::ELOOP)
    }

    /// What happened.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// A short name: the system's (`ENOSPC`), or one of ours (`ERR_ATOMIC_VERIFY`).
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// libuv's words for the system's error.
    pub fn words(&self) -> String {
        match &self.kind {
            ErrorKind::System { source, .. } => sys::describe(source).1,
            _ => self.to_string(),
        }
    }

    /// The system's error as `node:fs` numbers it: negative.
    pub fn errno(&self) -> Option<i32> {
        match &self.kind {
            ErrorKind::System { source, .. } | ErrorKind::NoLocks { source } => Some(sys::node_errno(source)),
            _ => None,
        }
    }

    /// Whether the file was replaced all the same: the rename happened, what follows it failed.
    pub fn committed(&self) -> bool {
        self.committed
    }

    /// Whether it is a call of the system that has failed.
    pub fn is_system(&self) -> bool {
        matches!(self.kind, ErrorKind::System { .. })
    }

    /// Whether a text is to blame, and not the world.
    pub fn is_texts_fault(&self) -> bool {
        matches!(self.kind, ErrorKind::InvalidJson { .. } | ErrorKind::TooLong { .. })
    }

    /// Whether it is the text of an index as it is stored that cannot be taken, or cannot be read from its disk.
    pub fn is_old_texts_fault(&self) -> bool {
        match self.kind {
            ErrorKind::CorruptIndex { .. } | ErrorKind::LossyIndex { .. } | ErrorKind::TooLong { .. } => true,
            ErrorKind::System { operation: "read", .. } => self.code() == "EIO",
            _ => false,
        }
    }

    /// Whether the cause passes by itself: the process or the system is out of descriptors.
    pub fn is_transient(&self) -> bool {
        match &self.kind {
            ErrorKind::System { source, .. } => {
                !self.committed
                    && self.advice != Some(Advice::ManyToRecover)
                    && source.raw_os_error().is_some_and(sys::is_transient)
            }
            _ => false,
        }
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self { kind, about: None, entry: None, replaced: None, committed: false, advice: None, torn: None }
    }
}

impl From<sys::CallError> for Error {
    fn from(error: sys::CallError) -> Self {
        Self::system(error.call, error.source)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            ErrorKind::System { source, .. } | ErrorKind::NoLocks { source } => Some(source),
            _ => None,
        }
    }
}

/// Names the system call in a failed `io::Result`.
pub(crate) trait Named<T> {
    /// `operation` is the call, by the name that `node:fs` uses for it.
    fn named(self, operation: &'static str) -> Result<T>;
}

impl<T> Named<T> for io::Result<T> {
    fn named(self, operation: &'static str) -> Result<T> {
        self.map_err(|source| Error::system(operation, source))
    }
}
