//! Several things at a time: mounting is mostly waiting.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

/// Something to do.
pub type Job<'a, T> = Box<dyn FnOnce() -> Result<T> + Send + 'a>;

/// More than there are cores: half of the time of a mount goes by waiting for the kernel's threads.
const WORKERS: usize = 4;

/// Does all of them; what they return is in their order. They are begun from the back: whoever has a long one
/// puts it there, so that nothing long is left to do alone.
pub fn all<T: Send>(jobs: Vec<Job<'_, T>>) -> Result<Vec<T>> {
    let results: Vec<Mutex<Option<Result<T>>>> = jobs.iter().map(|_| Mutex::new(None)).collect();
    let queue = Mutex::new(jobs.into_iter().enumerate().rev());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((number, job)) = next else { break };
                    *results[number].lock().unwrap_or_else(PoisonError::into_inner) = Some(job());
                }
            });
        }
    });
    let done = results.into_iter().map(|result| {
        result.into_inner().unwrap_or_else(PoisonError::into_inner).context("a job that was not done")?
    });
    done.collect()
}
