//! Open directories, shared by all who work in them.
//!
//! One descriptor a directory, however many calls are in flight in it. And it is the place to
//! remember that a directory was made by us and its own name is not on disk yet: whoever promises
//! durability in it flushes its parents too, even if another call made them.

use std::collections::HashMap;
use std::ops::Deref;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use super::error::{Error, Named, Result};
use super::mutant::{Step, leaves_out};
use super::sys::{self, Dir, FileId};

/// An open directory.
#[derive(Debug)]
pub struct Directory {
    dir: Dir,
    id: FileId,
    durable: OnceLock<bool>,
    /// Files without a name cannot be linked here, so staged ones need one from the start.
    must_name: AtomicBool,
    /// Parents whose entry for this directory may not be on disk.
    unsynced: Mutex<Vec<Arc<Directory>>>,
}

static OPEN: Mutex<Option<HashMap<FileId, Weak<Directory>>>> = Mutex::new(None);

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

    fn open_existing(base: Option<&Arc<Self>>, path: &Path) -> std::io::Result<Arc<Self>> {
        let dir = match base {
            // The empty path is the base itself.
            Some(base) if path.as_os_str().is_empty() => return Ok(base.clone()),
            Some(base) => base.dir.open_in(path)?,
            None => Dir::open(path)?,
        };
        let id = dir.id()?;
        let mut guard = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let open = guard.get_or_insert_default();
        if let Some(shared) = open.get(&id).and_then(Weak::upgrade) {
            return Ok(shared);
        }
        let directory = Arc::new(Self {
            dir,
            id: id.clone(),
            durable: OnceLock::new(),
            must_name: AtomicBool::new(false),
            unsynced: Mutex::default(),
        });
        open.insert(id, Arc::downgrade(&directory));
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
            if !matches!(name.components().next(), Some(Component::Normal(_))) {
                // `missing/..`: nothing to make, and nothing to open either.
                return Err(Error::raw("open", sys::ENOENT));
            }
            let made = match parent.make_dir(name.as_os_str()) {
                Ok(()) => true,
                // Somebody was faster: another call of ours, perhaps, that has not flushed it yet.
                Err(error) if error.raw_os_error() == Some(sys::EEXIST) => false,
                Err(error) => return Err(Error::system("mkdir", error)),
            };
            let child = Self::open_existing(Some(&parent), name).named("open")?;
            if made {
                let mut above = parent.unsynced().clone();
                above.push(parent);
                *child.unsynced() = above;
            } else {
                let above = parent.unsynced().clone();
                child.unsynced().extend(above);
            }
            parent = child;
        }
        Ok(parent)
    }

    /// Which directory this is.
    pub fn id(&self) -> &FileId {
        &self.id
    }

    /// Flushes the entries of this directory, and those of parents that were made for it.
    ///
    /// `false`: not everything could be brought to a disk here.
    pub fn sync_all(&self) -> Result<bool> {
        if leaves_out(Step::DirSync) {
            return Ok(true);
        }
        let mut durable = self.dir.sync().named("fsync")? && self.is_durable();
        let above = self.unsynced().clone();
        for parent in &above {
            durable &= parent.dir.sync().named("fsync")?;
        }
        // Others may have added to the list meanwhile: only what was flushed is crossed out.
        self.unsynced().retain(|parent| !above.iter().any(|synced| Arc::ptr_eq(synced, parent)));
        Ok(durable)
    }

    /// Whether the file system keeps anything at all.
    pub fn is_durable(&self) -> bool {
        *self.durable.get_or_init(|| self.dir.is_durable())
    }

    /// Whether staged files need a name from the start.
    pub fn must_name(&self) -> bool {
        self.must_name.load(Ordering::Relaxed)
    }

    /// Called when a file without a name could not be linked.
    pub fn set_must_name(&self) {
        self.must_name.store(true, Ordering::Relaxed);
    }

    fn unsynced(&self) -> MutexGuard<'_, Vec<Arc<Self>>> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let mut guard = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = guard.as_mut() {
            // Unless it was opened anew between the last reference's end and now.
            if open.get(&self.id).is_some_and(|shared| shared.strong_count() == 0) {
                open.remove(&self.id);
            }
        }
    }
}
