//! A directory in which a batch has files: open if descriptors allow it, else reopened when needed.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::dir::place::moved;
use crate::dir::{Directory, Place, Target};
use crate::error::Result;
use crate::process::{DescriptorBudget, Slot, lock};
use crate::sys::FileId;

/// How many descriptors the batches of this process keep between two steps, for directories and files.
pub static KEPT: DescriptorBudget = DescriptorBudget::one_in(4).at_most(4096);

/// A directory of a batch.
#[derive(Debug)]
pub struct Folder {
    id: FileId,
    /// Its real path, if it is known.
    path: PathBuf,
    place: Place,
    kept: Option<(Arc<Directory>, Slot)>,
    /// A file without a name got one in here, so the others will too.
    pub links: AtomicBool,
    /// It was checked right before the first rename that it is still in its place.
    checked: AtomicBool,
}

/// All directories of a batch.
#[derive(Debug, Default)]
pub struct Folders(Mutex<HashMap<FileId, Arc<Folder>>>);

impl Folders {
    /// The one that `target` is in.
    pub fn of(&self, target: &Target) -> Arc<Folder> {
        let mut folders = lock(&self.0);
        let folder = folders.entry(target.dir.id().clone()).or_insert_with(|| {
            let mut path = target.real_path();
            path.pop();
            let kept = KEPT.take().map(|slot| (target.dir.clone(), slot));
            Arc::new(Folder {
                id: target.dir.id().clone(),
                path,
                place: target.place.clone(),
                kept,
                links: AtomicBool::new(false),
                checked: AtomicBool::new(false),
            })
        });
        folder.clone()
    }
}

impl Folder {
    /// The directory, open, for the caller that is about to rename files in it.
    ///
    /// # Errors
    /// `ENOENT` if there is another one by that path now.
    pub fn open_to_publish(&self) -> Result<Arc<Directory>> {
        let dir = self.open()?;
        if self.is_kept() && !self.checked.load(Ordering::Relaxed) {
            self.check_place(&dir)?;
            self.checked.store(true, Ordering::Relaxed);
        }
        Ok(dir)
    }

    /// The directory, open.
    ///
    /// # Errors
    /// `ENOENT` if there is another one by that path now, and it was not open all the time.
    pub fn open(&self) -> Result<Arc<Directory>> {
        if let Some((dir, _)) = &self.kept {
            return Ok(dir.clone());
        }
        let dir = Directory::open(None, &self.path, false)?;
        if *dir.id() == self.id { Ok(dir) } else { Err(moved()) }
    }

    /// # Errors
    /// `ENOENT` if `dir`, which is this one, is not at its place any more.
    pub fn check_place(&self, dir: &Directory) -> Result<()> {
        self.place.check(dir.id())
    }

    /// Which directory this is.
    pub fn id(&self) -> &FileId {
        &self.id
    }

    /// Whether the directory is open all the time.
    pub fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// The file `name` in here.
    pub fn target(&self, dir: Arc<Directory>, name: &OsStr) -> Target {
        Target::again(dir, name.to_owned(), self.path.join(name))
    }

    /// Removes a name. By path, because the directory may have to be closed: the temp names that this is for belong to
    /// no other file, wherever the path leads.
    pub fn remove(&self, name: &OsStr) {
        drop(match &self.kept {
            Some((dir, _)) => dir.unlink(name),
            None => std::fs::remove_file(self.path.join(name)),
        });
    }
}
