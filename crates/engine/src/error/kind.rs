//! What can go wrong, by its name and in words that say what to do.

use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, io};

use crate::error::Error;
use crate::index::format::Format;
use crate::lock::holder::Timeout;
use crate::sys;

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
    /// The index is not UTF-8, not JSON, or no text that its caller can parse.
    CorruptIndex {
        /// Where.
        place: Box<Place>,
        /// What is wrong there.
        reason: String,
        /// What to do.
        advice: Box<str>,
        /// What it was to be.
        format: Format,
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
    /// A file that held the right bytes was changed or removed before the batch that left it alone was complete.
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
    /// The call waits for a lock that is held until a function ends which waits for this call.
    Locked,
    /// The call blocks the thread, and this process holds the lock of the file over several steps.
    Held,
    /// Another program has removed or replaced the lock file of an index that the caller has locked.
    LockLost,
    /// The lock did not come in time, or the index never held still under it.
    LockTimeout(Box<Timeout>),
    /// The function of a call did not settle in the time that it was given.
    FnTimeout {
        /// How long that is.
        limit: Duration,
    },
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
    /// A path leads out of the root of a transaction, or to what transactions keep there.
    OutsideRoot,
    /// What a transaction has read was changed each time before it could commit.
    Conflict,
    /// Others have replaced an object in a store each time before this call could.
    Contended {
        /// How long the call has tried.
        waited: Duration,
    },
    /// A transaction is committed, but not all of its names stand.
    PendingNames {
        /// What kept the rest from it.
        cause: Box<Error>,
    },
    /// Whether a transaction is committed is not known.
    UnknownOutcome {
        /// What the system said to the last attempt.
        cause: Box<Error>,
    },
    /// The journal of a root cannot be used.
    Journal {
        /// Why.
        what: &'static str,
    },
    /// A transaction does not fit into a record.
    TooLarge,
    /// A call inside a function of a transaction waits for locks, which that transaction may have.
    Nested,
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

impl ErrorKind {
    /// The system's name (`ENOSPC`), or one of ours.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::System { source, .. } => sys::describe(source).0,
            Self::Verify { .. } => "ERR_ATOMIC_VERIFY",
            Self::NotRegular { .. } => "ERR_ATOMIC_NOT_REGULAR",
            Self::NoExchange | Self::LowerLayer => "ERR_ATOMIC_NO_EXCHANGE",
            Self::NoExclusive => "ERR_ATOMIC_NO_EXCLUSIVE",
            Self::NoTree { .. } => "ERR_ATOMIC_NO_TREE",
            Self::CorruptIndex { .. } => "ERR_ATOMIC_CORRUPT_INDEX",
            Self::LossyIndex { .. } => "ERR_ATOMIC_LOSSY_INDEX",
            Self::TooLong { .. } => "ERR_STRING_TOO_LONG",
            Self::Duplicate { .. } => "ERR_ATOMIC_DUPLICATE",
            Self::Changed => "ERR_ATOMIC_CHANGED",
            Self::LoneSurrogate { .. } => "ERR_INVALID_ARG_VALUE",
            Self::InvalidJson { .. } => "ERR_INVALID_RETURN_VALUE",
            Self::Reentrant | Self::Locked | Self::Held => "ERR_ATOMIC_REENTRANT",
            Self::LockLost => "ERR_ATOMIC_LOCK_LOST",
            Self::LockTimeout(_) => "ERR_ATOMIC_LOCK_TIMEOUT",
            Self::FnTimeout { .. } => "ERR_ATOMIC_FN_TIMEOUT",
            Self::NoLocks { .. } => "ERR_ATOMIC_NO_LOCKS",
            Self::NetworkFs { .. } => "ERR_ATOMIC_NETWORK_FS",
            Self::OutsideRoot => "ERR_ATOMIC_OUTSIDE_ROOT",
            Self::Conflict => "ERR_ATOMIC_CONFLICT",
            Self::Contended { .. } => "ERR_ATOMIC_CONTENDED",
            Self::PendingNames { .. } => "ERR_ATOMIC_PENDING",
            Self::UnknownOutcome { .. } => "ERR_ATOMIC_UNKNOWN",
            Self::Journal { .. } => "ERR_ATOMIC_JOURNAL",
            Self::TooLarge => "ERR_OUT_OF_RANGE",
            Self::Nested => "ERR_ATOMIC_NESTED",
            Self::Aborted => "ABORT_ERR",
            Self::Panic(_) => "ERR_INTERNAL_ASSERTION",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System { operation, source, .. } => write!(f, "{operation}: {source}"),
            Self::Verify { offset } => {
                f.write_str("the bytes read back differ from the bytes given")?;
                offset.map_or(Ok(()), |offset| write!(f, " at offset {offset}"))
            }
            Self::NotRegular { what } => {
                write!(f, "the target is {what}, not a regular file; node:fs can write to it")
            }
            Self::NoExchange => f.write_str(
                "this file system cannot swap two directories in one step; { fallback: 'rename' } does it in two, \
                 with an instant between them in which there is none",
            ),
            Self::NoExclusive => f.write_str(
                "this file system has neither hard links nor a rename that refuses a taken name, so { flag: 'wx' } \
                 could replace another program's file; use { flag: 'w' }, or create the file on another file system",
            ),
            Self::LowerLayer => f.write_str(
                "the old directory cannot be renamed, because it is part of a lower layer of this overlay (of a \
                 container's image): mount a volume at its parent directory, or remove it when the container \
                 starts, so that this call makes it",
            ),
            Self::NoTree { what } => write!(
                f,
                "build left {what} where it was to leave a directory: it may remove the directory that it is given and \
                 make it anew, but must leave one there, and have finished when it returns or its promise resolves"
            ),
            Self::CorruptIndex { place, reason, advice, format } => {
                write!(f, "the index is not valid {}: {reason} at {place}; {advice}", format.name())
            }
            Self::LossyIndex { place, literal } => {
                let shown: String = literal.chars().take(40).collect();
                let more = if shown.len() < literal.len() { "..." } else { "" };
                write!(
                    f,
                    "JavaScript would change the number {shown}{more} at {place}; \
                     keep it in the index as a string, or choose with the option 'numbers': 'exact' keeps its digits, \
                     'lossy' accepts the change"
                )
            }
            Self::TooLong { size } => write!(f, "a text of {size} bytes is too long"),
            Self::Duplicate { first } => write!(f, "the same file as entry {first}: give each file once"),
            Self::Changed => f.write_str("another program changed the file after ifChanged had left it alone: run the batch again"),
            Self::LoneSurrogate { index } => {
                write!(f, "the text is not well-formed UTF-16: there is a lone surrogate at index {index}")
            }
            Self::InvalidJson { reason } => write!(f, "the new index is not valid JSON: {reason}"),
            Self::LockLost => f.write_str(
                "another program has removed or replaced the lock file while the lock was held, so others may have changed the index: \
                 nothing was written",
            ),
            Self::LockTimeout(timeout) => timeout.fmt(f),
            Self::FnTimeout { limit } => write!(
                f,
                "fn did not settle within {} ms and was given up: nothing of it is written. Let it heed the signal in its second \
                 argument, or raise options.fnTimeout",
                limit.as_millis()
            ),
            Self::NoLocks { source } => write!(
                f,
                "this file system has no locks (flock: {}), without which updates of several processes would be lost; \
                 keep the index on another file system, or mount this one with locks",
                sys::describe(source).0
            ),
            Self::NetworkFs { name } => write!(
                f,
                "the index is on a network file system ({name}), where an update can be lost when another machine makes \
                 one as well; keep it on a disk of this machine, or, if only this machine updates it, pass \
                 {{ network: 'allow' }}",
            ),
            Self::Reentrant => f.write_str(
                "this call is made inside the function of a call for the same file, which has to end first; return the \
                 change from that function, or make this call after it",
            ),
            Self::Locked => f.write_str(
                "this call is made inside the function of withIndexLock, which has the lock of the file until it ends; use \
                 lock.update or lock.write there, or make this call after it",
            ),
            Self::Held => f.write_str(
                "this program has the lock of the file, and a call that blocks cannot wait until it is released; use update or \
                 write of the lock, which return promises, or release it before",
            ),
            Self::OutsideRoot => f.write_str(
                "the path leads out of the root of the transaction, by '..', by a link or to another mount, or into its \
                 folder .atomic; give a root that has all of the files below it",
            ),
            Self::Conflict => f.write_str(
                "other programs changed what the transaction had read each time before it could commit, and nothing was \
                 written: call it again, raise options.retries, or change an index with tx.update, which waits for its turn",
            ),
            Self::Contended { waited } => write!(
                f,
                "other writers replaced the object each time before this call could, for {} ms, and nothing was written: call \
                 it again when there are fewer, raise options.timeout, or use atomicIndexPatch, which is made for many writers",
                waited.as_millis()
            ),
            Self::PendingNames { cause } => write!(
                f,
                "the transaction is committed, but not all of its files have their names yet ({cause}); remove the cause, and \
                 the next transaction, snapshotRead or recover(root) completes it",
            ),
            Self::UnknownOutcome { cause } => write!(
                f,
                "the disk failed while the transaction was committed, and whether it counts is decided by recover(root), \
                 or by the next transaction ({cause})",
            ),
            Self::Journal { what } => write!(
                f,
                "the journal of this root cannot be used: {what}; nothing was changed. Where that is no way out, give up what \
                 is in it with recover(root, {{ giveUp: true }})",
            ),
            Self::TooLarge => f.write_str(
                "a transaction changes at most 4,096 files (backups count), and their paths have at most 16 MiB; divide it",
            ),
            Self::Nested => f.write_str(
                "this call is made inside a function of a transaction, which has locks that it may wait for; make it before \
                 or after the transaction, or use its tx for the change",
            ),
            Self::Aborted => f.write_str("the operation was aborted"),
            Self::Panic(message) => write!(f, "a bug in @pipeline/atomic, please report it: {message}"),
        }
    }
}
