//! Locks, threads and patience, as the whole engine uses them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, oneshot};

use crate::error::{self, Error, ErrorKind};

/// How long a thread that may block waits for descriptors.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

/// Locks `mutex`. Nothing here unwinds with a change half made, so a poisoned lock still guards good data.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a thread is to do. Boxed, so that threads are compiled once, and not for each kind of work.
pub type Work = Box<dyn FnOnce() + Send>;

/// Does `work` as `run` says on a thread of its own.
///
/// # Errors
/// The work, where the system has no thread to give.
pub fn spawn_with(name: &str, work: Work, run: impl FnOnce(Work) + Send + 'static) -> Result<(), Work> {
    let work = Arc::new(Mutex::new(Some(work)));
    let take = |work: &Mutex<Option<Work>>| lock(work).take();
    let shared = work.clone();
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(move || take(&shared).map(run));
    if spawned.is_ok() { Ok(()) } else { take(&work).map_or(Ok(()), Err) }
}

/// Runs `work` on a thread of its own, or not at all: for work that a later call or process will do otherwise, and that
/// must not hold up this thread.
pub fn spawn_or_skip(name: &str, work: impl FnOnce() + Send + 'static) {
    drop(spawn_with(name, Box::new(work), |work| work()));
}

/// Runs `work` on a thread of its own, with a permit of `few`.
///
/// # Errors
/// [`ErrorKind::Panic`] if it did not come to its end.
pub async fn on_own_thread<T: Send + 'static>(
    few: &'static Semaphore,
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> error::Result<T> {
    let ended = |_| Error::from(ErrorKind::Panic("a thread did not come to its end".to_owned()));
    let _permit = few.acquire().await.map_err(|_| Error::from(ErrorKind::Aborted))?;
    let (tell, done) = oneshot::channel();
    // Where the system has no thread to give, this one is better than not at all.
    if let Err(work) = spawn_with(name, Box::new(move || drop(tell.send(work()))), |work| work()) {
        work();
    }
    done.await.map_err(ended)
}

/// Calls `attempt` again while its error is transient, for up to ten seconds.
///
/// # Errors
/// The last one.
pub fn retry_transient<T>(mut attempt: impl FnMut() -> error::Result<T>) -> error::Result<T> {
    let since = Instant::now();
    loop {
        match attempt() {
            Err(error) if error.is_transient() && since.elapsed() < PATIENCE => thread::sleep(PAUSE),
            done => return done,
        }
    }
}
