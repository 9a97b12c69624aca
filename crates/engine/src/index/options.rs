//! How to replace an index.

use std::path::PathBuf;

use crate::write::Options;

/// How to replace an index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdateOptions {
    /// As for any file; `exclusive` and `if_changed` mean nothing here.
    pub commit: Options,
    /// Where to keep the version before.
    pub backup: Option<PathBuf>,
    /// Make missing directories for the backup.
    pub mkdir: bool,
}
