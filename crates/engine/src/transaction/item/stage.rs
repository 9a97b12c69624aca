//! The staged file of an item, from its bytes to the disk.

use std::ffi::OsStr;
use std::fs::File;

use super::{Change, Expected, Item};
use crate::cancel::Cancel;
use crate::dir::{Target, names};
use crate::error::{Advice, Error, Named, Result};
use crate::mutant::{Step, leaves_out};
use crate::process::flush;
use crate::process::{DescriptorBudget, Slot};
use crate::sys::{self, Dir, FileId, Kind, Version};
use crate::transaction::journal::Mark;
use crate::write::unchanged::unchanged;
use crate::write::{Content, Level, Receipt, Running, Staged, TempName, Unchanged, verify};

/// Staged files that are open until all of them are flushed at once; beyond that each is flushed by itself.
static OPEN: DescriptorBudget = DescriptorBudget::one_in(8);

/// An old file up to this size is read, so that it can be told from others even in a copy of the tree.
const LONGEST_OLD: u64 = 1 << 20;

/// How often a file is linked that others replace meanwhile.
const LINK_ROUNDS: usize = 64;

/// A file that is complete but for its name.
#[derive(Debug)]
pub struct StagedFile {
    /// Its name.
    pub temp: TempName,
    /// What tells it.
    pub mark: Mark,
    /// When it was written.
    pub modified: i128,
    /// Until it is flushed.
    pub open: Option<(File, Option<Slot>)>,
    /// Of one that is a link: what the names of the file say which file it is.
    pub ids: Vec<FileId>,
}

/// What is the same for all files that a transaction stages.
#[derive(Debug)]
pub struct Staging {
    /// Those in their names.
    tags: String,
    /// How many may be kept open.
    most_open: usize,
}

impl Staging {
    /// With these tags.
    pub fn new(tags: String) -> Self {
        Self { tags, most_open: OPEN.most() }
    }
}

/// Another name for a file.
struct Linked {
    temp: TempName,
    file: File,
    version: Version,
    ids: Vec<FileId>,
}

impl Item {
    /// Makes the staged file, read back and on its way to the device.
    ///
    /// # Errors
    /// Whatever fails first.
    pub fn stage(&mut self, staging: &Staging, flush: bool, cancel: &Cancel) -> Result<()> {
        if self.staged.is_some() {
            return Ok(());
        }
        cancel.check()?;
        match &self.change {
            Change::Keep | Change::Remove(_) => {
                if self.old.is_some() && matches!(self.change, Change::Remove(_)) {
                    // Found out before anything is recorded. (A staged file shows it for the others.)
                    self.target.dir.check_changeable().named("unlink")?;
                    self.target.check_replaceable()?;
                    self.old_hash = self.hash_of_old(cancel);
                }
                Ok(())
            }
            Change::Rename(from) => {
                let from = from.clone();
                self.target.check_written()?;
                self.stage_link(staging, &from, flush, cancel)
            }
            Change::Write(..) => {
                self.target.check_written()?;
                self.stage_write(staging, flush, cancel)
            }
        }
    }

    fn stage_write(&mut self, staging: &Staging, flush: bool, cancel: &Cancel) -> Result<()> {
        let Change::Write(data, options) = &self.change else { return Ok(()) };
        let target = &self.target;
        if options.exclusive && self.old.is_some() {
            return Err(Error::raw("open", sys::EEXIST));
        }
        let content = Content::Bytes(data);
        if options.if_changed
            && self.old.is_some()
            && let Some(Unchanged { file, version, level }) = unchanged(target, content, options, cancel)?
        {
            // The program that wrote it may not have flushed it.
            let durable = flush && flush::file(&file).named("fsync")?;
            self.receipt =
                Receipt { written: false, bytes: version.size, durable, verified: Some(level), atomic: true };
            self.expected = Expected::Version(Some(version));
            self.change = Change::Keep;
            return Ok(());
        }
        if self.old.is_some() {
            target.check_replaceable()?;
        }
        target.check_lets_go()?;
        let mode = if self.old.is_some() || options.mode.is_some() { 0o600 } else { 0o666 };
        let make = |name: &OsStr| target.dir.create_new(name, mode);
        let (name, file) = names::with_transaction_name(&target.name, &staging.tags, make)
            .map_err(|error| Error::not_made(error, Advice::MakesFile))?;
        let mut staged = Staged::named(file, TempName { dir: target.dir.clone(), name });
        staged.write(data, false, cancel)?;
        staged.set_access(target, self.old.as_ref(), options.mode)?;
        if flush {
            staged.start_write_back();
        }
        let verified = options.verify.map(|_| staged.verify(content, Level::Cache, cancel)).transpose()?;
        sys::flush_and_close_copy(staged.file()).named("close")?;
        let (_, version) = Dir::stat_file(staged.file()).named("fstat")?;
        let mut running = Running::default();
        running.add(data);
        let hash = Some(running.digest().hash());
        let mark = Mark { inode: version.id.number(), size: version.size, hash };
        self.receipt =
            Receipt { written: true, bytes: content.size(), durable: true, verified, atomic: true };
        let (file, temp) = staged.into_parts();
        let Some(temp) = temp else { return Err(Error::raw("open", sys::ENOENT)) };
        self.staged = Some(StagedFile {
            temp,
            mark,
            modified: version.modified,
            open: Some((file, None)),
            ids: Vec::new(),
        });
        self.old_hash = self.hash_of_old(cancel);
        self.keep_open_or_flush(staging, flush)
    }

