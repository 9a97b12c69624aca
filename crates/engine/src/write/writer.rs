//! A file that comes piece by piece, for content that is never in memory as a whole.
//!
//! The path is followed, and the file staged, when it is opened; from then on only a digest of what was
//! written is kept, and what is on disk is read back against it. Before the commit, the file that is there
//! already is not touched.

use std::path::Path;

use crate::cancel::Cancel;
use crate::dir::{Resolve, Target, sweep};
use crate::error::{Error, Result};
use crate::process::{DescriptorBudget, Key, Replaced, Slot, deferred_close};
use crate::sys;
use crate::transaction::pending;
use crate::write::digest::Running;
use crate::write::finish::{LARGE, finish};
use crate::write::options::{Options, Receipt};
use crate::write::published::Published;
use crate::write::staged::{Attempt, Staged};
use crate::write::unchanged::leave_alone;
use crate::write::verify::Content;

/// The files that are open: each has a descriptor, and perhaps its directory's.
static OPEN: DescriptorBudget = DescriptorBudget::one_in(4);

/// A file on its way. Dropped before it was committed, it is gone.
#[derive(Debug)]
pub struct Writer {
    target: Target,
    /// `None` once it is closed.
    staged: Option<Staged>,
    /// Whether no other user may read it before it has the mode of the file that it replaces.
    private: bool,
    written: Running,
    /// How much of it was sent ahead to the device.
    sent: u64,
    options: Options,
    _slot: Slot,
}

impl Writer {
    /// Follows `path` and stages a file for it.
    ///
    /// # Errors
    /// Those of [`Target::resolve`] and of open(2); `EMFILE` if too many are open.
    pub fn open(path: &Path, options: Options, mkdir: bool, cancel: &Cancel) -> Result<Self> {
        cancel.check()?;
        let slot = OPEN.take().ok_or_else(|| Error::raw("open", sys::EMFILE))?;
        let target = Target::resolve(path, Resolve { mkdir, exclusive: options.exclusive })?.to_write()?;
        let _ = pending::look(&target.dir)?;
        sweep::once(&target.dir);
        let private = options.mode.is_some() || target.existing()?.is_some();
        let staged = Some(Staged::new(&target, private, options.exclusive)?);
        Ok(Self { target, staged, private, written: Running::default(), sent: 0, options, _slot: slot })
    }

    /// The queue to join before the commit.
    pub fn key(&self) -> Key {
        self.target.key()
    }

    /// Appends.
    ///
    /// # Errors
    /// Those of write(2); the file is of no use then.
    pub fn write(&mut self, data: &[u8], cancel: &Cancel) -> Result<()> {
        let alone = self.target.dir.commits() == 0;
        let staged = self.staged.as_mut().ok_or_else(closed)?;
        let length = self.written.bytes();
        deferred_close::retry_when_full(|again| {
            if again {
                staged.cut(length)?;
            }
            staged.write(data, false, cancel)
        })?;
        self.written.add(data);
        if self.options.flush && alone && self.written.bytes() - self.sent >= LARGE as u64 {
            staged.start_write_back();
            self.sent = self.written.bytes();
        }
        Ok(())
    }

    /// Puts the file under its name. The caller has the turn for it ([`crate::process::queue`]).
    ///
    /// # Errors
    /// Whatever fails first. The old file stands, unless [`Error::committed`]. After an error that
    /// [passes](Error::is_transient) it can be tried again.
    pub fn publish(&mut self, cancel: &Cancel) -> Result<Published> {
        let Self { target, staged, private, written, options, .. } = self;
        let content = Content::Digest(written.digest());
        let _at_work = target.dir.begin_commit();
        loop {
            cancel.check()?;
            target.place.check(target.dir.id())?;
            let file = staged.as_mut().ok_or_else(closed)?;
            let old = target.existing()?;
            if options.exclusive && old.is_some() {
                return Err(Error::raw("open", sys::EEXIST));
            }
            if *private && old.is_none() && options.mode.is_none() {
                // What was to be replaced is gone, and only when a file is made does it get a new one's mode.
                *private = false;
                *staged = Some(file.restage(target, *private, cancel)?);
                continue;
            }
            if options.if_changed && old.as_ref().is_some_and(|old| old.version.size == content.size()) {
                if let Some(level) = options.verify {
                    // Otherwise the copy that is compared with the old file may not be what was given.
                    file.verify(content, level, cancel)?;
                }
                let same = Content::Copy { of: file.file(), bytes: content.size() };
                if let Some(receipt) = leave_alone(target, same, options, cancel)? {
                    *staged = None;
                    // Compared with a copy that was itself not compared.
                    let verified = options.verify.and(receipt.verified);
                    let receipt = Receipt { verified, ..receipt };
                    return Ok(Published::new(receipt, target, None, None));
                }
            }
            let finished = finish(file, target, old.as_ref(), content, options, cancel)?;
            cancel.check()?;
            target.place.check(target.dir.id())?;
            let over = old.map(|_| Replaced::hold(&target.dir, &target.name));
            match finished.publish(file, target, over)? {
                Attempt::Published(published) => {
                    staged.take().map(Staged::close).transpose()?;
                    return Ok(published);
                }
                Attempt::Restage => *staged = Some(file.restage(target, *private, cancel)?),
                Attempt::Taken if options.exclusive => return Err(Error::raw("open", sys::EEXIST)),
                // The file that was made meanwhile has an owner and a mode to take over.
                Attempt::Taken => {}
            }
        }
    }
}

impl Writer {
    /// Discards the file on this thread.
    pub fn discard(mut self) {
        drop(self.staged.take());
    }
}

/// Freeing a large file takes long, and this may be dropped on JavaScript's thread.
impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(staged) = self.staged.take() {
            staged.discard();
        }
    }
}

fn closed() -> Error {
    Error::raw("write", sys::EBADF)
}
