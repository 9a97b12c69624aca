//! The version of an index that is replaced is kept under another name.
//!
//! The new version and the old one change places, in one step, and the old one moves on to its name: nothing is copied
//! however large it is, and the name of the index is touched once, as without a backup (a link to the old one would be
//! a change of that file for those who watch it). Where that is not possible (another file system, one that cannot
//! exchange) its text is written once more.
//!
//! Everything that can be asked before is asked before: what fails leaves the older backup as it was. A process that is
//! killed between the two steps leaves the new index and the older backup.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::cancel::Cancel;
use crate::dir::{Directory, Resolve, Target, names};
use crate::error::{Advice, Error, Named, Result};
use crate::index::generations;
use crate::index::options::{BackupOptions, UpdateOptions};
use crate::index::snapshot::Snapshot;
use crate::process::Replaced;
use crate::process::flush;
use crate::sys;
use crate::write::{Attempt, Finished, Options, Published, Staged, TempName, commit, in_place};

/// Mode of a file that nobody will see.
const PRIVATE: u32 = 0o600;

/// A backup that is about to be made.
#[derive(Debug)]
pub struct Backup<'a> {
    /// The version that the index has now.
    old: &'a Snapshot,
    /// Where it is to go.
    to: Target,
    options: &'a Options,
    plan: &'a BackupOptions,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Move,
    /// Complete except for its name.
    Copy(Staged, Finished),
}

impl<'a> Backup<'a> {
    /// For `old`, the version that `index` has now. `None`: nothing is to be kept, or it is kept already.
    ///
    /// # Errors
    /// Those of a rename to `index`; and [about](Error::other_path) the backup those of a rename and of a write, and
    /// `EINVAL` if it is the index itself.
    pub fn prepare(
        index: &Target,
        old: &'a Snapshot,
        options: &'a UpdateOptions,
        cancel: &Cancel,
    ) -> Result<Option<Self>> {
        let Some(plan) = &options.backup else { return Ok(None) };
        index.check_replaceable()?;
        let prepare = |to: Target| {
            check_apart(&to, plan, index)?;
            match to.existing()? {
                // Renaming one name of a file over another does nothing.
                Some(there) if there.version.id == old.version.id => return Ok(None),
                Some(there) if !generations::is_due(&there.version, &old.version, plan.every) => {
                    return Ok(None);
                }
                Some(_) => to.check_replaceable()?,
                None => {}
            }
            let backup = Self { old, to, options: &options.commit, plan, way: Way::Move };
            if can_move(&index.dir, &backup.to.dir)? {
                // The program that wrote it may not have flushed it. (An overlay flushes a copy of it: see below.)
                if options.commit.flush && !index.dir.file_system().copies_up {
                    old.file.with(|file| flush::file(file).named("fsync"))?;
                }
                return Ok(Some(backup));
            }
            backup.copied(index, cancel).map(Some)
        };
        Target::resolve(&plan.path, Resolve { mkdir: options.mkdir, exclusive: false })
            .and_then(Target::to_write)
            .and_then(prepare)
            .map_err(|error| error.about(&plan.path))
    }

    /// The same backup, as a copy.
    fn copied(self, index: &Target, cancel: &Cancel) -> Result<Self> {
        let mode = index.existing()?.map(|stat| stat.access.mode);
        let options = Options { mode, exclusive: false, if_changed: false, ..self.options.clone() };
        let there = self.to.existing()?;
        let (text, to) = (self.old.bytes()?, &self.to);
        let (copy, finished) = loop {
            let _at_work = to.dir.begin_commit();
            let (mut copy, finished) = commit::stage(to, &text, there.as_ref(), &options, cancel)?;
            if !self.plan.every.is_zero() {
                // That of the version that it holds, by which the next one is due.
                copy.file().set_modified(time_of(self.old.version.modified)).named("utimensat")?;
            }
            // All that is left to do later is a rename.
            if copy.name(to)? {
                break (copy, finished);
            }
        };
        Ok(Self { way: Way::Copy(copy, finished), ..self })
    }

