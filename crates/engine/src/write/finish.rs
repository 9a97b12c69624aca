//! From a staged file that has all of its bytes to one that is safe to be given its name, and then to one
//! that has it: for one file at a time, however its bytes came. (A batch does the same steps for all of its
//! files, one step after the other.)

use crate::cancel::Cancel;
use crate::dir::{Failed, Target};
use crate::error::Result;
use crate::process::Replaced;
use crate::stats;
use crate::steps::{self, Step};
use crate::sys::Stat;
use crate::write::options::{Create, Options, Receipt};
use crate::write::published::Published;
use crate::write::staged::{Attempt, Staged};
use crate::write::temp_name::TempName;
use crate::write::verify::{Content, Level};

/// A file this large is on its way to the device while it is read back, before its fsync: 32 MiB went 1.15
/// times as fast, and 1 MiB no faster.
pub const LARGE: usize = 4 << 20;

impl Options {
    /// Whether the device is to begin before the file is complete.
    pub(crate) fn is_large(&self, content: Content<'_>) -> bool {
        self.flush && content.size() >= LARGE as u64
    }
}

/// What was done to a file that lacks only its name.
#[derive(Clone, Copy, Debug)]
pub struct Finished {
    receipt: Receipt,
    flush: bool,
    create: Create,
}

/// Gives the file its owner and mode, flushes it and reads it back, as `options` ask for.
///
/// # Errors
/// Whatever fails first; the file is not to be published then.
pub fn finish(
    staged: &Staged,
    target: &Target,
    old: Option<&Stat>,
    content: Content<'_>,
    options: &Options,
    cancel: &Cancel,
) -> Result<Finished> {
    staged.set_access(target, old, options.mode)?;
    let verify = || options.verify.map(|level| staged.verify(content, level, cancel)).transpose();
    let (durable, verified) = if options.is_large(content) && options.verify == Some(Level::Cache) {
        // The device works meanwhile.
        staged.start_write_back();
        let verified = verify()?;
        (staged.sync()?, verified)
    } else {
        (options.flush && staged.sync()?, verify()?)
    };
    let receipt = Receipt { written: true, bytes: content.size(), durable, verified, atomic: true };
    Ok(Finished { receipt, flush: options.flush, create: options.create() })
}

impl Finished {
    /// Gives the file its name.
    ///
    /// # Errors
    /// Those of [`Staged::publish`].
    pub fn publish(
        self,
        staged: &mut Staged,
        target: &Target,
        over: Option<Replaced>,
    ) -> Result<Attempt<Published>> {
        let before = self.unflushed(target);
        let _during = steps::begin(Step::Rename);
        let published = staged.publish(target, over, self.create)?;
        self.count(&published);
        Ok(published.map(|old| Published::new(self.receipt, target, before, old)))
    }

    /// Gives the file its name, and its temp name to the file that had it.
    ///
    /// # Errors
    /// Those of [`Staged::exchange`].
    pub fn exchange(self, staged: &mut Staged, target: &Target) -> Result<Attempt<(Published, TempName)>> {
        let before = self.unflushed(target);
        let _during = steps::begin(Step::Rename);
        let exchanged = staged.exchange(target)?;
        self.count(&exchanged);
        Ok(exchanged.map(|old| (Published::new(self.receipt, target, before, None), old)))
    }

    fn count<T>(&self, attempt: &Attempt<T>) {
        if matches!(attempt, Attempt::Published(_)) {
            stats::wrote(&self.receipt);
        }
    }

    /// To be called before the rename: a flush that fails after it may have lost the name.
    fn unflushed(&self, target: &Target) -> Option<Failed> {
        self.flush.then(|| target.dir.failed_flushes())
    }
}
