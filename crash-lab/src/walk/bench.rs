//! Where the points of a walk are tried, several at a time.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;

use crate::lab::Lab;

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

/// Does `work` to all `items`, on several threads; the results are in the order of the items.
pub fn in_parallel<T: Sync, R: Send>(
    lab: &Lab,
    disk: &Path,
    items: &[T],
    threads: usize,
    work: impl Fn(&Bench, &T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| -> Result<()> {
        let walkers: Vec<_> = (0..threads)
            .map(|index| {
                let (next, results, work) = (&next, &results, &work);
                scope.spawn(move || -> Result<()> {
                    let bench = Bench::new(lab, disk, index)?;
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(item) = items.get(at) else { return Ok(()) };
                        let result = work(&bench, item)?;
                        results.lock().unwrap_or_else(|poison| poison.into_inner()).push((at, result));
                    }
                })
            })
            .collect();
        for walker in walkers {
            walker.join().map_err(|_| anyhow::anyhow!("a walker panicked"))??;
        }
        Ok(())
    })?;
    let mut results = results.into_inner().unwrap_or_else(|poison| poison.into_inner());
    results.sort_by_key(|(at, _)| *at);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}
