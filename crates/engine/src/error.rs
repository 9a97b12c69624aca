//! What can go wrong, as the engine tells it: the operation that failed and the system's own
//! error, never a bare message. The N-API side turns it into the shape of `node:fs`.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use crate::advice::Advice;
use crate::lock::holder::Timeout;
use crate::sys;

/// The engine's result.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed operation. Unless [`Error::committed`], the file is what it was before, byte for byte.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    about: Option<PathBuf>,
    entry: Option<usize>,
    replaced: Option<usize>,
    committed: bool,
    advice: Option<Advice>,
}

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A system call failed.
    System {
        /// The call, by the name that `node:fs` uses for it.
        operation: &'static str,
        /// The system's error.
        source: io::Error,
        /// The other name, for calls that take two.
        dest: Option<PathBuf>,
    },
    /// What was read back is not what was written.
    Verify {
        /// The first byte that differs, from the start of the file; `None` where only a digest is known.
        offset: Option<u64>,
    },
    /// The target is a device, a FIFO or a socket.
    NotRegular {
        /// "a FIFO", "a socket", …
        what: &'static str,
    },
    /// The file system has no step that swaps two directories.
    NoExchange,
    /// The file system has no step that gives a file its name only if that is free.
    NoExclusive,
    /// The directory that is to be replaced cannot be renamed: it comes of a lower layer of an overlay.
    LowerLayer,
    /// A directory that was to be filled is not one any more.
    NoTree {
        /// What there is instead: "nothing", "a file", …
        what: &'static str,
    },
    /// The index is not UTF-8 or not JSON.
    CorruptIndex {
        /// Where.
        place: Box<Place>,
        /// What is wrong there.
        reason: String,
        /// What to do.
        advice: &'static str,
    },
    /// The index has a number that JavaScript would change.
    LossyIndex {
        /// Where.
        place: Box<Place>,
        /// The number as it is in the file.
        literal: String,
    },
    /// The text of the index is longer than the caller can take.
    TooLong {
        /// In bytes.
        size: u64,
    },
    /// Two entries of a batch mean the same file.
    Duplicate {
        /// The position of the first of them.
        first: usize,
    },
    /// A file that held the right bytes was changed before the batch that left it alone was complete.
    Changed,
    /// A text that is to be written as UTF-8 has a lone surrogate, for which UTF-8 has no bytes.
    LoneSurrogate {
        /// Its position, in UTF-16 units.
        index: usize,
    },
    /// The text given for the index is not JSON.
    InvalidJson {
        /// What the parser said.
        reason: String,
    },
    /// The call waits for one that waits for this one: it was made inside its function.
    Reentrant,
    /// The lock did not come in time, or the index never held still under it.
    LockTimeout(Box<Timeout>),
    /// The file system has no locks.
    NoLocks {
        /// What flock(2) said.
        source: io::Error,
    },
    /// The index is on a file system that other machines change as well.
    NetworkFs {
        /// What it is called.
        name: String,
    },
    /// The caller cancelled.
    Aborted,
    /// A bug in this library: a panic, caught.
    Panic(String),
}

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// In bytes from the start of the file.
    pub offset: u64,
    /// From 1.
    pub line: u64,
    /// In bytes, from 1.
    pub column: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, line, column } = self;
        write!(f, "byte {offset} (line {line}, column {column})")
    }
}

impl Error {
    /// A failed system call.
    pub fn system(operation: &'static str, source: io::Error) -> Self {
        ErrorKind::System { operation, source, dest: None }.into()
    }

