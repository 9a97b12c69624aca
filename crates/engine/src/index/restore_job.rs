//! Puts a backup in the place of the index, so that putting back the newest one undoes it.
//!
//! No version is without a name at any moment, however many backups there are: first each moves on by one and none goes, then
//! what the index is becomes the newest, by a link, then the index is replaced, and only then the backup that it was replaced
//! by leaves the row. A kill in between leaves one backup more than before, or a gap in the row.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cancel::Cancel;
use crate::dir::{Resolve, Target, names};
use crate::error::{Advice, Error, Named, Result};
use crate::index::aside;
use crate::index::file;
use crate::index::generations;
use crate::index::job::Opened;
use crate::index::options::UpdateOptions;
use crate::index::snapshot::Snapshot;
use crate::job::{Job, Step};
use crate::process::flush;
use crate::sys;
use crate::write::{Options, Receipt, TempName, commit};

/// More than there can be.
const MOST: u32 = 1001;

/// From a version to an earlier one.
pub struct RestoreJob {
    opened: Box<Opened>,
    given: PathBuf,
    /// The file to put back.
    from: PathBuf,
    /// Where the newest backup is.
    newest: PathBuf,
    stamp: String,
    options: UpdateOptions,
    /// The backups may have moved on: their names mean others from now on.
    has_begun: bool,
}

/// What was done.
pub struct Restored {
    /// To the index.
    pub receipt: Receipt,
    /// The version that was there is the newest backup now.
    pub is_kept: bool,
    /// The other name of a version that was broken.
    pub aside: Option<PathBuf>,
}

impl RestoreJob {
    /// Replaces the version in `opened`, which the caller calls `given`. It becomes the newest backup; if it is broken, it is set aside by a name that has
    /// `stamp` in it.
    pub fn new(
        opened: Box<Opened>,
        given: PathBuf,
        from: PathBuf,
        newest: PathBuf,
        stamp: String,
        options: UpdateOptions,
    ) -> Self {
        Self { opened, given, from, newest, stamp, options, has_begun: false }
    }

    fn restore(&mut self) -> Result<Restored> {
        let Opened { index, snapshot, .. } = &mut *self.opened;
        let (target, cancel) = (index.target(), Cancel::default());
        let how = Resolve { mkdir: false, exclusive: false };
        let source = Target::resolve(&self.from, how).and_then(|source| {
            let snapshot = file::read(&source, &self.options)?.ok_or_else(Error::missing)?;
            Ok((source, snapshot.bytes()?))
        });
        let (source, mut text) = source.map_err(|error| error.about(&self.from))?;
        let newest = Target::resolve(&self.newest, how).map_err(|error| error.about(&self.newest))?;
        let row = Row { newest, options: &self.options.commit };
        let place = row.place(&source)?;
        let changed = || Error::raw("rename", sys::EAGAIN);
        let Some(old) = &*snapshot else {
            self.has_begun = true;
            let settled = index.replace(&mut text, snapshot, &self.options, &cancel)?.ok_or_else(changed)?;
            return Ok(Restored { receipt: settled.in_place()?, is_kept: false, aside: None });
        };
        if old.fault.is_some() {
            self.has_begun = true;
            let aside = aside::set_aside(target, old, &self.stamp, &self.options.commit, &cancel)?;
            let aside = aside.ok_or_else(changed)?;
            let path = aside.path(&self.given);
            let replaced = index.replace(&mut text, snapshot, &self.options, &cancel);
            let settled = replaced.and_then(|settled| settled.ok_or_else(changed));
            // Who has the lock now may rely on the name.
            if let (Err(error), Some(old)) = (&settled, &*snapshot)
                && !error.committed()
                && matches!(index.has_lost_lock(), Ok(false))
            {
                aside.undo(target, old);
            }
            return Ok(Restored { receipt: settled?.in_place()?, is_kept: false, aside: Some(path) });
        }
        let is_same = old.says(&text, &self.options, &cancel)?;
        self.has_begun = true;
        if !is_same {
            if !index.is_still(Some(old))? {
                return Err(changed());
            }
            row.push(target, old).map_err(|error| error.about(row.newest.path()))?;
        }
        let replaced = index.replace(&mut text, snapshot, &self.options, &cancel);
        match replaced.and_then(|settled| settled.ok_or_else(changed)?.in_place()) {
            Ok(receipt) => {
                if let (false, Some(place)) = (is_same, place) {
                    row.remove(place + 1).map_err(|error| error.about(row.newest.path()).after_commit())?;
                }
                Ok(Restored { receipt, is_kept: !is_same, aside: None })
            }
            Err(error) => {
                // If the index is another one by now, it may be the only name of that version.
                let is_old =
                    || Ok::<_, Error>(file::is_version(target.existing()?.as_ref(), snapshot.as_ref()));
                if !is_same && !error.committed() && matches!(is_old(), Ok(true)) {
                    // The first error is the one to report.
                    drop(row.remove(0));
                }
                Err(error)
            }
        }
    }
}

