//! The directory in which a new tree is built, beside the one that it is to replace.
//!
//! It has a temp name and is locked, as every temp file is, and guarded: if its builder is killed it stays behind, and
//! the next process that works there sweeps it. No other user may look inside until it is in its place.

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use crate::cancel::Cancel;
use crate::dir::made::Made;
use crate::dir::{Directory, Failed, Target, sweep};
use crate::error::{Error, ErrorKind, Named, Result};
use crate::process::flush;
use crate::process::{retry_transient, spawn_or_skip};
use crate::stats;
use crate::steps::{self, Step};
use crate::sys::{self, Dir, Kind, Stat};
use crate::tree::at::At;
use crate::tree::census;
use crate::tree::committed::Committed;
use crate::tree::guard::Guard;
use crate::tree::options::{TreeOptions, TreeReceipt};
use crate::tree::swap::{self, Swapped};
use crate::walk::remove::remove;

const PRIVATE: u32 = 0o700;
const PUBLIC: u32 = 0o777;
const SET_GROUP: u32 = 0o2000;

/// A tree on its way. Dropped before [`Staging::commit`], it is removed by a thread of its own.
#[derive(Debug)]
pub struct Staging {
    target: Target,
    /// Where the old tree is to go.
    keep: Option<Target>,
    options: TreeOptions,
    pub(crate) dir: Arc<Dir>,
    /// The lock; only here, because on some platforms it is the open file itself.
    held: Option<File>,
    guard: Option<Guard>,
    /// Where it is now.
    at: At,
    /// The directory's mode if there is none to take over.
    mode: u32,
    live: bool,
}

impl Staging {
    /// Makes the directory. Finds out whether the options can be fulfilled here, as far as that can be known while the
    /// directory is empty.
    ///
    /// # Errors
    /// [`NoExchange`](ErrorKind::NoExchange); `ENOTDIR`, `EXDEV`, `EINVAL` and others for where the old tree is to be kept.
    pub fn new(target: &Target, options: &TreeOptions) -> Result<Self> {
        let _during = steps::begin(Step::Stage);
        sweep::once(&target.dir);
        target.check_lets_go()?;
        let old = target.existing_directory()?;
        let keep = options.keep_previous.as_ref().map(|path| {
            Target::resolve_directory(path, options.mkdir)
                .and_then(|keep| check_disjoint(target, old.as_ref(), &keep).map(|()| keep))
                .map_err(|error| error.about(path))
        });
        let keep = keep.transpose()?;
        let made = make(target, old.is_some() || options.mode.is_some())?;
        let mode = made.dir.stat_self().named("fstat")?.access.mode;
        let staging = Self {
            target: target.clone(),
            keep,
            options: options.clone(),
            dir: Arc::new(made.dir),
            held: Some(made.held),
            guard: Some(made.with),
            at: At { dir: target.dir.clone(), name: made.name },
            mode,
            live: true,
        };
        match staging.prepare(old.as_ref()) {
            Ok(()) => Ok(staging),
            Err(error) => {
                staging.discard();
                Err(error)
            }
        }
    }

    fn prepare(&self, old: Option<&Stat>) -> Result<()> {
        self.close_to_others(old)?;
        if old.is_some() && !self.options.fallback {
            swap::probe(&self.dir)?;
        }
        if old.is_some() {
            swap::check_movable(&self.target, &self.at, &self.dir)?;
        }
        let Some(keep) = &self.keep else { return Ok(()) };
        if keep.dir.id() != self.target.dir.id() {
            swap::rehearse(&self.at, keep)?;
        }
        if keep.existing_directory()?.is_some() {
            swap::check_movable(keep, &self.at, &self.dir).map_err(|error| error.about(keep.path()))?;
        }
        Ok(())
    }

    /// Entries made in it inherit the group and the default ACL of the old one. Where it cannot be closed it may be as
    /// open as it will be in its place.
    fn close_to_others(&self, old: Option<&Stat>) -> Result<()> {
        let file = self.dir.as_file().named("open")?;
        let Target { dir, name, .. } = &self.target;
        let closed = |mode| PRIVATE | mode & SET_GROUP;
        match old {
            Some(Stat { access, .. }) => {
                let bears = |now, _| dir.bears(now, self.options.mode.unwrap_or(access.mode));
                sys::inherit(&file, dir, name, access, Some(closed(access.mode)), &bears)?;
            }
            None => {
                let bears = |now, _| dir.bears(now, self.options.mode.unwrap_or(self.mode));
                sys::set_mode(&file, closed(self.mode), &bears)?;
            }
        }
        Ok(())
    }

