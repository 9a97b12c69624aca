//! One file of a transaction, from what is to become of it to the operation of a record.

use std::io;
use std::path::{Path, PathBuf};

use crate::dir::Target;
use crate::error::{Error, Named, Result};
use crate::mutant::{Step, leaves_out};
use crate::process::{Key, flush};
use crate::sys::{self, FileId, Stat, Version};
use crate::transaction::away::{self, Gone, Moved, Taker};
use crate::transaction::journal::{OldMark, Op};
use crate::transaction::known;
use crate::write::{Options, Receipt, Staged, TempName};

mod kept;
mod stage;

pub use kept::NextText;
use stage::StagedFile;
pub use stage::Staging;

/// One file of a transaction.
#[derive(Debug)]
pub struct Item {
    /// Which file.
    pub target: Target,
    /// What is to become of it.
    pub change: Change,
    /// What must be there for that.
    pub expected: Expected,
    /// Its lock is held by the transaction.
    pub is_index: bool,
    /// What must not be there any more, or has been found out.
    pub receipt: Receipt,
    old: Option<Stat>,
    /// It, or that there is nothing, is on disk.
    is_old_flushed: bool,
    old_hash: Option<u128>,
    staged: Option<StagedFile>,
    next: Option<NextText>,
}

/// What is to become of a file.
#[derive(Debug)]
pub enum Change {
    /// It gets these bytes.
    Write(Vec<u8>, Options),
    /// It becomes another name of that file, which loses its own: the position of its item.
    Rename(Target),
    /// It goes. `true`: it must be there.
    Remove(bool),
    /// Nothing: it is to be what it was.
    Keep,
}

/// What must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Anything: it is replaced without having been looked at.
    Any,
    /// This version; `None`: nothing.
    Version(Option<Version>),
    /// A file, whatever becomes of it in the end.
    Present,
    /// No file, whatever becomes of it in the end.
    Absent,
    /// Nothing at this path, to which no directory leads.
    NoPath(PathBuf),
}

impl Expected {
    /// # Errors
    /// `ENOENT`, `EEXIST`.
    fn check(&self, found: Option<&Stat>) -> Result<()> {
        match self {
            Self::Present if found.is_none() => Err(Error::missing()),
            Self::Absent if found.is_some() => Err(Error::taken()),
            _ => Ok(()),
        }
    }
}

impl Item {
    /// A file to be changed.
    pub fn new(target: Target, change: Change, expected: Expected, is_index: bool) -> Self {
        let receipt = Receipt { written: false, bytes: 0, durable: true, verified: None, atomic: true };
        Self {
            target,
            change,
            expected,
            is_index,
            receipt,
            old: None,
            is_old_flushed: false,
            old_hash: None,
            staged: None,
            next: None,
        }
    }

    /// Looks at what there is, before anything is made beside it.
    ///
    /// # Errors
    /// Those of [`Target::existing`].
    pub fn look_first(&mut self) -> Result<()> {
        if matches!(self.expected, Expected::NoPath(_)) {
            return Ok(());
        }
        if self.staged.is_none() {
            self.old = self.target.existing()?;
        }
        self.expected.check(self.old.as_ref())
    }

    /// What there is may be known to be on disk. (A file that is known has its name there too: a rename is a change of it.)
    pub fn note_known(&mut self, has_clean_directory: bool) {
        self.is_old_flushed = match &self.old {
            Some(old) => known::has_file(&old.version),
            None => has_clean_directory,
        };
    }