/// The backups, from the newest on.
struct Row<'a> {
    newest: Target,
    options: &'a Options,
}

impl Row<'_> {
    fn at(&self, place: u32) -> Target {
        if place == 0 { self.newest.clone() } else { self.newest.with_suffix(&format!(".{place}")) }
    }

    /// Where in the row it is.
    fn place(&self, source: &Target) -> Result<Option<u32>> {
        for place in 0..MOST {
            let backup = self.at(place);
            if source.is_same(&backup)? {
                return Ok(Some(place));
            }
            if backup.existing()?.is_none() {
                break;
            }
        }
        Ok(None)
    }

    /// `old`, which `index` is, becomes the newest.
    fn push(&self, index: &Target, old: &Snapshot) -> Result<()> {
        // After a kill it may be that already.
        if self.newest.existing()?.is_some_and(|stat| stat.version.id == old.version.id) {
            return Ok(());
        }
        generations::rotate(&self.newest, MOST)?;
        let link = |temp: &std::ffi::OsStr| index.dir.link(&index.name, &self.newest.dir, temp);
        loop {
            let linked = if self.options.in_place {
                None
            } else {
                names::with_temp_name(&self.newest.name, link).ok()
            };
            let Some((name, ())) = linked else {
                let mode = index.existing()?.map(|stat| stat.access.mode);
                let options = Options { mode, in_place: false, ..self.options.clone() };
                return commit::write(&self.newest, &old.bytes()?, &options, &Cancel::default()).map(drop);
            };
            match (TempName { dir: Arc::clone(&self.newest.dir), name }).replace(&self.newest) {
                // A sweeper took it for an orphan: nobody has locked it, as it is no new file.
                Err(error) if error.errno_of("rename") == Some(sys::ENOENT) => {}
                replaced => break replaced?,
            }
        }
        if self.options.flush {
            old.file.with(|file| flush::file(file).named("fsync"))?;
            self.newest.dir.sync()?;
        }
        Ok(())
    }

    /// Those behind it move up.
    fn remove(&self, place: u32) -> Result<()> {
        let mut to = self.at(place);
        for next in place + 1..=MOST {
            let from = self.at(next);
            if from.existing()?.is_none() {
                break;
            }
            from.dir.rename(&from.name, &to.dir, &to.name).map_err(|error| to.rename_failed(error))?;
            to = from;
        }
        if to.name == self.at(place).name { to.dir.unlink(&to.name).named("unlink") } else { Ok(()) }
    }
}

impl Job for RestoreJob {
    type Output = Restored;

    fn run(mut self) -> Step<Self> {
        match self.restore() {
            Err(error) if error.is_transient() && !self.has_begun => Step::Again(self, error),
            restored => Step::Done(restored.map_err(|error| error.of_lost_lock(Advice::Repeat))),
        }
    }
}
