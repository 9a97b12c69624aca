//! Puts another text in the place of an index that is held, whatever that says.

use std::path::PathBuf;

use crate::cancel::Cancel;
use crate::data::Data;
use crate::dir::{Resolve, Target};
use crate::error::{Advice, Error, Result};
use crate::index::aside;
use crate::index::file;
use crate::index::job::Opened;
use crate::index::options::UpdateOptions;
use crate::job::{Job, Step};
use crate::stats;
use crate::write::Options;

/// What an index is replaced by.
pub enum With {
    /// What this file says, byte for byte, which must be an index.
    File(PathBuf),
    /// JSON.
    Text(Data),
}

/// From a version that cannot be used to the one in its place.
pub struct MendJob {
    opened: Box<Opened>,
    given: PathBuf,
    with: With,
    stamp: String,
    options: UpdateOptions,
    cancel: Cancel,
    /// If the lock is lost.
    advice: Advice,
}

/// What was done.
pub struct Mended {
    /// The other name that the version has now which was replaced.
    pub aside: Option<PathBuf>,
}

impl MendJob {
    /// Replaces the version in `opened`, which the caller calls `given`, and sets it aside by a name that has `stamp` in it.
    pub fn new(
        opened: Box<Opened>,
        given: PathBuf,
        with: With,
        stamp: String,
        options: UpdateOptions,
        cancel: Cancel,
    ) -> Self {
        Self { opened, given, with, stamp, options, cancel, advice: Advice::TakeAgain }
    }

    /// Its lock was taken for this call.
    #[must_use]
    pub fn with_its_own_lock(self) -> Self {
        Self { advice: Advice::Repeat, ..self }
    }

    fn mend(&mut self) -> Result<Option<Mended>> {
        let Opened { index, snapshot, .. } = &mut *self.opened;
        let target = index.target();
        let mut options = self.options.clone();
        let mut text = match &self.with {
            With::File(path) => {
                let (text, mode) = read(path, &options).map_err(|error| error.about(path))?;
                if snapshot.is_none() {
                    options.commit = Options { mode: Some(mode), ..options.commit };
                }
                text
            }
            With::Text(data) => data.try_clone()?.into_json()?,
        };
        let Some(broken) = &*snapshot else {
            let settled = index.replace(&mut text, snapshot, &options, &self.cancel)?;
            return settled.map(|settled| settled.in_place().map(|_| Mended { aside: None })).transpose();
        };
        let aside = aside::set_aside(target, broken, &self.stamp, &options.commit, &self.cancel)?;
        let Some(aside) = aside else { return Ok(None) };
        let path = aside.path(&self.given);
        match index.replace(&mut text, snapshot, &options, &self.cancel) {
            Ok(Some(settled)) => settled.in_place().map(|_| Some(Mended { aside: Some(path) })),
            not_replaced => {
                // Who has the lock now may rely on the name.
                if let Some(broken) = &*snapshot
                    && not_replaced.as_ref().err().is_none_or(|error| !error.committed())
                    && matches!(index.has_lost_lock(), Ok(false))
                {
                    aside.undo(target, broken);
                }
                not_replaced.map(|_| None)
            }
        }
    }
}

/// The bytes of an index, and its mode.
fn read(path: &std::path::Path, options: &UpdateOptions) -> Result<(Vec<u8>, u32)> {
    let target = Target::resolve(path, Resolve { mkdir: false, exclusive: false })?;
    let mode = target.existing()?.map(|stat| stat.access.mode);
    let snapshot = file::read(&target, options)?;
    let (Some(mode), Some(snapshot)) = (mode, snapshot) else { return Err(Error::missing()) };
    Ok((snapshot.bytes()?, mode))
}

impl Job for MendJob {
    /// `None`: a program without the lock has changed the index.
    type Output = Option<Mended>;

    fn run(mut self) -> Step<Self> {
        match self.mend() {
            Err(error) if error.is_transient() => Step::Again(self, error),
            mended => {
                if matches!(mended, Ok(Some(_))) {
                    stats::recovered();
                }
                Step::Done(mended.map_err(|error| error.of_lost_lock(self.advice)))
            }
        }
    }
}
