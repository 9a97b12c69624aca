//! Open directories, shared by all calls that work in them at the moment: one descriptor a directory,
//! however many calls are in flight.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};

use crate::dir::flush::{Failed, Flushes};
use crate::dir::names;
use crate::dir::place::Place;
use crate::error::{Advice, Error, Named, Result};
use crate::mutant::{Step, leaves_out};
use crate::process::flush;
use crate::process::{Spare, lock};
use crate::sys::{self, Dir, FileId, FileSystem, Seen};

const PRIVATE: u32 = 0o600;
const OTHERS: u32 = 0o077;

/// An open directory.
#[derive(Debug)]
pub struct Directory {
    dir: Dir,
    id: FileId,
    /// What it is seen by, where that is known.
    mount: Option<u64>,
    /// It was append-only when a call opened it last.
    keeps_names: AtomicBool,
    file_system: OnceLock<FileSystem>,
    modes: OnceLock<bool>,
    /// Files without a name cannot be linked here, so staged ones need one from the start.
    needs_temp_name: AtomicBool,
    /// Held while a file is made in here.
    makes: Mutex<()>,
    flushes: Flushes,
    /// How many commits are under way in here.
    commits: AtomicUsize,
}

/// Counts a commit as under way until it is dropped.
pub struct AtWork<'dir>(&'dir Directory);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.commits.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Which directory it is, and the mount that it is seen by: one mount may be read-only, or lead elsewhere.
type InMount = (FileId, Option<u64>);

static OPEN: Mutex<Option<HashMap<InMount, Weak<Directory>>>> = Mutex::new(None);

/// Directories that this process made and whose own entry may not be on disk: flushing their parent failed, or is
/// not possible. For the life of this process nothing in them is reported as durable.
fn not_durable() -> MutexGuard<'static, BTreeSet<FileId>> {
    static NOT_DURABLE: Mutex<BTreeSet<FileId>> = Mutex::new(BTreeSet::new());
    lock(&NOT_DURABLE)
}

impl Deref for Directory {
    type Target = Dir;

    fn deref(&self) -> &Dir {
        &self.dir
    }
}

impl Directory {
    /// Opens `path`, relative to `base` if it is. With `mkdir` missing directories are made.
    pub fn open(base: Option<&Arc<Self>>, path: &Path, mkdir: bool) -> Result<Arc<Self>> {
        match Self::open_existing(base, path) {
            Err(error) if mkdir && error.raw_os_error() == Some(sys::ENOENT) => Self::make(base, path),
            opened => opened.named("open"),
        }
    }

    fn open_existing(base: Option<&Arc<Self>>, path: &Path) -> io::Result<Arc<Self>> {
        let dir = match base {
            // The empty path is the base itself.
            Some(base) if path.as_os_str().is_empty() => return Ok(base.clone()),
            Some(base) => base.dir.open_in(path)?,
            None => Dir::open(path)?,
        };
        Self::shared(dir)
    }

    /// Opens the directory at a place below `base`, by no link and no mount.
    ///
    /// # Errors
    /// Those of open(2); `ELOOP`, `ENOTDIR`, `EXDEV`.
    pub fn open_own(base: &Arc<Self>, below: &Path) -> io::Result<Arc<Self>> {
        let mut dir = None;
        for part in below.components() {
            let Component::Normal(name) = part else { return Err(io::Error::from_raw_os_error(sys::ELOOP)) };
            let parent = dir.as_ref().unwrap_or(&base.dir);
            dir = Some(parent.open_own_child(name)?);
        }
        dir.map_or_else(|| Ok(base.clone()), Self::shared)
    }

    fn shared(dir: Dir) -> io::Result<Arc<Self>> {
        let Seen { id, mount, keeps_names } = dir.see()?;
        let seen = (id, mount);
        let mut guard = lock(&OPEN);
        let open = guard.get_or_insert_default();
        if let Some(shared) = open.get(&seen).and_then(Weak::upgrade) {
            shared.keeps_names.store(keeps_names, Ordering::Relaxed);
            return Ok(shared);
        }
        let directory = Arc::new(Self {
            dir,
            id: seen.0.clone(),
            mount: seen.1,
            keeps_names: AtomicBool::new(keeps_names),
            file_system: OnceLock::new(),
            modes: OnceLock::new(),
            needs_temp_name: AtomicBool::new(false),
            makes: Mutex::new(()),
            flushes: Flushes::default(),
            commits: AtomicUsize::new(0),
        });
        open.insert(seen, Arc::downgrade(&directory));
        Ok(directory)
    }

