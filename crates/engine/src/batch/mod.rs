//! Many files, one barrier: all are staged, then all are flushed, then all get their names, and then each
//! directory is flushed once. What fails before the first rename leaves everything as it was.
//!
//! What a batch holds of a file between two steps is small: a descriptor, or where those are few a mapping and
//! a temp name. Its bytes are gone as soon as it is staged.
//!
//! ```
//! use pipeline_atomic_engine::batch::{Batch, job::{EntryInput, FinishJob, WaveJob}};
//! use pipeline_atomic_engine::{blocking, cancel::Cancel, data::Data, process::Inside, write::options::Options};
//!
//! let dir = tempfile::tempdir()?;
//! let entry = |name: &str| EntryInput {
//!     path: dir.path().join(name),
//!     data: Data::Bytes(name.as_bytes().to_vec()),
//!     options: Options::default(),
//!     mkdir: true,
//! };
//! let wave = vec![entry("a.html"), entry("b.html")];
//! let batch = blocking::run(WaveJob::new(Batch::default(), wave, Cancel::default()))?;
//! assert!(!dir.path().join("a.html").exists());
//! let receipts = blocking::run(FinishJob::new(batch, Inside::default(), Cancel::default()))?;
//! assert_eq!(receipts.len(), 2);
//! assert_eq!(std::fs::read(dir.path().join("b.html"))?, b"b.html");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod entry;
mod folder;
pub mod job;
mod kept;
mod publish;

use std::collections::HashMap;
use std::path::Path;

use crate::batch::folder::Folders;
use crate::cancel::Cancel;
use crate::dir::{Resolve, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::process::{Key, deferred_close, each};
use crate::steps::{self, Step};
use crate::transaction::pending;
use crate::write::Options;
pub use entry::Entry;
pub use publish::Publishing;

/// How many threads stage at once: beyond that they only wait for each other.
pub const STAGERS: usize = 8;
/// How many flush at once.
const FLUSHERS: usize = 32;
/// How many files are flushed before the worker is given to others.
const AT_ONCE: usize = 1024;

/// The files of one call. Dropped before they are published, they are gone.
#[derive(Debug, Default)]
pub struct Batch {
    entries: Vec<Entry>,
    folders: Folders,
    /// The entries with each key: several if their names differ in case and are not one name here.
    keys: HashMap<Key, Vec<usize>>,
    flushed: usize,
}

impl Batch {
    /// How many files it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Stages a file, for [`Batch::add`]: written, read back, and on its way to the device. `path` is absolute.
    ///
    /// # Errors
    /// Whatever fails first; nothing is left of the file then.
    pub fn stage(
        &self,
        path: &Path,
        mkdir: bool,
        data: &[u8],
        options: &Options,
        cancel: &Cancel,
    ) -> Result<Entry> {
        cancel.check()?;
        let target = Target::resolve(path, Resolve { mkdir, exclusive: options.exclusive })?.to_write()?;
        // What is staged now is looked at again, and recovery would keep what is written.
        let _ = pending::look(&target.dir)?;
        let folder = self.folders.of(&target);
        deferred_close::retry_when_full(|_| Entry::stage(&folder, &target, data, options, cancel))
    }

    /// Takes in the next entries.
    ///
    /// # Errors
    /// [`ErrorKind::Duplicate`] of one whose file has an entry already, by whatever name.
    pub fn add(&mut self, entries: impl IntoIterator<Item = Entry>) -> Result<()> {
        for entry in entries {
            let at = self.entries.len();
            let known = self.keys.entry(entry.key()).or_default();
            for first in &*known {
                if entry.is_same(&self.entries[*first]).map_err(|error| error.of_entry(at))? {
                    return Err(Error::from(ErrorKind::Duplicate { first: *first }).of_entry(at));
                }
            }
            known.push(at);
            self.entries.push(entry);
        }
        Ok(())
    }

    /// Flushes the next files, many at once. `true`: there are more.
    ///
    /// # Errors
    /// Whatever fails first. After one that passes by itself this may be called again.
    pub fn flush(&mut self, cancel: &Cancel) -> Result<bool> {
        let (from, to) = (self.flushed, self.entries.len().min(self.flushed + AT_ONCE));
        let _during = steps::begin(Step::Fsync);
        each(&mut self.entries[from..to], FLUSHERS, |_, entry| entry.flush(cancel))
            .map_err(|(at, error)| error.of_entry(from + at))?;
        self.flushed = to;
        Ok(to < self.entries.len())
    }

    /// The queues to have the turn in before [`Batch::prepare`], and the position of an entry of each.
    pub fn queues(&self) -> (Vec<Key>, Vec<usize>) {
        self.keys.iter().map(|(key, entries)| (key.clone(), entries[0])).unzip()
    }

    /// The last look at all targets, and all that can fail before the first rename.
    ///
    /// # Errors
    /// As [`Batch::flush`].
    pub fn prepare(&mut self, cancel: &Cancel) -> Result<()> {
        let _during = steps::begin(Step::Rename);
        each(&mut self.entries, STAGERS, |_, entry| entry.prepare(cancel))
            .map_err(|(at, error)| error.of_entry(at))
    }

    /// From here on files get their names.
    pub fn publish(self) -> Publishing {
        Publishing::new(self.entries)
    }
}