    /// Gives the new index its name, and the old one that of the backup. Where that takes long, `is_still` says before the names are given
    /// whether the index is to be replaced still.
    ///
    /// # Errors
    /// Those of [`Finished::publish`]; of the backup, [about](Error::other_path) it. Unless [`Error::committed`], both
    /// files are what they were.
    pub fn publish(
        self,
        finished: Finished,
        staged: &mut Staged,
        index: &Target,
        is_still: &dyn Fn() -> Result<bool>,
        cancel: &Cancel,
    ) -> Result<Attempt<Published>> {
        let Self { old, to, options, plan, way } = self;
        let about = |error: Error| error.about(to.path());
        match way {
            Way::Copy(copy, copied) => {
                generations::rotate(&to, plan.generations).map_err(about)?;
                let attempt = finished.publish(staged, index, Some(Replaced::OpenElsewhere))?;
                if matches!(attempt, Attempt::Published(_)) {
                    give_name(copy, copied, &to).map_err(|error| about(error).after_commit())?;
                }
                Ok(attempt)
            }
            Way::Move => {
                // With a temp name it is an orphan to a sweeper, but for this. If another process has locked it, that
                // lock serves too.
                old.file.handle().map(sys::hold);
                let moved = exchange_and_move(finished, staged, index, &to, options.flush, plan.generations);
                old.file.handle().map(sys::release);
                match moved {
                    // Nothing has changed.
                    Err(error) if error.errno_of("rename").is_some_and(sys::cannot_exchange) => {
                        let backup = Self { old, to: to.clone(), options, plan, way: Way::Move };
                        let copied = backup.copied(index, cancel).map_err(about)?;
                        if !is_still()? {
                            return Ok(Attempt::Taken);
                        }
                        copied.publish(finished, staged, index, is_still, cancel)
                    }
                    moved => moved,
                }
            }
        }
    }
}

/// From nanoseconds since 1970.
fn time_of(modified: i128) -> SystemTime {
    let since = Duration::from_nanos(u64::try_from(modified.unsigned_abs()).unwrap_or(u64::MAX));
    if modified < 0 { UNIX_EPOCH - since } else { UNIX_EPOCH + since }
}

/// An index cannot be its own backup, of no generation.
fn check_apart(to: &Target, plan: &BackupOptions, index: &Target) -> Result<()> {
    for target in generations::names(to, plan.generations) {
        if target.is_same(index)? {
            return Err(Error::raw("rename", sys::EINVAL));
        }
    }
    Ok(())
}

/// What is left to do to keep a version.
pub type Keep<'a> = Box<dyn FnOnce() -> Result<()> + 'a>;

/// Stages the text of `old` for where the backup is to be, if it is: for an index that is about to be overwritten. Returns
/// what gives it its name. A backup that cannot be replaced either is overwritten then.
///
/// # Errors
/// Those of [`commit::stage`], [about](Error::other_path) the backup; `EINVAL` if it is the index itself.
pub fn stage_copy<'a>(
    index: &'a Target,
    old: &'a Snapshot,
    options: &'a UpdateOptions,
    cancel: &'a Cancel,
) -> Result<Option<Keep<'a>>> {
    let Some(plan) = &options.backup else { return Ok(None) };
    let about = move |error: Error| error.about(&plan.path);
    let stage = |to: Target| -> Result<Keep<'a>> {
        check_apart(&to, plan, index)?;
        if let Some(there) = to.existing()?
            && !generations::is_due(&there.version, &old.version, plan.every)
        {
            return Ok(Box::new(|| Ok(())));
        }
        let backup = Backup { old, to: to.clone(), options: &options.commit, plan, way: Way::Move };
        let staged = if in_place::is_needed(&to) { None } else { Some(backup.copied(index, cancel)) };
        match staged {
            Some(Ok(Backup { way: Way::Copy(copy, copied), to, .. })) => Ok(Box::new(move || {
                generations::rotate(&to, plan.generations).map_err(about)?;
                give_name(copy, copied, &to).map_err(about)
            })),
            Some(Err(error)) if !(error.needs_in_place() && to.existing()?.is_some()) => Err(error),
            _ => Ok(Box::new(move || {
                let mode = index.existing()?.map(|stat| stat.access.mode);
                let options = Options { mode, exclusive: false, if_changed: false, ..options.commit.clone() };
                commit::write(&to, &old.bytes()?, &options, cancel).map(drop).map_err(about)
            })),
        }
    };
    Target::resolve(&plan.path, Resolve { mkdir: options.mkdir, exclusive: false })
        .and_then(Target::to_write)
        .and_then(stage)
        .map(Some)
        .map_err(about)
}