    /// Where it is, for the code that fills it.
    pub fn path(&self) -> PathBuf {
        self.at.path()
    }

    /// What it is to replace.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Sets its mode for the case that none was given and there is no directory to take it from.
    ///
    /// # Errors
    /// `EPERM` if it is more open than that, and cannot be closed.
    pub(crate) fn set_default_mode(&mut self, mode: u32) -> Result<()> {
        self.mode = mode;
        let now = self.dir.stat_self().named("fstat")?.access.mode;
        if self.target.dir.bears(now, mode) { Ok(()) } else { Err(Error::raw("fchmod", sys::EPERM)) }
    }

    /// Flushes the tree and puts it in its place. The caller has the turn for it.
    ///
    /// # Errors
    /// Whatever fails first. The old tree stands and this one is gone, unless [`Error::committed`].
    pub fn commit(mut self, cancel: &Cancel) -> Result<Committed> {
        match self.publish(cancel) {
            Ok(committed) => Ok(committed),
            Err(error) => {
                if !error.committed() {
                    self.discard();
                }
                Err(error)
            }
        }
    }

    fn publish(&mut self, cancel: &Cancel) -> Result<Committed> {
        let flush = self.options.flush;
        self.settle()?;
        let during = steps::begin(Step::Fsync);
        // When its caller hears of an error, the tree is gone from where it was filled.
        let (census, mut durable) = census::take(&self.dir, self.target.path(), flush, cancel)?;
        drop(during);
        let during = steps::begin(Step::Rename);
        let (swapped, failed, held) = loop {
            let old = self.target.existing_directory()?;
            self.open_to_others(old.as_ref())?;
            durable &= flush && flush::directory(&self.dir).named("fsync")?;
            cancel.check()?;
            self.check_settled()?;
            self.target.place.check(self.target.dir.id())?;
            let failed = self.flushes();
            let held = if old.is_some() { self.hold_old() } else { Vec::new() };
            let Self { target, at, keep, options, .. } = &mut *self;
            let swapped = match old {
                Some(_) => swap::replace(at, target, keep.as_ref(), options.fallback)?,
                None => swap::create(at, target)?.map(Ok),
            };
            if let Some(swapped) = swapped {
                break (swapped, failed, held);
            }
            // The target appeared or vanished meanwhile.
        };
        drop(during);
        self.live = false;
        let Swapped { previous, doomed } = swapped?;
        if flush {
            durable &= self.flush_names(&failed).map_err(Error::after_commit)?;
        }
        stats::replaced_directory();
        let receipt = TreeReceipt { census, durable, previous, leftover: None };
        let committed = Committed { receipt, doomed, held };
        // In a parent that was itself replaced or moved it is not what `path` means. The old tree there is removed all
        // the same.
        self.target.place.check(self.target.dir.id()).map(|()| committed)
    }

    /// Takes on what has the directory's name by now: its filler may have removed it and made it anew.
    fn settle(&mut self) -> Result<()> {
        let At { dir, name } = &self.at;
        let found = match retry_transient(|| dir.open_own_child(name).named("open")) {
            Ok(found) => found,
            Err(error) => return Err(self.no_tree(error)),
        };
        let (ours, stat) = (self.dir.stat_self().named("fstat")?, found.stat_self().named("fstat")?);
        if ours.version.id == stat.version.id {
            return Ok(());
        }
        if !stat.access.is_ours_or_as(&ours.access) {
            return Err(self.left("another user's directory"));
        }
        self.dir = Arc::new(found);
        self.close_to_others(self.target.existing_directory()?.as_ref())
    }

    /// # Errors
    /// [`NoTree`](ErrorKind::NoTree) if another directory has the name than the one that was flushed.
    fn check_settled(&self) -> Result<()> {
        let found = self.at.dir.stat(&self.at.name).named("lstat")?;
        match found {
            Some(found) if found.version.id == self.dir.id().named("fstat")? => Ok(()),
            Some(_) => Err(self.left("another directory than the one that was flushed")),
            None => Err(self.left("nothing")),
        }
    }