    /// Another name for the file `from`.
    fn stage_link(&mut self, staging: &Staging, from: &Target, flush: bool, cancel: &Cancel) -> Result<()> {
        if self.old.is_some() {
            self.target.check_replaceable()?;
        }
        self.target.check_lets_go()?;
        let Linked { temp, file, version, ids } = self.link(&staging.tags, from)?;
        let mark = Mark { inode: version.id.number(), size: version.size, hash: None };
        self.receipt = Receipt { written: true, bytes: version.size, ..self.receipt };
        self.staged =
            Some(StagedFile { temp, mark, modified: version.modified, open: Some((file, None)), ids });
        self.old_hash = self.hash_of_old(cancel);
        self.keep_open_or_flush(staging, flush)
    }

    /// A name of its own for the file `from`, which others may replace meanwhile.
    ///
    /// An overlay copies a file of a lower layer up in order to link it. The new name may then say that it is another file than the old one
    /// goes on saying, until the kernel forgets the old name: where the layers are on several file systems, and the lower one has no UUID
    /// (as squashfs) or cannot tell its files after a restart. There two links tell, one made before a look at the old name and one after it: if they are
    /// one file, the old name stands for it, whatever it says.
    fn link(&self, tags: &str, from: &Target) -> Result<Linked> {
        let dir = &self.target.dir;
        let mut last: Option<Linked> = None;
        for _ in 0..LINK_ROUNDS {
            let Some(source) = from.existing()? else { break };
            let link = |name: &OsStr| from.dir.link(&from.name, dir, name);
            let name = match names::with_transaction_name(&self.target.name, tags, link) {
                // A file that is replaced that very moment has no name that could be linked.
                Err(error) if error.raw_os_error() == Some(sys::ENOENT) => continue,
                linked => linked.named("link")?.0,
            };
            let temp = TempName { dir: dir.clone(), name };
            let file = temp.dir.open_to_flush(&temp.name).named("open")?;
            let (kind, version) = Dir::stat_file(&file).named("fstat")?;
            let mut ids = vec![version.id.clone()];
            if version.id == source.version.id {
                return Ok(Linked { temp, file, version, ids });
            }
            ids.push(source.version.id);
            if dir.file_system().copies_up
                && kind == Kind::File
                && last.as_ref().is_some_and(|last| last.ids == ids)
            {
                return Ok(Linked { temp, file, version, ids });
            }
            last = Some(Linked { temp, file, version, ids });
        }
        Err(Error::raw("rename", sys::ENOENT).about(from.path()))
    }

    fn keep_open_or_flush(&mut self, staging: &Staging, flush: bool) -> Result<()> {
        let slot = OPEN.take_up_to(staging.most_open);
        if slot.is_none() {
            return self.flush(flush, &Cancel::default());
        }
        if let Some((_, open)) = self.staged.as_mut().and_then(|staged| staged.open.as_mut()) {
            *open = slot;
        }
        Ok(())
    }

    /// What the old file says; `None` where it is long, or cannot be read.
    fn hash_of_old(&self, cancel: &Cancel) -> Option<u128> {
        let old = self.old.as_ref().filter(|old| old.version.size <= LONGEST_OLD)?;
        let file = self.target.dir.open_file(&self.target.name).ok()?;
        let (_, version) = Dir::stat_file(&file).ok()?;
        (version == old.version)
            .then(|| verify::digest(&file, version.size, cancel).ok())?
            .map(|digest| digest.hash())
    }

    /// Flushes the staged file, if that is still to be done, and closes it.
    ///
    /// # Errors
    /// Those of fsync(2); [`ErrorKind::Verify`](crate::error::ErrorKind::Verify).
    pub fn flush(&mut self, flush: bool, cancel: &Cancel) -> Result<()> {
        let Some(StagedFile { open, mark, .. }) = &mut self.staged else { return Ok(()) };
        let Some((file, _)) = &open else { return Ok(()) };
        if !flush {
            self.receipt.durable = false;
        } else if !leaves_out(Step::StagedSync) {
            self.receipt.durable &= flush::file(file).named("fsync")?;
        }
        if let (Change::Write(data, options), Some(_), true) = (&self.change, mark.hash, flush)
            && options.verify == Some(Level::Device)
        {
            self.receipt.verified = Some(verify::verify(file, Content::Bytes(data), Level::Device, cancel)?);
        }
        let file = open.take();
        if let (Some(next), Some((file, _))) = (&mut self.next, file) {
            next.keep_open(file);
        }
        Ok(())
    }
}
