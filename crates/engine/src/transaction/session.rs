//! The files of a transaction: found below its root, and locked.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::dir::{Directory, Resolve, Target};
use crate::error::{Error, ErrorKind, Named, Result};
use crate::index::file::{self, Snapshot, UpdateOptions};
use crate::lock::backoff::Backoff;
use crate::lock::holder::{Blocker, Timeout};
use crate::lock::order;
use crate::lock::sidecar::{Lock, Taking};
use crate::process::{Key, Slot, Turn, room_to_read};
use crate::sys::{self, Dir, Version};
use crate::transaction::known;
use crate::transaction::pending;
use crate::transaction::recover::{self, Recovered};
use crate::transaction::root::{FOLDER, Root};

/// The files of a transaction, and what it holds of them. Dropped, it holds nothing.
#[derive(Debug)]
pub struct Session {
    // Dropped in this order: the call that gets a turn next finds the lock free.
    pub(crate) locks: Vec<(Lock, usize)>,
    /// For the locks that are still to be taken.
    pub(crate) slots: Vec<Slot>,
    pub(crate) turns: Vec<Turn>,
    pub(crate) root: Root,
    pub(crate) targets: Arc<Vec<Target>>,
    found: Arc<HashMap<Key, Vec<usize>>>,
    /// A target in each directory, by the path that was followed to it.
    followed: HashMap<PathBuf, usize>,
    /// The directories that it was to make are on disk.
    pub(crate) has_durable_directories: bool,
    /// What was recovered on the way.
    pub recovered: Option<Recovered>,
}

/// The files that a session has found, for another one that is to know them.
#[derive(Clone, Debug)]
pub struct Files {
    targets: Arc<Vec<Target>>,
    found: Arc<HashMap<Key, Vec<usize>>>,
}

impl Files {
    /// The position of a file, perhaps by another spelling of its name; `None`: it is none of them.
    ///
    /// # Errors
    /// Those of [`Target::is_same`].
    fn position(&self, target: &Target) -> Result<Option<usize>> {
        // With one key are names that may be one.
        for at in self.found.get(&target.key()).into_iter().flatten() {
            let known = &self.targets[*at];
            if known.name == target.name || known.is_same(target)? {
                return Ok(Some(*at));
            }
        }
        Ok(None)
    }
}

/// A file that was read, as it was then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen(pub(crate) Option<Version>);

impl Session {
    /// For transactions below `root`, which is made if it is missing.
    ///
    /// # Errors
    /// [`ErrorKind::NetworkFs`], [`ErrorKind::Journal`]; those of open(2), and of making files.
    pub fn open(root: &Path) -> Result<Self> {
        let dir = Directory::open(None, root, true)?;
        if let Some(name) = &dir.file_system().network {
            return Err(ErrorKind::NetworkFs { name: name.clone() }.into());
        }
        let root = Root::open_or_make(&dir)?;
        Ok(Self {
            locks: Vec::new(),
            slots: Vec::new(),
            turns: Vec::new(),
            root,
            targets: Arc::default(),
            found: Arc::default(),
            followed: HashMap::new(),
            has_durable_directories: true,
            recovered: None,
        })
    }