    /// Why the directory cannot be opened, as its filler is to hear it.
    fn no_tree(&self, error: Error) -> Error {
        let found = self.at.dir.stat(&self.at.name).ok().flatten().map(|stat| stat.kind);
        match found {
            None if error.errno_of("open") == Some(sys::ENOENT) => self.left("nothing"),
            Some(Kind::File) => self.left("a file"),
            Some(Kind::Symlink) => self.left("a symbolic link"),
            Some(Kind::Other(what)) => self.left(what),
            Some(Kind::Directory) if error.errno_of("open") == Some(sys::EXDEV) => self.left("a mount point"),
            _ => error.about(self.path()),
        }
    }

    fn left(&self, what: &'static str) -> Error {
        Error::from(ErrorKind::NoTree { what }).about(self.path())
    }

    /// Locks the directory that is about to be replaced, and the one that has the place where it is to be kept: either gets a temp
    /// name on its way, and comes back if a later step fails.
    fn hold_old(&self) -> Vec<File> {
        let hold = |Target { dir, name, .. }: &Target| {
            let old = dir.open_child(name).and_then(|old| old.as_file());
            old.ok().filter(sys::hold)
        };
        std::iter::once(&self.target).chain(&self.keep).filter_map(hold).collect()
    }

    fn open_to_others(&self, old: Option<&Stat>) -> Result<()> {
        let file = retry_transient(|| self.dir.as_file().named("open"))?;
        let Target { dir, name, .. } = &self.target;
        let bears = |now, wanted| dir.bears(now, wanted);
        match old {
            Some(old) => sys::inherit(&file, dir, name, &old.access, self.options.mode, &bears)?,
            None => sys::set_mode(&file, self.options.mode.unwrap_or(self.mode), &bears)?,
        }
        Ok(())
    }

    /// The directories whose entries a swap changes.
    fn parents(&self) -> impl Iterator<Item = &Arc<Directory>> {
        let other = self.keep.iter().map(|keep| &keep.dir).filter(|dir| dir.id() != self.target.dir.id());
        std::iter::once(&self.target.dir).chain(other)
    }

    fn flushes(&self) -> Vec<Failed> {
        self.parents().map(|dir| dir.failed_flushes()).collect()
    }

    fn flush_names(&self, failed: &[Failed]) -> Result<bool> {
        let mut durable = true;
        for (dir, failed) in self.parents().zip(failed) {
            durable &= dir.sync()? && dir.is_durable();
            dir.check_flushes(*failed)?;
        }
        Ok(durable)
    }

    /// Removes the tree. What cannot be removed is left to a sweep: the caller has an error to tell already.
    pub fn discard(mut self) {
        self.live = false;
        drop(remove(&self.at.dir, &self.at.name, &self.at.path()));
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if self.live {
            // The Node.js worker that owned the call was terminated, and this may be its thread.
            let (at, held) = (self.at.clone(), (self.held.take(), self.guard.take()));
            spawn_or_skip("atomic-tree", move || {
                let _held = held;
                drop(remove(&at.dir, &at.name, &at.path()));
            });
        }
    }
}

fn make(target: &Target, private: bool) -> Result<Made<Guard>> {
    let mode = if private { PRIVATE } else { PUBLIC };
    // Programs get this path, and not all of them can handle one that is not valid Unicode.
    let hint = OsString::from(target.name.to_string_lossy().into_owned());
    Made::make(&target.dir, &hint, |name| {
        // Without its guard there is no directory, so that is what could not be made.
        let guard = Guard::make(&target.dir, name)?;
        target.dir.make_dir_with(name, mode).map(|()| guard)
    })
}

/// The old tree cannot be kept within itself, or in the place of what it is in.
fn check_disjoint(target: &Target, old: Option<&Stat>, keep: &Target) -> Result<()> {
    let around = keep.existing_directory()?;
    let within = |dir: &Dir, id: Option<&Stat>| match id {
        Some(stat) => dir.is_within(&stat.version.id).named("open"),
        None => Ok(false),
    };
    if keep.is_same(target)? || within(&keep.dir, old)? || within(&target.dir, around.as_ref())? {
        return Err(Error::raw("rename", sys::EINVAL));
    }
    Ok(())
}
