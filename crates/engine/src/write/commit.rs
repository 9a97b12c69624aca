//! The commit protocol: stage, write, take over owner and mode, flush, verify, rename, flush the
//! directory. Each step is there because data was lost without it; `docs/design.md` has the figures.

use std::cell::Cell;
use std::fs::File;

use crate::cancel::Cancel;
use crate::dir::flush::Failed;
use crate::dir::sweep;
use crate::dir::target::Target;
use crate::error::{Error, ErrorKind, Named, Result};
use crate::process::deferred_close::{self, Replaced};
use crate::sys::{self, Dir, Stat, Version};
use crate::write::finish::{finish, is_taken};
use crate::write::published::Published;
use crate::write::staged::{self, Publish, Staged};
use crate::write::verify::{self, Content, Level};

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

/// Puts `data` under the name of `target`. The caller has the turn for it ([`crate::process::queue`]).
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
            && let Some(receipt) = leave_alone(target, Content::Bytes(data), options, cancel)?
        {
            return Ok(Published { receipt, unflushed: None, old: None });
        }
        let replaced = Cell::new(None);
        let mut ready = || {
            replaced.set(old.is_some().then(|| Replaced::hold(&target.dir, &target.name)));
            Ok(true)
        };
        let gone = Cell::new(None);
        let mut after = |_: &File| gone.set(replaced.take().and_then(Replaced::into_old));
        let commit = Commit { target, data, options, cancel, old: old.as_ref() };
        match commit.run(&mut ready, &mut after)? {
            Some(published) => return Ok(Published { old: gone.take(), ..published }),
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
    let commit = Commit { target, data, options, cancel, old: old.as_ref() };
    commit.run(&mut ready, after)?.map(Published::flush).transpose()
}

/// One file on its way from bytes to its name.
struct Commit<'a> {
    target: &'a Target,
    data: &'a [u8],
    options: &'a Options,
    cancel: &'a Cancel,
    old: Option<&'a Stat>,
}

impl Commit<'_> {
    /// Stages, and publishes if `ready` says so; `after` gets to see the file under its final name. `None`:
    /// it was not ready, or the name was taken.
    fn run(
        &self,
        ready: &mut dyn FnMut() -> Result<bool>,
        after: &mut dyn FnMut(&File),
    ) -> Result<Option<Published>> {
        match self.attempt(ready, after) {
            // By what we have replaced ourselves, and not given back yet.
            Err(error) if error.is_full() && deferred_close::drain() => self.attempt(ready, after),
            done => done,
        }
    }

    fn attempt(
        &self,
        ready: &mut dyn FnMut() -> Result<bool>,
        after: &mut dyn FnMut(&File),
    ) -> Result<Option<Published>> {
        let Self { target, data, options, cancel, old } = *self;
        sweep::once(&target.dir);
        let _at_work = target.dir.begin_commit();
        loop {
            let mut staged = Staged::new(target, old.is_some() || options.mode.is_some())?;
            let content = Content::Bytes(data);
            staged.write(data, options.is_large(content) && target.dir.commits() == 1, cancel)?;
            let finished = finish(&staged, target, old, content, options, cancel)?;
            cancel.check()?;
            if !ready()? {
                return Ok(None);
            }
            let publish = if old.is_some() { Publish::Replace } else { Publish::Create };
            match finished.publish(&mut staged, target, publish) {
                Ok(published) => {
                    after(staged.file());
                    staged.close()?;
                    return Ok(Some(published));
                }
                Err(error) if target.dir.needs_temp_name() && staged::cannot_link(&error) => {}
                Err(error) if publish == Publish::Create && is_taken(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
}

/// For a file that holds the right bytes already: flushes it, for whoever wrote it may not have.
///
/// `None`: it holds something else, or may not be read.
pub(crate) fn leave_alone(
    target: &Target,
    content: Content<'_>,
    options: &Options,
    cancel: &Cancel,
) -> Result<Option<Receipt>> {
    let Some(Unchanged { file, level, .. }) = unchanged(target, content, options, cancel)? else {
        return Ok(None);
    };
    confirm(target, &file, content.size(), options, level).map(Some)
}

/// A file that has the right content already.
pub(crate) struct Unchanged {
    pub file: File,
    /// Its state before it was read: who changes it from then on makes it another.
    pub version: Version,
    /// How far it was read.
    pub level: Level,
}

/// The file, if it has this content already. A file of another size is not read.
pub(crate) fn unchanged(
    target: &Target,
    content: Content<'_>,
    options: &Options,
    cancel: &Cancel,
) -> Result<Option<Unchanged>> {
    let file = match target.dir.open_file(&target.name).named("open") {
        Ok(file) => file,
        Err(error) if error.is_transient() => return Err(error),
        Err(_) => return Ok(None),
    };
    let (_, version) = Dir::stat_file(&file).named("fstat")?;
    if version.size != content.size() {
        return Ok(None);
    }
    match verify::verify(&file, content, options.verify.unwrap_or(Level::Cache), cancel) {
        Ok(level) => Ok(Some(Unchanged { file, version, level })),
        Err(error) if matches!(error.kind(), ErrorKind::Verify { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes sure that a file which holds the right bytes already will go on doing so.
pub(crate) fn confirm(
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
