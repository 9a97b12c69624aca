//! One file of a batch, from its bytes to its name.

use std::ffi::OsString;
use std::sync::Arc;

use crate::batch::folder::Folder;
use crate::batch::kept::Kept;
use crate::cancel::Cancel;
use crate::dir::{Directory, Target, fold, sweep};
use crate::error::{Error, ErrorKind, Named, Result};
use crate::mutant::{Step, leaves_out};
use crate::process::flush;
use crate::process::{Key, Old, Replaced};
use crate::sys::{self, Dir, Stat, Version};
use crate::write::unchanged::unchanged;
use crate::write::{Attempt, Content, Digest, Level, Options, Receipt, Running, Staged, Unchanged};

/// A file that is staged, or left alone, and in the end has its name.
#[derive(Debug)]
pub struct Entry {
    folder: Arc<Folder>,
    name: OsString,
    options: Options,
    /// What was under the name when this was staged: the file has its owner and mode from there.
    seen: Option<Version>,
    digest: Option<Digest>,
    receipt: Receipt,
    flushed: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Complete except for its name.
    Staged(Kept),
    /// The same after the last look; and whether there is a file to replace.
    Ready(Kept, bool),
    /// It held the bytes already.
    LeftAlone,
    /// It has its name.
    Published,
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let State::Staged(Kept::Detached(file)) | State::Ready(Kept::Detached(file), _) = &self.state {
            self.folder.remove(&file.name);
        }
    }
}

impl Entry {
    /// Stages a file: written, read back (except for [`Level::Device`]), on its way to the device.
    ///
    /// # Errors
    /// Whatever fails first. Nothing is left.
    pub fn stage(
        folder: &Arc<Folder>,
        target: &Target,
        data: &[u8],
        options: &Options,
        cancel: &Cancel,
    ) -> Result<Self> {
        let old = target.existing()?;
        if options.exclusive && old.is_some() {
            return Err(Error::raw("open", sys::EEXIST));
        }
        let content = Content::Bytes(data);
        let entry = |state, seen, digest, written, verified| Self {
            folder: folder.clone(),
            name: target.name.clone(),
            options: options.clone(),
            seen,
            digest,
            receipt: Receipt { written, bytes: content.size(), durable: false, verified, atomic: true },
            flushed: false,
            state,
        };
        if options.if_changed
            && old.is_some()
            && let Some(Unchanged { version, level, .. }) = unchanged(target, content, options, cancel)?
        {
            return Ok(entry(State::LeftAlone, Some(version), None, false, Some(level)));
        }
        sweep::once(&target.dir);
        let _at_work = target.dir.begin_commit();
        let later = options.flush && options.verify == Some(Level::Device);
        loop {
            let mut staged = Staged::new(target, old.is_some() || options.mode.is_some(), options.exclusive)?;
            staged.write(data, false, cancel)?;
            staged.set_access(target, old.as_ref(), options.mode)?;
            if options.flush {
                staged.start_write_back();
            }
            let verified = match options.verify {
                Some(level) if !later => Some(staged.verify(content, level, cancel)?),
                _ => None,
            };
            // Some file systems report only at a close that a write was lost.
            sys::flush_and_close_copy(staged.file()).named("close")?;
            let Some(kept) = Kept::keep(staged, folder, target)? else { continue };
            let digest = later.then(|| {
                let mut running = Running::default();
                running.add(data);
                running.digest()
            });
            return Ok(entry(State::Staged(kept), old.map(|old| old.version), digest, true, verified));
        }
    }

    /// The queue it joins.
    pub fn key(&self) -> Key {
        Key::File(self.folder.id().clone(), fold(&self.name))
    }

    /// Whether the other one is of the same file.
    pub fn is_same(&self, other: &Self) -> Result<bool> {
        let same_folder = self.folder.id() == other.folder.id();
        Ok(same_folder && self.folder.open()?.is_one_name(&self.name, &other.name)?)
    }

    /// Flushes the content, and reads it back from the device if that is wanted.
    pub fn flush(&mut self, cancel: &Cancel) -> Result<()> {
        if !self.options.flush || self.flushed {
            return Ok(());
        }
        cancel.check()?;
        let dir = self.folder.open()?;
        if matches!(self.state, State::LeftAlone) {
            let file = match dir.open_file(&self.name).named("open") {
                Err(error) if error.errno_of("open") == Some(sys::ENOENT) => {
                    // It may be gone with its directory.
                    self.folder.check_place(&dir)?;
                    return Err(ErrorKind::Changed.into());
                }
                file => file?,
            };
            if !is_as(&Dir::stat_file(&file).named("fstat")?.1, self.seen.as_ref()) {
                return Err(ErrorKind::Changed.into());
            }
            self.receipt.durable = flush::file(&file).named("fsync")?;
            self.flushed = true;
            return Ok(());
        }
        let digest = self.digest;
        let State::Staged(kept) = &mut self.state else { return Ok(()) };
        let flushed = kept.with(&dir, |staged| {
            let durable = leaves_out(Step::BatchSync) || staged.sync()?;
            let verify = |digest| staged.verify(Content::Digest(digest), Level::Device, cancel);
            Ok((durable, digest.map(verify).transpose()?))
        })?;
        self.flushed = true;
        self.receipt.durable = flushed.0;
        self.receipt.verified = flushed.1.or(self.receipt.verified);
        Ok(())
    }