    /// A system error of our own making, by its number.
    pub fn raw(operation: &'static str, errno: i32) -> Self {
        Self::system(operation, io::Error::from_raw_os_error(errno))
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

    /// The reason or the way out.
    pub fn advice(&self) -> Option<Advice> {
        self.advice
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

    /// Which entry of a batch failed.
    pub fn entry(&self) -> Option<usize> {
        self.entry
    }

    /// The same failure, of a file other than the one that the caller wants to change: its backup,
    /// its lock. What happened to that one says nothing about the file itself.
    pub(crate) fn about(mut self, path: impl Into<PathBuf>) -> Self {
        self.about = Some(path.into());
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

    /// What happened.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// A short name: the system's (`ENOSPC`), or one of ours (`ERR_ATOMIC_VERIFY`).
    pub fn code(&self) -> &'static str {
        match &self.kind {
            ErrorKind::System { source, .. } => sys::describe(source).0,
            ErrorKind::Verify { .. } => "ERR_ATOMIC_VERIFY",
            ErrorKind::NotRegular { .. } => "ERR_ATOMIC_NOT_REGULAR",
            ErrorKind::NoExchange | ErrorKind::LowerLayer => "ERR_ATOMIC_NO_EXCHANGE",
            ErrorKind::NoExclusive => "ERR_ATOMIC_NO_EXCLUSIVE",
            ErrorKind::NoTree { .. } => "ERR_ATOMIC_NO_TREE",
            ErrorKind::CorruptIndex { .. } => "ERR_ATOMIC_CORRUPT_INDEX",
            ErrorKind::LossyIndex { .. } => "ERR_ATOMIC_LOSSY_INDEX",
            ErrorKind::TooLong { .. } => "ERR_STRING_TOO_LONG",
            ErrorKind::Duplicate { .. } => "ERR_ATOMIC_DUPLICATE",
            ErrorKind::Changed => "ERR_ATOMIC_CHANGED",
            ErrorKind::LoneSurrogate { .. } => "ERR_INVALID_ARG_VALUE",
            ErrorKind::InvalidJson { .. } => "ERR_INVALID_RETURN_VALUE",
            ErrorKind::Reentrant => "ERR_ATOMIC_REENTRANT",
            ErrorKind::LockTimeout(_) => "ERR_ATOMIC_LOCK_TIMEOUT",
            ErrorKind::NoLocks { .. } => "ERR_ATOMIC_NO_LOCKS",
            ErrorKind::NetworkFs { .. } => "ERR_ATOMIC_NETWORK_FS",
            ErrorKind::Aborted => "ABORT_ERR",
            ErrorKind::Panic(_) => "ERR_INTERNAL_ASSERTION",
        }
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

    /// Whether a text is to blame, and not the world.
    pub fn is_texts_fault(&self) -> bool {
        matches!(self.kind, ErrorKind::InvalidJson { .. } | ErrorKind::TooLong { .. })
    }

    /// Whether the cause passes by itself: the process or the system is out of descriptors.
    pub fn is_transient(&self) -> bool {
        match &self.kind {
            ErrorKind::System { source, .. } => {
                !self.committed && source.raw_os_error().is_some_and(sys::is_transient)
            }
            _ => false,
        }
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self { kind, about: None, entry: None, replaced: None, committed: false, advice: None }
    }
}

impl From<sys::CallError> for Error {
    fn from(error: sys::CallError) -> Self {
        Self::system(error.call, error.source)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ErrorKind::System { operation, source, .. } => write!(f, "{operation}: {source}"),
            ErrorKind::Verify { offset } => {
                f.write_str("the bytes read back differ from the bytes given")?;
                offset.map_or(Ok(()), |offset| write!(f, " at offset {offset}"))
            }
            ErrorKind::NotRegular { what } => {
                write!(f, "the target is {what}, not a regular file; node:fs can write to it")
            }
            ErrorKind::NoExchange => f.write_str(
                "this file system cannot swap two directories in one step; { fallback: 'rename' } does it in two, \
                 with an instant between them in which there is none",
            ),
            ErrorKind::NoExclusive => f.write_str(
                "this file system has neither hard links nor a rename that refuses a taken name, so { flag: 'wx' } \
                 could replace another program's file; use { flag: 'w' }, or create the file on another file system",
            ),
            ErrorKind::LowerLayer => f.write_str(
                "the old directory cannot be renamed, because it is part of a lower layer of this overlay (of a \
                 container's image): mount a volume at its parent directory, or remove it when the container \
                 starts, so that this call makes it",
            ),
            ErrorKind::NoTree { what } => write!(
                f,
                "build left {what} where it was to leave a directory: it may remove the directory that it is given and \
                 make it anew, but must leave one there, and have finished when it returns or its promise resolves"
            ),
            ErrorKind::CorruptIndex { place, reason, advice } => {
                write!(f, "the index is not valid JSON: {reason} at {place}; {advice}")
            }
            ErrorKind::LossyIndex { place, literal } => {
                let shown: String = literal.chars().take(40).collect();
                let more = if shown.len() < literal.len() { "..." } else { "" };
                write!(
                    f,
                    "JavaScript would change the number {shown}{more} at {place}; \
                     keep it in the index as a string, or choose with the option 'numbers': 'exact' keeps its digits, \
                     'lossy' accepts the change"
                )
            }
            ErrorKind::TooLong { size } => write!(f, "a text of {size} bytes is too long"),
            ErrorKind::Duplicate { first } => write!(f, "the same file as entry {first}: give each file once"),
            ErrorKind::Changed => f.write_str("another program changed the file after ifChanged had left it alone: run the batch again"),
            ErrorKind::LoneSurrogate { index } => {
                write!(f, "the text is not well-formed UTF-16: there is a lone surrogate at index {index}")
            }
            ErrorKind::InvalidJson { reason } => write!(f, "the result of fn is not valid JSON: {reason}"),
            ErrorKind::LockTimeout(timeout) => timeout.fmt(f),
            ErrorKind::NoLocks { source } => write!(
                f,
                "this file system has no locks (flock: {}), without which updates of several processes would be lost; \
                 keep the index on another file system, or mount this one with locks",
                sys::describe(source).0
            ),
            ErrorKind::NetworkFs { name } => write!(
                f,
                "the index is on a network file system ({name}), where an update can be lost when another machine makes \
                 one as well; keep it on a disk of this machine, or, if only this machine updates it, pass \
                 {{ network: 'allow' }}",
            ),
            ErrorKind::Reentrant => f.write_str(
                "this call is made inside the function of a call for the same file, which has to end first; return the \
                 change from that function, or make this call after it",
            ),
            ErrorKind::Aborted => f.write_str("the operation was aborted"),
            ErrorKind::Panic(message) => write!(f, "a bug in @pipeline/atomic, please report it: {message}"),
        }
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
