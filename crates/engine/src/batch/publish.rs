//! All renames, in order, and then one flush of each directory.

use std::collections::HashMap;
use std::sync::Arc;

use crate::batch::entry::Entry;
use crate::batch::folder::Folder;
use crate::cancel::Cancel;
use crate::dir::Failed;
use crate::dir::flush::failed_anywhere;
use crate::error::{Error, Result};
use crate::process::{Old, each};
use crate::steps::{self, Step};
use crate::sys::FileId;
use crate::write::Receipt;

/// A batch whose files get their names.
#[derive(Debug)]
pub struct Publishing {
    entries: Vec<Entry>,
    /// How many have their names.
    renamed: usize,
    /// Whether anything has changed.
    committed: bool,
    touched: Vec<Touched>,
    folders: HashMap<FileId, usize>,
    /// The error of closing a file that had its name.
    closing: Option<Error>,
    /// What had the names before. Freed when the directories are flushed.
    old: Vec<Old>,
}

/// A directory in which files have got their names.
#[derive(Debug)]
struct Touched {
    folder: Arc<Folder>,
    /// The first entry in it.
    entry: usize,
    /// An entry in it asks for it.
    flush: bool,
    before: Failures,
    flushed: Option<Result<Flushed>>,
}

/// How many flushes had failed before the first rename: of this directory, and of any.
#[derive(Clone, Copy, Debug)]
struct Failures {
    here: Failed,
    anywhere: Failed,
}

#[derive(Clone, Copy, Debug)]
struct Flushed {
    durable: bool,
    /// No flush of it has ever failed, as far as is known.
    clean: bool,
}

impl Publishing {
    pub(crate) fn new(entries: Vec<Entry>) -> Self {
        let (touched, folders) = (Vec::new(), HashMap::new());
        Self { entries, renamed: 0, committed: false, touched, folders, closing: None, old: Vec::new() }
    }

    /// Whether anything has changed that others see.
    pub fn is_committed(&self) -> bool {
        self.committed
    }

    /// A failure after the first rename, as the caller gets it.
    pub fn report(&self, error: Error) -> Error {
        error.after_commit().with_replaced(self.renamed)
    }

    /// Renames, one after the other. `cancel` counts until the first.
    ///
    /// # Errors
    /// The first; those before it have their names. After one that passes by itself this may be called again.
    pub fn rename(&mut self, cancel: &Cancel) -> Result<()> {
        let _during = steps::begin(Step::Rename);
        while self.renamed < self.entries.len() {
            if !self.committed {
                cancel.check()?;
            }
            self.next().map_err(|error| error.of_entry(self.renamed))?;
            self.renamed += 1;
        }
        Ok(())
    }

    fn next(&mut self) -> Result<()> {
        let at = self.renamed;
        let entry = &mut self.entries[at];
        let dir = entry.folder().open()?;
        let touched = &mut self.touched;
        let known = *self.folders.entry(dir.id().clone()).or_insert_with(|| {
            let before = Failures { here: dir.failed_flushes(), anywhere: failed_anywhere() };
            let folder = entry.folder().clone();
            touched.push(Touched { folder, entry: at, flush: false, before, flushed: None });
            touched.len() - 1
        });
        touched[known].flush |= entry.flushes();
        let closing = &mut self.closing;
        let old = entry.publish(&dir, &mut |error| {
            closing.get_or_insert(error.of_entry(at));
        })?;
        self.old.extend(old);
        self.committed |= entry.receipt().written;
        Ok(())
    }

    /// Flushes each directory, many at once, and all of them if some fail, and looks whether it is still at its place.
    ///
    /// # Errors
    /// The first of them, and those of closing the files. After one that passes by itself this may be
    /// called again.
    pub fn flush(&mut self) -> Result<()> {
        let _during = steps::begin(Step::DirectoryFsync);
        each(&mut self.touched, super::FLUSHERS, |_, touched| {
            if touched.flushed.is_none() {
                match touched.flush() {
                    Err(error) if error.is_transient() => return Err(error.of_entry(touched.entry)),
                    flushed => touched.flushed = Some(flushed),
                }
            }
            Ok(())
        })
        .map_err(|(_, error)| error)?;
        self.old.clear();
        for touched in &mut self.touched {
            if let Some(Err(_)) = &touched.flushed
                && let Some(Err(error)) = touched.flushed.take()
            {
                return Err(error.of_entry(touched.entry));
            }
        }
        self.closing.take().map_or(Ok(()), Err)
    }

    /// What was done, entry by entry.
    pub fn receipts(&self) -> Vec<Receipt> {
        let receipt = |entry: &Entry| {
            let receipt = entry.receipt();
            let at = self.folders.get(entry.folder().id());
            let durable = match at.and_then(|at| self.touched[*at].flushed.as_ref()) {
                Some(Ok(flushed)) => flushed.durable && (receipt.written || flushed.clean),
                _ => false,
            };
            Receipt { durable: receipt.durable && durable, ..receipt }
        };
        self.entries.iter().map(receipt).collect()
    }
}

impl Touched {
    fn flush(&self) -> Result<Flushed> {
        let dir = self.folder.open()?;
        let synced = self.flush && dir.sync()?;
        // A directory that was not open all the time does not know what has failed meanwhile.
        let known = if self.folder.is_kept() {
            dir.check_flushes(self.before.here)?;
            true
        } else {
            failed_anywhere() == self.before.anywhere
        };
        self.folder.check_place(&dir)?;
        let durable = synced && known && dir.is_durable();
        Ok(Flushed { durable, clean: dir.failed_flushes() == Failed::default() })
    }
}
