//! Many writes on a number of threads, timed as one.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

/// Which file a write goes to.
pub enum Names {
    /// A new one each, numbered from `first`.
    New { first: usize },
    /// That of its lane.
    Lanes,
}

pub struct Batch {
    pub names: Names,
    pub threads: usize,
    pub lanes: usize,
    pub writes: usize,
}

impl Batch {
    /// The time until all writes are done. Threads are started on the clock: that is microseconds,
    /// and the batch takes many milliseconds.
    pub fn time(&self, write: impl Fn(&str) -> Result<()> + Sync) -> Result<Duration> {
        let next = AtomicUsize::new(0);
        let failure = Mutex::new(None);
        let work = || {
            loop {
                let job = next.fetch_add(1, Ordering::Relaxed);
                if job >= self.lanes * self.writes {
                    return;
                }
                if let Err(error) = write(&self.name(job)) {
                    next.store(usize::MAX / 2, Ordering::Relaxed);
                    failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).get_or_insert(error);
                    return;
                }
            }
        };
        let start = Instant::now();
        // The thread that asks is one of them: one thread needs no other.
        thread::scope(|scope| {
            for _ in 1..self.threads {
                scope.spawn(work);
            }
            work();
        });
        let took = start.elapsed();
        match failure.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) {
            Some(error) => Err(error),
            None => Ok(took),
        }
    }

    fn name(&self, job: usize) -> String {
        match self.names {
            Names::New { first } => format!("new-{}.json", first + job),
            Names::Lanes => format!("{}.json", job % self.lanes),
        }
    }
}
