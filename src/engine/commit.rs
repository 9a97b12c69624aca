//! The commit protocol: stage, write, take over owner and mode, flush, verify, rename, flush the
//! directory. Each step is there because data was lost without it; `docs/design.md` has the figures.

use std::cell::Cell;
use std::fs::File;
use std::time::Instant;

use super::cancel::Cancel;
use super::error::{Error, ErrorKind, Named, Result};
use super::flush::Failed;
use super::published::Published;
use super::reap;
use super::staged::{self, Publish, Staged};
use super::sweep;
use super::sys::{self, Dir, Stat, Version};
use super::target::Target;
use super::verify::{self, Level};

/// A file this large is on its way to the device while it is read back, before its fsync: 32 MiB went 1.15
/// times as fast, and 1 MiB no faster.
const LARGE: usize = 4 << 20;

/// How to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Permission bits; `None`: those of the file that is replaced, else 0o666 less the umask.
    pub mode: Option<u32>,
    /// Fail with `EEXIST` if there is a file.
    pub exclusive: bool,
    /// Flush the file and its directory.
    pub flush: bool,
    /// Read back and compare.
    pub verify: Option<Level>,
    /// Leave a file that holds these bytes already as it is.
    pub if_changed: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { mode: None, exclusive: false, flush: true, verify: Some(Level::Cache), if_changed: false }
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// `false`: the file held these bytes already.
    pub written: bool,
    /// How many bytes the file has.
    pub bytes: u64,
    /// File and directory were flushed, on a file system where that means something.
    pub durable: bool,
    /// How far the bytes were read back.
    pub verified: Option<Level>,
}

/// Puts `data` under the name of `target`. The caller has the turn for it ([`super::queue`]).
///
/// # Errors
/// Whatever fails first. The old file stands, unless [`Error::committed`].
pub fn write(target: &Target, data: &[u8], options: &Options, cancel: &Cancel) -> Result<Receipt> {
    publish(target, data, options, cancel)?.flush()
}

/// As [`write()`], but for the last step.
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
            && let Some(receipt) = leave_alone(target, data, options, cancel)?
        {
            return Ok(Published { receipt, unflushed: None });
        }
        let replaced = Cell::new(None);
        let mut ready = || {
            let held = if old.is_some() && reap::is_slow() { target.dir.keep(&target.name) } else { None };
            replaced.set(Some((held, Instant::now())));
            Ok(true)
        };
        let mut after = |_: &File| match replaced.take() {
            Some((Some(held), _)) => reap::close(held),
            Some((None, since)) if old.is_some() => reap::note(since.elapsed()),
            _ => {}
        };
        match commit(target, data, options, cancel, old.as_ref(), &mut ready, &mut after)? {
            Some(published) => return Ok(published),
            None if options.exclusive => return Err(Error::raw("open", sys::EEXIST)),
            // Somebody made the file meanwhile. It has an owner and a mode to take over.
            None => {}
        }
    }
}

/// As [`write()`], but only over the version `expected` (`None`: no file). Otherwise nothing changes
/// and the answer is `None`. `before` runs when all is staged, right before the file is replaced, and
/// `after` right after it, with the new file.
///
/// Who changes the file between the last look and the rename, without the turn and the lock, is not
/// seen: rename(2) has no condition.
///
/// # Errors
/// As [`write()`]; those of `before`.
pub fn replace(
    target: &Target,
    data: &[u8],
    options: &Options,
    cancel: &Cancel,
    expected: Option<&Version>,
    before: &mut dyn FnMut() -> Result<()>,
    after: &mut dyn FnMut(&File),
) -> Result<Option<Receipt>> {
    cancel.check()?;
    let unchanged = || -> Result<(bool, Option<Stat>)> {
        let found = target.existing()?;
        let same = match (&found, expected) {
            (None, None) => true,
            (Some(found), Some(expected)) => found.version.has_content_of(expected),
            _ => false,
        };
        Ok((same, found))
    };
    let (true, old) = unchanged()? else {
        return Ok(None);
    };
    let mut ready = || {
        let (same, _) = unchanged()?;
        if same {
            before()?;
        }
        Ok(same)
    };
    let published = commit(target, data, options, cancel, old.as_ref(), &mut ready, after)?;
    published.map(Published::flush).transpose()
}