    /// The last look before the renames; the caller has the turn. Takes over what has changed since, and gives the
    /// staged file a temp name.
    ///
    /// # Errors
    /// Whatever would have failed the write by now, or will: `EEXIST`, `EISDIR`, `EBUSY`, …; [`ErrorKind::Changed`].
    pub fn prepare(&mut self, cancel: &Cancel) -> Result<()> {
        if matches!(self.state, State::Ready(..)) {
            return Ok(());
        }
        cancel.check()?;
        let dir = self.folder.open_to_publish()?;
        let target = self.folder.target(dir.clone(), &self.name);
        let found = target.existing()?;
        if self.options.exclusive && found.is_some() {
            return Err(Error::raw("open", sys::EEXIST));
        }
        let version = found.as_ref().map(|found| &found.version);
        if matches!(self.state, State::LeftAlone) {
            return match version {
                Some(version) if is_as(version, self.seen.as_ref()) => Ok(()),
                _ => Err(ErrorKind::Changed.into()),
            };
        }
        if found.is_some() {
            target.check_replaceable()?;
        }
        let other = found.is_some() && version != self.seen.as_ref();
        let options = &self.options;
        let State::Staged(kept) = &mut self.state else { return Ok(()) };
        let durable = kept.with(&dir, |staged| {
            let durable = if other { take_over(staged, &target, found.as_ref(), options)? } else { None };
            if staged.name(&target)? {
                return Ok(durable);
            }
            // A file that cannot get a name moves into one that has a name.
            *staged = staged.restage(&target, found.is_some() || options.mode.is_some(), cancel)?;
            take_over(staged, &target, found.as_ref(), options)
        })?;
        self.receipt.durable &= durable.unwrap_or(true);
        if let State::Staged(kept) = std::mem::replace(&mut self.state, State::Published) {
            self.state = State::Ready(kept, found.is_some());
        }
        Ok(())
    }

    /// Gives the file its name, and returns the file that had it before. `closed` gets the error of closing it.
    pub fn publish(&mut self, dir: &Arc<Directory>, closed: &mut dyn FnMut(Error)) -> Result<Option<Old>> {
        let State::Ready(kept, replaces) = &mut self.state else { return Ok(None) };
        let target = self.folder.target(dir.clone(), &self.name);
        let hold = || Replaced::hold_one_of_many(dir, &self.name);
        let create = self.options.create();
        let mut over = replaces.then(hold);
        let old = loop {
            match kept.with(dir, |staged| staged.publish(&target, over.take(), create))? {
                Attempt::Published(old) => break old,
                Attempt::Taken if create.exclusive => return Err(Error::raw("open", sys::EEXIST)),
                // The file that was made meanwhile has an owner and a mode to take over. (A file with a temp name
                // need not be staged again.)
                Attempt::Taken | Attempt::Restage => {
                    let found = target.existing()?;
                    kept.with(dir, |staged| take_over(staged, &target, found.as_ref(), &self.options))?;
                    over = Some(hold());
                }
            }
        };
        if let State::Ready(Kept::Open(staged, _), _) = std::mem::replace(&mut self.state, State::Published)
            && let Err(error) = staged.close()
        {
            closed(error);
        }
        Ok(old)
    }

    /// Where it is.
    pub fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }

    /// Whether the directory is to be flushed for it.
    pub fn flushes(&self) -> bool {
        self.options.flush
    }

    /// What was done; as far as it depends on the entry alone.
    pub fn receipt(&self) -> Receipt {
        self.receipt
    }
}

/// Gives a staged file what it takes over from `old`, and flushes that if it is wanted.
fn take_over(
    staged: &Staged,
    target: &Target,
    old: Option<&Stat>,
    options: &Options,
) -> Result<Option<bool>> {
    staged.set_access(target, old, options.mode)?;
    options.flush.then(|| staged.sync()).transpose()
}

/// On some file systems a flush changes the time of the last change, which is not compared for that reason.
fn is_as(now: &Version, seen: Option<&Version>) -> bool {
    seen.is_some_and(|seen| now.id == seen.id && now.size == seen.size && now.modified == seen.modified)
}
