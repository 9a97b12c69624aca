//! Where the points of a walk are tried, several at a time.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;

use crate::lab::Lab;
use crate::parallel;

/// Folders of one walker, on a file system that keeps what it is given.
#[derive(Debug)]
pub struct Bench {
    pub folder: PathBuf,
    pub warm: PathBuf,
    pub trace: PathBuf,
}

impl Bench {
    fn new(lab: &Lab, disk: &Path, index: usize) -> Result<Self> {
        let warm = disk.join(format!("warm-{index}"));
        std::fs::create_dir_all(&warm)?;
        // Two walks may go on at once, each with its own first bench.
        static BENCHES: AtomicUsize = AtomicUsize::new(0);
        let trace = lab.folder("traces")?.join(BENCHES.fetch_add(1, Ordering::Relaxed).to_string());
        Ok(Self { folder: disk.join(format!("walk-{index}")), warm, trace })
    }
}

/// Does `work` to all `items`, on several threads with a bench each.
pub fn in_parallel<T: Sync, R: Send>(
    lab: &Lab,
    disk: &Path,
    items: &[T],
    threads: usize,
    work: impl Fn(&Bench, &T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    parallel::each(items, threads, |index| Bench::new(lab, disk, index), work)
}
