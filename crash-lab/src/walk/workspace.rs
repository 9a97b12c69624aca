//! Where the points of a walk are tried, several at a time.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;

use super::scene;
use crate::lab::Lab;
use crate::lab::parallel::{self, Plan};

/// The folders of one thread that walks, on a file system on a disk.
#[derive(Debug)]
pub struct Workspace {
    pub folder: PathBuf,
    pub warm: PathBuf,
    pub trace: PathBuf,
}

impl Workspace {
    fn new(lab: &Lab, disk: &Path, index: usize) -> Result<Self> {
        let warm = disk.join(format!("warm-{index}"));
        std::fs::create_dir_all(&warm)?;
        // Two walks may run at once, each with its own first workspace.
        static TRACES: AtomicUsize = AtomicUsize::new(0);
        let trace = lab.folder("traces")?.join(TRACES.fetch_add(1, Ordering::Relaxed).to_string());
        Ok(Self { folder: disk.join(format!("walk-{index}")), warm, trace })
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let _ = scene::clear(&self.folder);
    }
}

/// As [`parallel::each`], with a workspace on `disk` for each thread.
pub fn in_parallel<T: Sync, R: Send>(
    lab: &Lab,
    disk: &Path,
    plan: &Plan<'_, T>,
    work: impl Fn(&Workspace, &T) -> Result<R> + Sync,
) -> Result<Vec<Option<R>>> {
    parallel::each(plan, |index| Workspace::new(lab, disk, index), work)
}