    /// The last look, with all locks: whether it is what it was when it was read or staged. `Ok(false)`: it is not, and the
    /// caller is to begin again.
    ///
    /// # Errors
    /// What makes the change impossible by now.
    pub fn look(&mut self, flush: bool) -> Result<bool> {
        if let Expected::NoPath(path) = &self.expected {
            return Ok(std::fs::symlink_metadata(path).is_err());
        }
        let now = self.target.existing()?;
        self.expected.check(now.as_ref())?;
        let version = now.as_ref().map(|now| &now.version);
        if !leaves_out(Step::LastLook) && !self.is_expected(now.as_ref()) {
            return Ok(false);
        }
        match &self.change {
            Change::Write(_, options) if options.exclusive && now.is_some() => {
                return Err(Error::raw("open", sys::EEXIST));
            }
            Change::Remove(true) if now.is_none() => return Err(Error::raw("unlink", sys::ENOENT)),
            Change::Remove(false) if now.is_none() => self.change = Change::Keep,
            Change::Rename(from) => {
                // What is renamed is what was linked.
                let linked = self.staged.as_ref().map_or(&[][..], |staged| &staged.ids);
                if from.existing()?.is_none_or(|source| !linked.contains(&source.version.id)) {
                    return Ok(false);
                }
            }
            _ => {}
        }
        if version != self.old.as_ref().map(|old| &old.version) {
            // Another file by now, whose owner and mode are to be kept.
            let is_other =
                now.as_ref().map(|now| &now.version.id) != self.old.as_ref().map(|old| &old.version.id);
            let is_changed = match (version, &self.old) {
                (Some(now), Some(old)) => !now.has_content_of(&old.version),
                _ => true,
            };
            if let (Change::Write(_, options), Some(staged), true) =
                (&self.change, &mut self.staged, is_other)
            {
                let file = match staged.open.take() {
                    Some((file, _)) => file,
                    None => self.target.dir.open_to_overwrite(&staged.temp.name).named("open")?,
                };
                let again =
                    Staged::named(file, TempName { dir: self.target.dir.clone(), name: Default::default() });
                again.set_access(&self.target, now.as_ref(), options.mode)?;
                self.receipt.durable &= flush && again.sync()?;
            }
            // Not before: what fails for a moment is tried again, and all of it.
            self.is_old_flushed &= !is_changed;
            self.old_hash = self.old_hash.filter(|_| !is_changed);
            self.old = now;
        }
        Ok(true)
    }

    /// Whether a power cut could bring back something else than what is there.
    pub fn needs_flushed_old(&self) -> bool {
        self.changes() && !self.is_old_flushed
    }

    /// Flushes what is there.
    ///
    /// # Errors
    /// Those of fsync(2).
    pub fn flush_old(&self) -> Result<()> {
        if self.old.is_none() {
            return Ok(());
        }
        match self.target.dir.open_to_flush(&self.target.name) {
            Ok(file) => flush::file(&file).named("fsync").map(drop),
            // A file that this user may neither read nor write: its writer flushes it, or nobody. One that is gone is noticed later.
            Err(error) if is_gone_or_refused(&error) => Ok(()),
            Err(error) => Err(error).named("open"),
        }
    }

    /// What has its name now is on disk.
    pub fn note_flushed(&self) {
        if matches!(self.change, Change::Write(..))
            && let Some(staged) = &self.staged
            && let Ok(Some(stat)) = self.target.existing()
            // Another process may have put its own there, or written into this one, and not flushed it.
            && stat.version.id.number() == staged.mark.inode
            && (stat.version.size, stat.version.modified) == (staged.mark.size, staged.modified)
        {
            let old = self.old.as_ref().map(|old| &old.version.id);
            known::note_file(&self.target.dir, stat.version, old);
        }
    }

    /// Whether its directory is still where the path led.
    pub fn is_in_place(&self) -> bool {
        !self.target.is_moved()
    }

    /// Whether it is only to be what it was when it was read.
    pub fn is_read(&self) -> bool {
        !self.changes() && !self.is_index && self.receipt.verified.is_none()
    }

    /// As the last part of [`Item::look`], right before the names change.
    ///
    /// # Errors
    /// Those of [`Target::existing`].
    pub fn is_as_expected(&self) -> Result<bool> {
        let is_to_be_looked_at = matches!(self.expected, Expected::Version(_));
        Ok(!is_to_be_looked_at || self.is_expected(self.target.existing()?.as_ref()))
    }

    /// Whether what is there `now` is the version that is to be.
    fn is_expected(&self, now: Option<&Stat>) -> bool {
        match (&self.expected, now) {
            (Expected::Version(Some(expected)), Some(now)) => now.version.has_content_of(expected),
            (Expected::Version(expected), now) => expected.is_none() && now.is_none(),
            _ => true,
        }
    }

    /// Whether anything is to be done.
    pub fn changes(&self) -> bool {
        !matches!(self.change, Change::Keep)
    }

