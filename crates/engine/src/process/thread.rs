//! Locks, threads and patience, as the whole engine uses them.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, oneshot};

use crate::error::{Error, ErrorKind, Result};

/// How long a thread that may block waits for descriptors.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

/// Locks `mutex`. Nothing here unwinds with a change half made, so a poisoned lock still guards good data.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// Boxed, so that threads are compiled once, and not for each kind of work.
type Work = Box<dyn FnOnce() + Send>;

fn spawn(name: &str, work: Work) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}

/// Runs `work` on a thread of its own; where the system has none to give, on this one, which is better than not at all.
fn spawn_or_run(name: &str, work: Work) {
    let work = Arc::new(Mutex::new(Some(work)));
    let shared = work.clone();
    if spawn(name, Box::new(move || take_and_run(&shared))).is_err() {
        take_and_run(&work);
    }
}

/// Runs `work` on a thread of its own, or not at all: for work that a later call or process will do otherwise, and that
/// must not hold up this thread.
pub fn spawn_or_skip(name: &str, work: impl FnOnce() + Send + 'static) {
    drop(spawn(name, Box::new(work)));
}

/// Runs `work` on a thread of its own, with a permit of `few`.
///
/// # Errors
/// [`ErrorKind::Panic`] if it did not come to its end.
pub async fn on_own_thread<T: Send + 'static>(
    few: &'static Semaphore,
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let ended = |_| Error::from(ErrorKind::Panic("a thread did not come to its end".to_owned()));
    let _permit = few.acquire().await.map_err(|_| Error::from(ErrorKind::Aborted))?;
    let (tell, done) = oneshot::channel();
    spawn_or_run(name, Box::new(move || drop(tell.send(work()))));
    done.await.map_err(ended)
}

fn take_and_run(work: &Mutex<Option<Work>>) {
    let work = lock(work).take();
    if let Some(work) = work {
        work();
    }
}

/// Calls `attempt` again while its error is transient, for up to ten seconds.
///
/// # Errors
/// The last one.
pub fn retry_transient<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let since = Instant::now();
    loop {
        match attempt() {
            Err(error) if error.is_transient() && since.elapsed() < PATIENCE => thread::sleep(PAUSE),
            done => return done,
        }
    }
}
