//! The lock of an index for the thread that calls, which waits for no call of this process: that could wait for the thread.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::dir::place::moved;
use crate::dir::{Resolve, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::index::file::IndexFile;
use crate::index::hold::Hold;
use crate::index::hold_job::{HELD, HoldOptions};
use crate::job::Retry;
use crate::lock::backoff::Backoff;
use crate::lock::holder::{Blocker, Timeout};
use crate::lock::index_lock::FileLock;
use crate::lock::wait::{Look, look};
use crate::process::{Inside, Turn};
use crate::stats;
use crate::write::job::MAX_MOVES;

/// Takes the lock of the index at `path`, if it is free: of the options neither the timeout nor the signal counts. It comes before
/// the calls of this process that have not joined the queue of the index yet.
///
/// # Errors
/// [`ErrorKind::LockTimeout`], also for an index that a call of this process has; those of
/// [`HoldJob`](crate::index::hold_job::HoldJob). [`ErrorKind::Reentrant`] inside the function of a call for the index.
///
/// ```
/// use std::time::Duration;
/// use pipeline_atomic_engine::{cancel::Cancel, index::hold_job::HoldOptions, index::hold_now::hold_now, process::Inside};
///
/// let dir = tempfile::tempdir()?;
/// let timeout = Duration::ZERO;
/// let how = HoldOptions { mkdir: true, network: false, in_place: false, timeout, cancel: Cancel::default() };
/// let held = hold_now(&dir.path().join("index.json"), &how, &Inside::default())?;
/// assert!(hold_now(&dir.path().join("index.json"), &how, &Inside::default()).is_err());
/// drop(held);
/// assert_eq!(dir.path().read_dir()?.count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn hold_now(path: &Path, options: &HoldOptions, inside: &Inside) -> Result<Hold> {
    let (mut retry, mut moves) = (Retry::brief(), 0);
    loop {
        let began = Instant::now();
        match attempt(path, options, inside) {
            Ok(Some(hold)) => return Ok(hold),
            Ok(None) if moves >= MAX_MOVES => return Err(moved()),
            Ok(None) => moves += 1,
            Err(error) if error.is_transient() && !retry.is_over_after(began.elapsed()) => {
                thread::sleep(retry.pause());
            }
            Err(error) => return Err(error),
        }
    }
}

/// `None`: the directory was replaced meanwhile.
fn attempt(path: &Path, options: &HoldOptions, inside: &Inside) -> Result<Option<Hold>> {
    let since = Instant::now();
    let target = Target::resolve(path, Resolve { mkdir: options.mkdir, exclusive: false })?.to_write()?;
    match &target.dir.file_system().network {
        Some(name) if !options.network => return Err(ErrorKind::NetworkFs { name: name.clone() }.into()),
        _ => {}
    }
    let path = target.real_path();
    let timed_out = |blocker| -> Error { Timeout::ask_now(since.elapsed(), blocker, &path).into() };
    let key = target.key();
    inside.check_free(&key)?;
    // `look` follows the path itself.
    drop(target);
    let Some(turn) = Turn::try_take(key) else { return Err(timed_out(Blocker::EarlierCall)) };
    // A process that only looks whether the lock is taken has it for a moment.
    let mut backoff = Backoff::new(since, Duration::ZERO);
    loop {
        let pause = backoff.pause();
        let mut blocker = Blocker::OwnLocks;
        if let Some(slot) = HELD.take_all(1).and_then(|mut slots| slots.pop()) {
            match look(&path, &turn, FileLock::of_update(options.in_place), pause.is_ok(), &mut None)? {
                Look::Ours(lock, target) => {
                    let hold = Hold::new(IndexFile::new(lock, turn, target), slot);
                    if hold.is_being_written() {
                        return Err(timed_out(Blocker::EarlierCall));
                    }
                    stats::waited(since.elapsed(), 1);
                    return Ok(Some(hold));
                }
                Look::Elsewhere => return Ok(None),
                Look::Busy => blocker = Blocker::Lock,
            }
        }
        match pause {
            Ok(pause) => thread::sleep(pause),
            Err(_) => return Err(timed_out(blocker)),
        }
    }
}