    /// As a record has it. `dir`: where its directory is below the root.
    pub fn op(&self, dir: &Path) -> Op {
        let old = self.old.as_ref().map(|Stat { version, .. }| OldMark {
            inode: version.id.number(),
            size: version.size,
            modified: version.modified,
            changed: version.changed,
            hash: self.old_hash,
        });
        let staged = self.staged.as_ref().map(|staged| (staged.temp.name.clone(), staged.mark));
        Op { dir: dir.to_owned(), name: self.target.name.clone(), staged, is_index: self.is_index, old }
    }

    /// What is moved to it: the name that goes, and what says which file it is.
    pub fn moved(&self) -> Option<(Key, Vec<FileId>)> {
        match (&self.change, &self.staged) {
            (Change::Rename(from), Some(staged)) => Some((from.key(), staged.ids.clone())),
            _ => None,
        }
    }

    /// The file that has its name goes because it was moved: what says which one it is.
    pub fn moved_away<'a>(&self, moved: &'a Moved) -> Option<&'a [FileId]> {
        let is_removal = matches!(self.change, Change::Remove(_)) && !moved.is_empty();
        is_removal.then(|| moved.get(&self.target.key()).map(Vec::as_slice)).flatten()
    }

    /// Whether it is to go because it was moved, and another file has its name by now.
    pub fn is_newer_than(&self, moved: &Moved) -> bool {
        let is_other = |file: &[FileId]| self.old.as_ref().is_none_or(|old| !file.contains(&old.version.id));
        self.moved_away(moved).is_some_and(is_other)
    }

    /// Gives the staged file its name, or removes the file. `moved`: it is removed because it was moved; with the one that takes its name away.
    ///
    /// # Errors
    /// Those of rename(2) and unlink(2).
    pub fn publish(&mut self, moved: Option<(&[FileId], &Taker)>) -> Result<()> {
        self.rename(moved)?;
        self.note_state();
        Ok(())
    }

    fn rename(&mut self, moved: Option<(&[FileId], &Taker)>) -> Result<()> {
        let Self { target, change, staged, old, .. } = self;
        match (change, staged) {
            (Change::Remove(_), _) => {
                let gone = match moved {
                    Some((file, taker)) => away::remove_if_same(&target.dir, &target.name, file, taker)?,
                    None => away::remove(&target.dir, &target.name)?,
                };
                self.receipt.written |= gone != Gone::Before;
                Ok(())
            }
            (Change::Write(_, options), Some(staged)) if old.is_none() => {
                match staged.temp.create(target, options.create()) {
                    Err(error) if !options.exclusive && error.errno_of("rename") == Some(sys::EEXIST) => {
                        staged.temp.replace(target)
                    }
                    created => created,
                }
            }
            (_, Some(staged)) => {
                let name = staged.temp.name.clone();
                staged.temp.replace(target)?;
                // A rename between two names of one file does nothing.
                if matches!(self.change, Change::Rename(_)) {
                    drop(target.dir.unlink(&name));
                }
                Ok(())
            }
            (_, None) => Ok(()),
        }
    }

    /// The staged file keeps its name: recovery is to find it.
    pub fn leave(&mut self) {
        if let Some(staged) = &mut self.staged {
            staged.temp.forget();
        }
    }
}

fn is_gone_or_refused(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
        || matches!(error.raw_os_error(), Some(sys::ENOENT | sys::ELOOP))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;

    use super::*;
    use crate::cancel::Cancel;
    use crate::dir::Resolve;
    use crate::write::Options;

    #[test]
    fn a_file_that_somebody_has_written_into_since_is_not_known_to_be_on_disk() {
        for is_written_into in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("a");
            let target = Target::resolve(&path, Resolve { mkdir: false, exclusive: false }).unwrap();
            let change = Change::Write(b"new".to_vec(), Options::default());
            let mut item = Item::new(target, change, Expected::Any, false);
            item.look_first().unwrap();
            item.stage(&Staging::new("TTTTPPPP".into()), true, &Cancel::default()).unwrap();
            item.publish(None).unwrap();
            if is_written_into {
                fs::write(&path, "odd").unwrap();
            }
            item.note_flushed();
            let version = item.target.existing().unwrap().unwrap().version;
            let tells_changes = item.target.dir.file_system().tells_changes;
            assert_eq!(known::has_file(&version), tells_changes && !is_written_into);
        }
    }
}
