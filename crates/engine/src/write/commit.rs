//! The commit protocol: stage, write, take over owner and mode, flush, verify, rename, flush the
//! directory. Each step is there because data was lost without it; `docs/design.md` has the figures.

use crate::cancel::Cancel;
use crate::dir::{Target, sweep};
use crate::error::{Error, Result};
use crate::process::{Replaced, deferred_close};
use crate::steps::{self, Step};
use crate::sys::{self, Stat};
use crate::write::finish::{Finished, finish};
use crate::write::in_place::{self, InPlace};
use crate::write::options::{Options, Receipt};
use crate::write::published::Published;
use crate::write::staged::{Attempt, Staged};
use crate::write::unchanged::leave_alone;
use crate::write::verify::Content;

/// Puts `data` under the name of `target`. The caller has the turn for it ([`crate::process::queue`]).
///
/// # Errors
/// Whatever fails first. The old file stands, unless [`Error::committed`].
pub fn write(target: &Target, data: &[u8], options: &Options, cancel: &Cancel) -> Result<Receipt> {
    publish(target, data, options, cancel)?.flush()
}

/// As [`write()`], without the last step.
///
/// # Errors
/// As [`write()`].
pub fn publish(target: &Target, data: &[u8], options: &Options, cancel: &Cancel) -> Result<Published> {
    loop {
        cancel.check()?;
        let old = target.existing()?;
        if options.exclusive && old.is_some() {
            return Err(Error::raw("open", sys::EEXIST));
        }
        if options.if_changed
            && old.is_some()
            && let Some(receipt) = leave_alone(target, Content::Bytes(data), options, cancel)?
        {
            return Ok(Published::new(receipt, target, None, None));
        }
        if options.in_place && old.is_some() && in_place::is_needed(target) {
            match overwrite(target, data, options, cancel) {
                // It was there a moment ago.
                Err(error) if error.errno_of("open") == Some(sys::ENOENT) => continue,
                overwritten => return overwritten,
            }
        }
        // Only what stages a new file is tried again: a second fsync of the old one would lie.
        let attempt = |_| stage_and_publish(target, data, old.as_ref(), options, cancel);
        let attempted = match deferred_close::retry_when_full(attempt) {
            Err(error) if options.in_place && old.is_some() && error.needs_in_place() => {
                return overwrite(target, data, options, cancel);
            }
            attempted => attempted?,
        };
        match attempted {
            Attempt::Published(published) => return Ok(published),
            Attempt::Taken if options.exclusive => return Err(Error::raw("open", sys::EEXIST)),
            // The file that was made meanwhile has an owner and a mode to take over.
            Attempt::Taken | Attempt::Restage => {}
        }
    }
}

fn overwrite(target: &Target, data: &[u8], options: &Options, cancel: &Cancel) -> Result<Published> {
    // The other one will have done soon.
    let Some(file) = InPlace::open(target)? else { return Err(Error::raw("flock", sys::EAGAIN)) };
    let receipt = file.reserve(data, cancel)?.overwrite(options)?;
    Ok(Published::new(receipt, target, None, None))
}

fn stage_and_publish(
    target: &Target,
    data: &[u8],
    old: Option<&Stat>,
    options: &Options,
    cancel: &Cancel,
) -> Result<Attempt<Published>> {
    let _at_work = target.dir.begin_commit();
    let (mut staged, finished) = stage(target, data, old, options, cancel)?;
    let over = old.map(|_| Replaced::hold(&target.dir, &target.name));
    let attempt = finished.publish(&mut staged, target, over)?;
    if matches!(attempt, Attempt::Published(_)) {
        staged.close()?;
    }
    Ok(attempt)
}

/// Stages `data` for the place of `old`, complete except for its name. The caller has called `begin_commit` on the
/// directory.
///
/// # Errors
/// Whatever fails first; nothing is left then.
pub fn stage(
    target: &Target,
    data: &[u8],
    old: Option<&Stat>,
    options: &Options,
    cancel: &Cancel,
) -> Result<(Staged, Finished)> {
    let _during = steps::begin(Step::Stage);
    sweep::once(&target.dir);
    let mut staged = Staged::new(target, old.is_some() || options.mode.is_some(), options.exclusive)?;
    let content = Content::Bytes(data);
    staged.write(data, options.is_large(content) && target.dir.commits() == 1, cancel)?;
    let finished = finish(&staged, target, old, content, options, cancel)?;
    cancel.check()?;
    Ok((staged, finished))
}
