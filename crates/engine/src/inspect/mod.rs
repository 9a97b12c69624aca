//! What the file system of a directory keeps: found out by trying in a folder of its own there, which is removed.
//!
//! Neither its type nor the version of the kernel would tell: mount options, directories with flags of their own and FUSE daemons
//! differ. What the protocols do when something is missing is in [`means`].

mod folder;
pub mod means;
mod probe;

use std::path::PathBuf;

use crate::cancel::Cancel;
use crate::dir::Directory;
use crate::error::Result;
use crate::job::{Job, Step};

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trait {
    /// What the system calls the file system.
    FileSystem,
    /// What it is on.
    Device,
    /// A file is made only if its name is free.
    ExclusiveCreate,
    /// A rename replaces a file.
    RenameOver,
    /// A rename refuses a taken name.
    RenameNoReplace,
    /// Two names change places.
    Exchange,
    /// A file has two names.
    HardLinks,
    /// A file without a name.
    UnnamedFiles,
    /// Names are flushed.
    DirectoryFlush,
    /// What is flushed survives a power cut.
    Durable,
    /// Two open files exclude each other.
    Locks,
    /// No other machine changes it.
    Local,
    /// The page cache can be passed by.
    DeviceVerify,
    /// Case counts.
    CaseSensitive,
    /// The form of Unicode counts.
    NormalizationSensitive,
    /// Files have permissions.
    Modes,
    /// Files have attributes.
    ExtendedAttributes,
    /// Files have ACLs.
    Acls,
    /// In bytes.
    LongestName,
    /// In milliseconds.
    FlushTime,
}

impl Trait {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::FileSystem => "fileSystem",
            Self::Device => "device",
            Self::ExclusiveCreate => "exclusiveCreate",
            Self::RenameOver => "renameOver",
            Self::RenameNoReplace => "renameNoReplace",
            Self::Exchange => "exchange",
            Self::HardLinks => "hardLinks",
            Self::UnnamedFiles => "unnamedFiles",
            Self::DirectoryFlush => "directoryFlush",
            Self::Durable => "durable",
            Self::Locks => "locks",
            Self::Local => "local",
            Self::DeviceVerify => "deviceVerify",
            Self::CaseSensitive => "caseSensitive",
            Self::NormalizationSensitive => "normalizationSensitive",
            Self::Modes => "modes",
            Self::ExtendedAttributes => "extendedAttributes",
            Self::Acls => "acls",
            Self::LongestName => "longestName",
            Self::FlushTime => "flushTime",
        }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Yes or no.
    Is(bool),
    /// So many.
    Number(f64),
    /// A name.
    Text(String),
    /// It is not known here.
    Unknown,
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Of what.
    pub of: Trait,
    /// What it is.
    pub value: Value,
    /// What follows.
    pub means: String,
}

/// All rows.
#[derive(Debug)]
pub struct Inspection {
    /// The directory, links resolved.
    pub path: PathBuf,
    /// In the order of [`Trait`].
    pub rows: Vec<Row>,
}

/// Inspects one directory.
pub struct InspectJob {
    path: PathBuf,
    cancel: Cancel,
}

impl InspectJob {
    /// Of the directory at `path`.
    pub fn new(path: PathBuf, cancel: Cancel) -> Self {
        Self { path, cancel }
    }

    fn inspect(&self) -> Result<Inspection> {
        let dir = Directory::open(None, &self.path, false)?;
        let rows = probe::all(&dir, &self.cancel)?;
        Ok(Inspection { path: dir.path().unwrap_or_else(|_| self.path.clone()), rows })
    }
}

impl Job for InspectJob {
    type Output = Inspection;

    fn run(self) -> Step<Self> {
        match self.inspect() {
            Err(error) if error.is_transient() => Step::Again(self, error),
            inspected => Step::Done(inspected),
        }
    }
}
