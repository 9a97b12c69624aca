//! Puts a text in the place of the version that it was made of, unless that is not there any more.

use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::index::backup::{self, Backup};
use crate::index::cache;
use crate::index::file::{IndexFile, UpdateOptions, is_version};
use crate::index::snapshot::Snapshot;
use crate::process::Replaced;
use crate::sys;
use crate::write::in_place::{self, InPlace};
use crate::write::{Attempt, Published, commit};

/// A text, and what it is to replace.
pub(super) struct Replacement<'a> {
    pub index: &'a IndexFile,
    pub text: &'a [u8],
    /// `None`: no file.
    pub expected: Option<&'a Snapshot>,
    pub options: &'a UpdateOptions,
    pub cancel: &'a Cancel,
}

/// `None`: another version is there, or the lock counts for nothing any more.
type Done = Result<Option<(Published, Option<cache::State>)>>;

impl Replacement<'_> {
    /// As [`IndexFile::replace`], without the last step. Returns the state of the new file too.
    pub fn publish(&self) -> Done {
        let in_place = self.options.commit.in_place && self.expected.is_some();
        if in_place && in_place::is_needed(self.index.target()) {
            return self.overwrite();
        }
        match self.publish_new() {
            // It may be the backup that cannot be replaced.
            Err(error) if in_place && error.other_path().is_none() && error.needs_in_place() => {
                self.overwrite()
            }
            published => published,
        }
    }

    fn overwrite(&self) -> Done {
        let Self { index, text, expected, options, cancel } = *self;
        let target = index.target();
        let opened;
        let file = match index.lock().file() {
            Some(file) if file.is(target)? => file,
            // It could not be opened then, or a program without the lock has put another one in its place.
            _ => {
                opened = InPlace::open(target)?.ok_or_else(|| Error::raw("flock", sys::EAGAIN))?;
                &opened
            }
        };
        // The last look, although the copy of the old version and the room for the new one come after it: the file is locked as well.
        if !index.is_still(expected)? {
            return Ok(None);
        }
        let keep =
            expected.map(|old| backup::stage_copy(target, old, options, cancel)).transpose()?.flatten();
        let reserved = file.reserve(text, cancel)?;
        keep.map_or(Ok(()), |keep| keep())?;
        let receipt = reserved.overwrite(&options.commit)?;
        Ok(Some((Published::new(receipt, target, None, None), None)))
    }

    fn publish_new(&self) -> Done {
        let Self { index, text, expected, options, cancel } = *self;
        let target = index.target();
        loop {
            cancel.check()?;
            let old = target.existing()?;
            if !is_version(old.as_ref(), expected) {
                return Ok(None);
            }
            let _at_work = target.dir.begin_commit();
            let (mut staged, finished) = commit::stage(target, text, old.as_ref(), &options.commit, cancel)?;
            if !is_version(target.existing()?.as_ref(), expected) {
                return Ok(None);
            }
            let backup = match expected {
                Some(old) => Backup::prepare(target, old, options, cancel)?,
                None => None,
            };
            // The last look: a call that has taken a new lock by now is noticed here, and one that takes it later reads what is published here.
            if index.has_lost_lock()? {
                return Ok(None);
            }
            let over = expected.map(|_| Replaced::OpenElsewhere);
            let is_still = || index.is_still(expected);
            let attempt = match backup {
                Some(backup) => backup.publish(finished, &mut staged, target, &is_still, cancel)?,
                None => finished.publish(&mut staged, target, over)?,
            };
            match attempt {
                Attempt::Published(published) => {
                    let state = cache::State::of(staged.file());
                    staged.close()?;
                    return Ok(Some((published, state)));
                }
                Attempt::Taken => return Ok(None),
                Attempt::Restage => {}
            }
        }
    }
}
