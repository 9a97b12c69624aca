//! Finds and removes what killed processes have left in a directory, for a caller who asks for it.
//!
//! Whether somebody has a file is told by its lock, as for all sweeping ([`crate::dir`]); what belongs to a transaction goes under the
//! lock of its root. What may be the only copy of somebody's data stays.

mod job;
mod root;
mod sweeper;

use std::path::PathBuf;
use std::time::Duration;

pub use job::SweepJob;

use crate::error::Error;
use crate::lock::holder::Holder;

/// How to sweep.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Directories below too.
    pub recursive: bool,
    /// What was changed since stays.
    pub older_than: Duration,
    /// Nothing is removed.
    pub dry_run: bool,
}

/// What something was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A file on its way to its name.
    Temp,
    /// A directory that was being filled, or is to be removed.
    Tree,
    /// The lock of an index.
    Lock,
    /// A file that a transaction has staged.
    Staged,
    /// A process that stages files below a root.
    Mark,
    /// The journal of a root, with a transaction that is not known to be complete.
    Journal,
    /// A directory that was replaced.
    Previous,
    /// What a transaction could not give its name.
    Lost,
}

impl Purpose {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Temp => "temp",
            Self::Tree => "tree",
            Self::Lock => "lock",
            Self::Staged => "staged",
            Self::Mark => "mark",
            Self::Journal => "journal",
            Self::Previous => "previous",
            Self::Lost => "lost",
        }
    }
}

/// Why something stays.
#[derive(Debug)]
pub enum Reason {
    /// A living process has it.
    InUse,
    /// It is not old enough.
    Recent,
    /// A transaction is to be recovered first.
    Pending,
    /// It may be the only copy of something.
    OnlyCopy,
    /// Nothing tells whether a living process has it.
    Undecided,
    /// It is another user's.
    NotYours,
    /// It could not be removed.
    Failed(Box<Error>),
}

impl Reason {
    /// In one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::InUse => "in-use",
            Self::Recent => "recent",
            Self::Pending => "pending",
            Self::OnlyCopy => "only-copy",
            Self::Undecided => "undecided",
            Self::NotYours => "not-yours",
            Self::Failed(_) => "failed",
        }
    }
}

/// Something that was found.
#[derive(Clone, Debug)]
pub struct Leftover {
    /// Where.
    pub path: PathBuf,
    /// What it was made for.
    pub purpose: Purpose,
    /// In bytes; of a tree, all of its files.
    pub size: u64,
    /// Since it was last changed.
    pub age: Duration,
}

/// Something that stays.
#[derive(Debug)]
pub struct Kept {
    /// What.
    pub leftover: Leftover,
    /// Why.
    pub reason: Reason,
    /// Of a lock: who has it, or had it last.
    pub holder: Option<Holder>,
}

/// What was found and done. It grows with what was found, not with what is there.
#[derive(Debug, Default)]
pub struct Report {
    /// What is gone, or would be.
    pub removed: Vec<Leftover>,
    /// What stays.
    pub kept: Vec<Kept>,
    /// Directories that could not be looked at.
    pub errors: Vec<Error>,
    /// Directories that belong to other file systems.
    pub mounts: Vec<PathBuf>,
    /// How many directories were looked at.
    pub directories: u64,
}
