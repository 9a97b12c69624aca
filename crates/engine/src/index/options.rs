//! How to change an index.

use std::path::PathBuf;
use std::time::Duration;

use crate::index::format::Format;
use crate::index::layout::Space;
use crate::write::Options;

/// How to replace an index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpdateOptions {
    /// As for any file; `exclusive` and `if_changed` mean nothing here.
    pub commit: Options,
    /// Where to keep the version before.
    pub backup: Option<BackupOptions>,
    /// Make missing directories for the backup.
    pub mkdir: bool,
    /// The index may be on a network file system.
    pub network: bool,
    /// What its text is. `space` and `numbers` are for JSON.
    pub format: Format,
    /// What a level is indented by; `None`: as in the file.
    pub space: Option<Space>,
    /// What becomes of numbers that a double does not keep.
    pub numbers: Numbers,
    /// It is replaced whatever it says, even if that is no JSON that could be taken, or cannot be read.
    pub anyway: bool,
    /// The longest text that the caller can take, in UTF-16 units.
    pub longest: Option<usize>,
    /// What the text that is written is known by, if the caller keeps its value: see [`kept_editions`](super::text::kept_editions). A text that is
    /// left as it is gets it too.
    pub edition: Option<u64>,
}

/// Where to keep earlier versions, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupOptions {
    /// Of the newest; older ones have a number at the end.
    pub path: PathBuf,
    /// How many, at least one.
    pub generations: u32,
    /// A version is kept only if it is that much younger than the newest that is.
    pub every: Duration,
}

impl From<PathBuf> for BackupOptions {
    /// Each version, and of these the one before.
    fn from(path: PathBuf) -> Self {
        Self { path, generations: 1, every: Duration::ZERO }
    }
}

/// What becomes of numbers that a double does not keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Numbers {
    /// They are refused, but for decimals, which are rounded.
    #[default]
    Strict,
    /// They are rounded, or become `null`.
    Lossy,
    /// They stay as they are.
    Exact,
}

impl Numbers {
    /// Whether a text that this finds nothing in is one that `other` finds nothing in.
    pub(crate) fn covers(self, other: Self) -> bool {
        other == Self::Lossy || self == other || self == Self::Exact
    }
}