/// Stages, and publishes if `ready` says so; `after` gets to see the file under its final name. `None`:
/// it was not ready, or the name was taken.
fn commit(
    target: &Target,
    data: &[u8],
    options: &Options,
    cancel: &Cancel,
    old: Option<&Stat>,
    ready: &mut dyn FnMut() -> Result<bool>,
    after: &mut dyn FnMut(&File),
) -> Result<Option<Published>> {
    match attempt(target, data, options, cancel, old, ready, after) {
        // By what we have replaced ourselves, and not given back yet.
        Err(error) if error.is_full() && reap::drain() => {
            attempt(target, data, options, cancel, old, ready, after)
        }
        done => done,
    }
}

fn attempt(
    target: &Target,
    data: &[u8],
    options: &Options,
    cancel: &Cancel,
    old: Option<&Stat>,
    ready: &mut dyn FnMut() -> Result<bool>,
    after: &mut dyn FnMut(&File),
) -> Result<Option<Published>> {
    sweep::once(&target.dir);
    let _at_work = target.dir.begin_commit();
    loop {
        let private = old.is_some() || options.mode.is_some();
        let mut staged = Staged::new(target, private)?;
        let large = options.flush && data.len() >= LARGE;
        let alone = target.dir.commits() == 1;
        staged.write(data, large && alone, cancel)?;
        staged.set_access(target, old, options.mode)?;
        let verify = || options.verify.map(|level| staged.verify(data, level, cancel)).transpose();
        let (durable, verified) = if large && options.verify == Some(Level::Cache) {
            // The device works meanwhile.
            staged.start_write_back();
            let verified = verify()?;
            (staged.sync()?, verified)
        } else {
            (options.flush && staged.sync()?, verify()?)
        };
        cancel.check()?;
        if !ready()? {
            return Ok(None);
        }
        let publish = if old.is_some() { Publish::Replace } else { Publish::Create };
        let failed = target.dir.failed_flushes();
        match staged.publish(target, publish) {
            Ok(file) => {
                after(&file);
                sys::close(file).named("close").map_err(Error::after_commit)?;
            }
            Err(error) if target.dir.must_name() && staged::cannot_link(&error) => continue,
            Err(error) if publish == Publish::Create && is_taken(&error) => return Ok(None),
            Err(error) => return Err(error),
        }
        let receipt = Receipt { written: true, bytes: data.len() as u64, durable, verified };
        return Ok(Some(Published {
            receipt,
            unflushed: options.flush.then(|| (target.dir.clone(), failed)),
        }));
    }
}

/// For a file that holds `data` already: flushes it, for whoever wrote it may not have.
///
/// `None`: it holds something else, or may not be read.
fn leave_alone(target: &Target, data: &[u8], options: &Options, cancel: &Cancel) -> Result<Option<Receipt>> {
    let Ok(file) = target.dir.open_file(&target.name) else {
        return Ok(None);
    };
    if Dir::stat_file(&file).named("fstat")?.1.size != data.len() as u64 {
        return Ok(None);
    }
    let level = match verify::verify(&file, data, options.verify.unwrap_or(Level::Cache), cancel) {
        Ok(level) => level,
        Err(error) if matches!(error.kind(), ErrorKind::Verify { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    confirm(target, &file, data.len() as u64, options, level).map(Some)
}

/// Makes sure that a file which holds the right bytes already will go on doing so.
pub(super) fn confirm(
    target: &Target,
    file: &File,
    bytes: u64,
    options: &Options,
    level: Level,
) -> Result<Receipt> {
    // The name may be among what a failed flush has lost.
    let lost = target.dir.failed_flushes() != Failed::default();
    let durable = options.flush
        && sys::sync_file(file).named("fsync")?
        && target.dir.sync()?
        && target.dir.is_durable()
        && !lost;
    Ok(Receipt { written: false, bytes, durable, verified: Some(level) })
}

fn is_taken(error: &Error) -> bool {
    error.errno_of("link").or(error.errno_of("rename")) == Some(sys::EEXIST)
}