/// Whether files can be moved between these directories: a rename between two mounts fails before it looks for the file.
fn can_move(from: &Directory, to: &Directory) -> Result<bool> {
    if from.id() == to.id() {
        return Ok(true);
    }
    if !from.id().is_on_device_of(to.id()) {
        return Ok(false);
    }
    // Whether files may be made there at all.
    drop(to.create_unnamed(PRIVATE).map_err(|error| Error::not_made(error, Advice::MakesFile))?);
    let nothing = "nothing".as_ref();
    let probe = names::with_temp_name(nothing, |missing| from.rename(missing, to, missing));
    match probe {
        Err(error) if error.raw_os_error().is_some_and(sys::cannot_exchange) => Ok(false),
        Err(error) if error.raw_os_error() == Some(sys::ENOENT) => Ok(true),
        probe => probe.map(|_| true).named("rename"),
    }
}

fn exchange_and_move(
    finished: Finished,
    staged: &mut Staged,
    index: &Target,
    to: &Target,
    flush: bool,
    generations: u32,
) -> Result<Attempt<Published>> {
    let about = |error: Error| error.about(to.path());
    // Before: the old version has a temp name after the exchange, and a kill would lose it.
    generations::rotate(to, generations).map_err(about)?;
    let (published, mut old) = match finished.exchange(staged, index)? {
        Attempt::Published(exchanged) => exchanged,
        Attempt::Taken => return Ok(Attempt::Taken),
        Attempt::Restage => return Ok(Attempt::Restage),
    };
    let moved = flush_copied_up(&old, flush).and_then(|()| old.replace(to));
    if let Err(error) = moved {
        return Err(if undo(&old, staged, index) {
            staged.keep_temp_name(old);
            about(error)
        } else {
            // The old version keeps its temp name, and this error is about the lesser harm.
            old.forget();
            about(error).after_commit()
        });
    }
    if flush && to.dir.id() != index.dir.id() {
        to.dir.sync().map_err(|error| about(error).after_commit())?;
    }
    Ok(Attempt::Published(published))
}

/// Lets both versions change places again, unless another program has replaced the new one.
fn undo(old: &TempName, staged: &Staged, index: &Target) -> bool {
    index.dir.is_same(&index.name, staged.file()).unwrap_or(false) && old.exchange(index).is_ok()
}

/// An overlay copies a file of a lower layer up before it renames it, unflushed (on btrfs it was empty after a power
/// cut): there the copy is flushed, by its new name.
fn flush_copied_up(old: &TempName, flush: bool) -> Result<()> {
    if flush && old.dir.file_system().copies_up {
        let file = old.dir.open_file(&old.name).named("open")?;
        sys::hold(&file);
        flush::file(&file).named("fsync")?;
    }
    Ok(())
}

/// Gives a copy the name of the backup.
fn give_name(mut copy: Staged, copied: Finished, to: &Target) -> Result<()> {
    match copied.publish(&mut copy, to, Some(Replaced::hold(&to.dir, &to.name)))? {
        Attempt::Published(published) => {
            copy.close()?;
            published.flush().map(drop)
        }
        // It has a temp name.
        Attempt::Taken | Attempt::Restage => Err(Error::raw("rename", sys::EEXIST)),
    }
}