    /// Makes what is missing of `path`, from the deepest directory that is there.
    fn make(base: Option<&Arc<Self>>, path: &Path) -> Result<Arc<Self>> {
        let mut existing = path.to_owned();
        let mut missing: Vec<PathBuf> = Vec::new();
        let mut parent = loop {
            match Self::open_existing(base, &existing) {
                Err(error) if error.raw_os_error() == Some(sys::ENOENT) && existing.parent().is_some() => {
                    missing.extend(
                        existing.components().next_back().map(|last| PathBuf::from(last.as_os_str())),
                    );
                    existing.pop();
                }
                opened => break opened.named("open")?,
            }
        };
        for name in missing.iter().rev() {
            if matches!(name.components().next(), Some(Component::Normal(_))) {
                // Unless it is the place of a tree that is being built.
                if names::is_swept(name.as_os_str())
                    && parent.stat(&names::guard(name.as_os_str())).named("lstat")?.is_none()
                {
                    return Err(parent.not_made(name, Error::swept("mkdir")));
                }
                match parent.make_dir(name.as_os_str()) {
                    Ok(()) => {}
                    // Another process was faster, and may not have flushed it yet.
                    Err(error) if error.raw_os_error() == Some(sys::EEXIST) => {}
                    Err(error) => return Err(parent.not_made(name, Error::system("mkdir", error))),
                }
                let synced = if leaves_out(Step::MkdirSync) { Ok(true) } else { parent.sync() };
                let child = Self::open_existing(Some(&parent), name).named("open")?;
                if !matches!(synced, Ok(true)) || parent.is_not_durable() {
                    not_durable().insert(child.id.clone());
                }
                synced?;
                parent = child;
            } else {
                parent = Self::open_existing(Some(&parent), name).named("open")?;
            }
        }
        Ok(parent)
    }

    /// It is the directory that could not be made, not the file that was to be in it.
    fn not_made(&self, name: &Path, failed: Error) -> Error {
        match self.dir.path() {
            Ok(path) => failed.about(path.join(name)),
            Err(_) => failed,
        }
    }

    /// The identity of this directory.
    pub fn id(&self) -> &FileId {
        &self.id
    }

    /// Whether both are seen by one mount of one file system, as far as that can be told.
    pub fn is_in_mount_of(&self, other: &Self) -> bool {
        self.id.is_on_device_of(&other.id)
            && self.mount.zip(other.mount).is_none_or(|(one, other)| one == other)
    }

    /// Each of these directories once.
    pub fn distinct(mut dirs: Vec<Arc<Self>>) -> Vec<Arc<Self>> {
        dirs.sort_by(|one, other| one.id.cmp(&other.id));
        dirs.dedup_by(|one, other| one.id == other.id);
        dirs
    }

    /// As [`Dir::create_new`]. Where the kernel lets one thread at a time change a directory, the threads of this process wait here, and leave
    /// the processor to others: for the kernel's lock they would spin.
    ///
    /// # Errors
    /// Those of open(2).
    pub fn create_new(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        let _makes = sys::CHANGES_DIRECTORIES_IN_TURN.then(|| lock(&self.makes));
        self.dir.create_new(name, mode)
    }

    /// Flushes the entries of this directory; `false` when that cannot be done here.
    pub fn sync(&self) -> Result<bool> {
        if leaves_out(Step::DirSync) {
            return Ok(true);
        }
        self.flushes.now(|| flush::directory(&self.dir)).named("fsync")
    }