    /// Finds the file that `path`, which is absolute, means; its position among those of this transaction. Two names of
    /// one file are one.
    ///
    /// # Errors
    /// [`ErrorKind::OutsideRoot`]; those of [`Target::resolve`].
    pub fn find(&mut self, path: &Path, mkdir: bool) -> Result<usize> {
        let parent = path.parent().unwrap_or(path);
        // Most files of a transaction are in few directories.
        let known = self.followed.get(parent).map(|at| self.targets[*at].beside(path));
        let target = match known.transpose()?.flatten() {
            Some(target) if !is_folder(&self.root, &target) => target,
            _ => resolve(&self.root, path, mkdir)?,
        };
        let _ = pending::look(&target.dir)?;
        if let Some(at) = self.files().position(&target)? {
            return Ok(at);
        }
        let at = self.targets.len();
        Arc::make_mut(&mut self.found).entry(target.key()).or_default().push(at);
        self.followed.entry(parent.to_owned()).or_insert(at);
        Arc::make_mut(&mut self.targets).push(target);
        Ok(at)
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// [`ErrorKind::OutsideRoot`]; those of mkdir(2) and fsync(2).
    pub fn make_directory(&mut self, path: &Path) -> Result<()> {
        check_above(&self.root, path)?;
        let (made, is_new) = match Directory::open(None, path, false) {
            Err(error) if error.errno_of("open") == Some(sys::ENOENT) => {
                (Directory::open(None, path, true)?, true)
            }
            there => (there?, false),
        };
        // Another program may have made it a moment ago, and no flush of what is in it needs to follow. (The root is made by this one, or long before.)
        let is_flushed = is_new
            || made.id() == self.root.dir.id()
            || flush_once(&*Directory::open(Some(&made), "..".as_ref(), false)?)?;
        self.has_durable_directories &= is_flushed && made.is_durable();
        check_below(&self.root, &made, None)
    }

    /// What it has found so far.
    pub fn files(&self) -> Files {
        Files { targets: self.targets.clone(), found: self.found.clone() }
    }

    /// The position that one of its files has among those.
    ///
    /// # Errors
    /// Those of [`Target::is_same`].
    pub(crate) fn position_in(&self, files: &Files, at: usize) -> Result<Option<usize>> {
        files.position(&self.targets[at])
    }

    /// The queues to join, or that it has joined.
    pub fn keys(&self) -> Vec<Key> {
        let mut keys: Vec<_> = self.targets.iter().map(Target::key).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    /// Takes the locks of these files that are still to be taken, in an order that is the same for all. `false`: not all
    /// are free; those that were are held.
    ///
    /// # Errors
    /// Those of [`recover::take_index`], with the position of the file.
    pub(crate) fn try_lock(&mut self, indexes: &mut Vec<usize>, taking: Taking) -> Result<bool> {
        order::sort(indexes, &|at| self.targets[at].lock_order());
        // From the last to the first, which is the next to be taken.
        indexes.reverse();
        while let Some(at) = indexes.last().copied() {
            let target = &self.targets[at];
            let mut slot = self.slots.pop();
            let locked = recover::take_index(target, taking, &mut slot);
            self.slots.extend(slot);
            match locked {
                Ok(Some(lock)) => {
                    let up = self.depth(target);
                    self.locks.push((lock, up));
                    indexes.pop();
                }
                Ok(None) => return Ok(false),
                Err(error) if error.is_transient() => return Ok(false),
                Err(error) => return Err(error.of_entry(at)),
            }
        }
        Ok(true)
    }

    /// How many directories a file is below the root.
    fn depth(&self, target: &Target) -> usize {
        let path = target.dir.path().unwrap_or_default();
        path.strip_prefix(&self.root.path).map_or(0, |below| below.components().count())
    }

    /// What an index says.
    ///
    /// # Errors
    /// Those of [`IndexFile::read`](file::IndexFile::read).
    pub fn read(&self, at: usize, options: &UpdateOptions) -> Result<Option<Snapshot>> {
        file::read(&self.targets[at], options)
    }

    /// What is in a file, with its version and mode; `None`: there is none.
    ///
    /// # Errors
    /// Those of opening and reading it.
    pub(crate) fn content(&self, at: usize) -> Result<Option<(Vec<u8>, Version, u32)>> {
        let target = &self.targets[at];
        let Some(stat) = target.existing()? else { return Ok(None) };
        let mut file = target.dir.open_file(&target.name).named("open")?;
        let (_, version) = Dir::stat_file(&file).named("fstat")?;
        let mut bytes = room_to_read(version.size)?;
        file.read_to_end(&mut bytes).named("read")?;
        Ok(Some((bytes, version, stat.access.mode)))
    }

    /// Whether a file is what it was when it was read.
    ///
    /// # Errors
    /// Those of stat(2).
    pub fn is_as_seen(&self, at: usize, seen: &Seen) -> Result<bool> {
        let now = self.targets[at].existing()?;
        Ok(match (now, &seen.0) {
            (None, None) => true,
            (Some(now), Some(seen)) => now.version.has_content_of(seen),
            _ => false,
        })
    }

    /// Where a file is, below the root.
    pub fn path(&self, at: usize) -> PathBuf {
        let path = self.targets[at].real_path();
        path.strip_prefix(&self.root.path).map(Path::to_owned).unwrap_or(path)
    }

    /// Keeps what was recovered, for the caller to hear of.
    pub(crate) fn note(&mut self, recovered: Recovered) {
        if recovered.transaction.is_some() {
            self.recovered = Some(recovered);
        }
    }

    /// Lets all go.
    pub(crate) fn release(&mut self) {
        self.locks.clear();
        self.slots.clear();
        self.turns.clear();
    }

    /// Lets all go, and leaves to the next holder of each lock to recover what is pending.
    pub(crate) fn leave(&mut self) {
        self.locks.drain(..).for_each(|(lock, _)| lock.leave());
        self.slots.clear();
        self.turns.clear();
    }
}

/// What is waited for until the locks come.
pub(crate) struct Waiting {
    backoff: Backoff,
}

impl Waiting {
    pub fn new(since: Instant, timeout: Duration) -> Self {
        Self { backoff: Backoff::new(since, timeout) }
    }

    /// The next pause; or what was waited for in vain.
    pub async fn pause(&mut self, blocker: Blocker, index: &Path, cancel: &Cancel) -> Result<()> {
        match self.backoff.pause() {
            Ok(pause) => cancel.sleep(pause).await,
            Err(waited) => Err(Timeout::ask(waited, blocker, index).await.into()),
        }
    }
}

/// Follows a path to a file below `root`.
///
/// # Errors
/// [`ErrorKind::OutsideRoot`]; those of [`Target::resolve`].
pub(crate) fn resolve(root: &Root, path: &Path, mkdir: bool) -> Result<Target> {
    let how = |mkdir| Resolve { mkdir, exclusive: false };
    let target = match Target::resolve(path, how(false)) {
        Err(error) if mkdir && error.errno_of("open") == Some(sys::ENOENT) => {
            // Not the directories that a link out of the root would lead to.
            check_above(root, path.parent().unwrap_or(path))?;
            if std::fs::symlink_metadata(path).is_ok() {
                return Err(error);
            }
            Target::resolve(path, how(true))?
        }
        found => found?,
    };
    check_below(root, &target.dir, target.place.told())?;
    if is_folder(root, &target) {
        return Err(ErrorKind::OutsideRoot.into());
    }
    Ok(target)
}

/// Whether it is what we keep in the root.
fn is_folder(root: &Root, target: &Target) -> bool {
    target.dir.id() == root.dir.id() && target.name == FOLDER
}

/// Flushes a directory, unless nothing has changed in it since this process did so.
fn flush_once(dir: &Directory) -> Result<bool> {
    if known::has_directory(dir) {
        return Ok(true);
    }
    let times = known::times(dir);
    let is_durable = dir.sync()?;
    if is_durable {
        known::note_directory(dir, times);
    }
    Ok(is_durable)
}

/// That a directory is below the root, in the same mount of the same file system, and none of ours: recovery goes where the root's own directories
/// lead, and elsewhere another directory may be mounted there, or none. `told`: where it is, if the system has just said so.
fn check_below(root: &Root, dir: &Directory, told: Option<&Path>) -> Result<()> {
    let path = told.map_or_else(|| dir.path().named("readlink"), |told| Ok(told.to_owned()))?;
    let below = path.strip_prefix(&root.path).map_err(|_| Error::from(ErrorKind::OutsideRoot))?;
    if below.starts_with(FOLDER) || !dir.is_in_mount_of(&root.dir) {
        return Err(ErrorKind::OutsideRoot.into());
    }
    Ok(())
}

/// That the part of a path which is there already is below the root, so that no directory is made elsewhere.
fn check_above(root: &Root, path: &Path) -> Result<()> {
    let real = path.ancestors().find_map(|above| std::fs::canonicalize(above).ok());
    let is_below = real.as_ref().is_some_and(|real| real.starts_with(&root.path));
    // What is missing must not lead out again.
    let goes_up = path.components().any(|part| part == std::path::Component::ParentDir);
    match real {
        Some(real) if is_below && !goes_up => match Directory::open(None, &real, false) {
            Ok(dir) => check_below(root, &dir, Some(&real)),
            // The call that is to follow says what is in its way.
            Err(_) => Ok(()),
        },
        _ => Err(ErrorKind::OutsideRoot.into()),
    }
}