    /// Counts the caller as committing in here.
    pub fn begin_commit(&self) -> AtWork<'_> {
        self.commits.fetch_add(1, Ordering::Relaxed);
        AtWork(self)
    }

    /// How many commits are under way in here.
    pub fn commits(&self) -> usize {
        self.commits.load(Ordering::Relaxed)
    }

    /// How many flushes have failed so far.
    pub fn failed_flushes(&self) -> Failed {
        self.flushes.failed()
    }

    /// # Errors
    /// If a flush has failed since: what had been changed by then may be lost, and a later flush that
    /// succeeds says nothing about it.
    pub fn check_flushes(&self, before: Failed) -> Result<()> {
        self.flushes.check_since(before)
    }

    /// Whether a flush had better be shared, if others work here.
    pub fn shares_flushes(&self) -> bool {
        self.flushes.are_worth_sharing()
    }

    /// As [`Directory::sync`], once for all calls that wait for it, and on a thread of its own. Also says whether the
    /// directory is still at `place`.
    pub async fn sync_coalesced(self: &Arc<Self>, place: Place) -> Result<(bool, bool)> {
        if leaves_out(Step::DirSync) {
            return Ok((true, true));
        }
        let (next, begins) = self.flushes.join(place);
        if !begins && leaves_out(Step::NextFlush) {
            return Ok((true, true));
        }
        if begins {
            static FLUSHERS: Spare = Spare::new("atomic-flush", 1);
            let dir = self.clone();
            FLUSHERS.run(move || {
                dir.flushes.serve(|| flush::directory(&dir.dir), |place| place.holds(&dir.id));
            });
        }
        next.flushed().await
    }

    /// What kind of file system it is on.
    pub fn file_system(&self) -> &FileSystem {
        self.file_system.get_or_init(|| self.dir.file_system())
    }

    /// Whether the file system keeps anything at all over a power cut.
    pub fn is_durable(&self) -> bool {
        self.file_system().is_durable && !self.is_not_durable()
    }

    /// Whether a file in here may keep the mode that it has where the system refuses the one that is wanted: it is no
    /// more open, or no file in here has a mode of its own.
    pub fn bears(&self, now: u32, wanted: u32) -> bool {
        now & !wanted & OTHERS == 0 || !self.has_modes()
    }

    /// On vfat and on many a FUSE mount all files have the same mode. Nothing says so but a file that is made.
    fn has_modes(&self) -> bool {
        // That file would stay where names do, and there are modes where there are attributes.
        if self.check_lets_go().is_err() {
            return true;
        }
        *self.modes.get_or_init(|| {
            let made = names::with_temp_name("mode".as_ref(), |name| self.dir.create_new(name, PRIVATE));
            let Ok((name, file)) = made else { return true };
            drop(self.dir.unlink(&name));
            sys::is_private(&file).unwrap_or(true)
        })
    }

    /// For a caller that is about to make a temp name.
    ///
    /// # Errors
    /// `EPERM` if a name in here stays for ever (`chattr +a`), as that one would.
    pub fn check_lets_go(&self) -> Result<()> {
        // Others may have it open since before `chattr -a`.
        if self.keeps_names.load(Ordering::Relaxed) && self.dir.see().map_or(true, |seen| seen.keeps_names) {
            return Err(Error::raw("rename", sys::EPERM).advise(Advice::Immutable));
        }
        Ok(())
    }

    fn is_not_durable(&self) -> bool {
        not_durable().contains(&self.id)
    }

    /// Whether staged files need a name from the start.
    pub fn needs_temp_name(&self) -> bool {
        self.needs_temp_name.load(Ordering::Relaxed)
    }

    /// Called when a file without a name could not be linked.
    pub fn set_needs_temp_name(&self) {
        self.needs_temp_name.store(true, Ordering::Relaxed);
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let mut guard = lock(&OPEN);
        if let Some(open) = guard.as_mut() {
            // Unless it was opened again since the last reference was dropped.
            let seen = (self.id.clone(), self.mount);
            if open.get(&seen).is_some_and(|shared| shared.strong_count() == 0) {
                open.remove(&seen);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn nothing_is_left_in_an_append_only_directory_by_a_look_for_modes() {
        let dir = tempfile::tempdir().unwrap();
        let opened = Directory::open(None, dir.path(), false).unwrap();
        let chattr =
            |how| Command::new("chattr").arg(how).arg(dir.path()).status().is_ok_and(|it| it.success());
        if !chattr("+a") {
            eprintln!("skipped: there is no chattr, or it may not be used here");
            return;
        }
        let again = Directory::open(None, dir.path(), false).unwrap();
        let bears = again.bears(0o666, 0o600);
        let names = dir.path().read_dir().unwrap().count();
        assert!(chattr("-a"));
        assert!(Arc::ptr_eq(&opened, &again) && !bears);
        assert_eq!(names, 0);
    }
}
