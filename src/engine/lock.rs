//! The sidecar lock of an index: one holder among all processes, and none when the holder is dead.
//!
//! flock(2), by way of std: it belongs to the open file, so the kernel frees it with its process.
//! (fcntl locks would go when *any* descriptor of the file is closed.) The file is removed on
//! release. Somebody may have opened it just before, and would lock a file that has no name: so who
//! gets the lock looks whether the name still stands for it, and starts over if not.

use std::ffi::{OsStr, OsString};
use std::fs::{File, TryLockError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::cancel::Cancel;
use super::directory::Directory;
use super::error::{ErrorKind, Named, Result};
use super::mutant::{Step, leaves_out};
use super::names;
use super::sys::{self, Dir, Kind};
use super::target::Target;

/// Waiters look again after this long at first, and after half as long again each time.
const FIRST_WAIT: Duration = Duration::from_micros(500);
/// The most that a release can go unnoticed.
const LONGEST_WAIT: Duration = Duration::from_millis(12);
/// Each round means that somebody else held and released the lock meanwhile: progress, not ours.
const ROUNDS: usize = 16;

/// How many locks this process holds: each keeps descriptors open while JavaScript works, and some
/// must be left for the work to go on.
static HELD: AtomicU64 = AtomicU64::new(0);

/// The lock, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    dir: Arc<Directory>,
    name: OsString,
    file: File,
    _slot: Slot,
}

impl Lock {
    /// The lock, if nobody else has it.
    ///
    /// # Errors
    /// Those of open(2); [`ErrorKind::NotRegular`] if something else lies where the lock belongs.
    pub fn try_acquire(target: &Target) -> Result<Option<Self>> {
        let name = names::lock(&target.name);
        Self::try_name(target, &name).map_err(|error| error.about(target.path().with_file_name(&name)))
    }

    fn try_name(target: &Target, name: &OsStr) -> Result<Option<Self>> {
        let Some(slot) = Slot::take() else { return Ok(None) };
        for _ in 0..ROUNDS {
            let Some(file) = open(&target.dir, name)? else {
                continue;
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error).named("flock"),
            }
            if leaves_out(Step::LockIdentity) || target.dir.is_same(name, &file).named("stat")? {
                return Ok(Some(Self { dir: target.dir.clone(), name: name.to_owned(), file, _slot: slot }));
            }
        }
        Ok(None)
    }

    /// Waits for the lock, without a thread.
    ///
    /// # Errors
    /// [`ErrorKind::LockTimeout`] after `timeout` from `since`; [`ErrorKind::Aborted`]; those of
    /// [`Lock::try_acquire`].
    pub async fn acquire(
        target: &Target,
        since: Instant,
        timeout: Duration,
        cancel: &Cancel,
    ) -> Result<Self> {
        let mut wait = Backoff::new(since, timeout);
        loop {
            if let Some(lock) = Self::try_patiently(target)? {
                return Ok(lock);
            }
            tokio::select! {
                () = tokio::time::sleep(wait.pause()?) => {}
                () = cancel.cancelled() => return Err(ErrorKind::Aborted.into()),
            }
        }
    }

    /// Waits for the lock and blocks the thread.
    ///
    /// # Errors
    /// Those of [`Lock::acquire`].
    pub fn acquire_blocking(target: &Target, since: Instant, timeout: Duration) -> Result<Self> {
        let mut wait = Backoff::new(since, timeout);
        loop {
            if let Some(lock) = Self::try_patiently(target)? {
                return Ok(lock);
            }
            std::thread::sleep(wait.pause()?);
        }
    }

    /// A lack of descriptors passes, like somebody else's lock.
    fn try_patiently(target: &Target) -> Result<Option<Self>> {
        match Self::try_acquire(target) {
            Err(error) if error.is_passing() => Ok(None),
            tried => tried,
        }
    }
}

/// How long to wait until the next look.
struct Backoff {
    next: Duration,
    since: Instant,
    timeout: Duration,
}

impl Backoff {
    fn new(since: Instant, timeout: Duration) -> Self {
        Self { next: FIRST_WAIT, since, timeout }
    }

    fn pause(&mut self) -> Result<Duration> {
        let waited = self.since.elapsed();
        if waited >= self.timeout {
            return Err(ErrorKind::LockTimeout { waited }.into());
        }
        // Jitter, or processes that started together would knock together for ever.
        let pause = self.next.mul_f64(0.5 + fastrand::f64() / 2.0).min(self.timeout - waited);
        self.next = (self.next * 3 / 2).min(LONGEST_WAIT);
        Ok(pause)
    }
}

/// `None`: it was there, and then it was not.
fn open(dir: &Directory, name: &OsStr) -> Result<Option<File>> {
    let gone = |error: &std::io::Error| matches!(error.raw_os_error(), Some(sys::ENOENT | sys::EEXIST));
    let opened = match dir.open_lock(name, false) {
        Err(error) if error.raw_os_error() == Some(sys::ENOENT) => dir.open_lock(name, true),
        opened => opened,
    };
    let file = match opened {
        Err(error) if gone(&error) => return Ok(None),
        opened => opened.named("open")?,
    };
    match Dir::stat_file(&file).named("fstat")? {
        (Kind::File, _) => Ok(Some(file)),
        (Kind::Other(what), _) => Err(ErrorKind::NotRegular { what }.into()),
        _ => Err(ErrorKind::NotRegular { what: "a directory where the lock belongs" }.into()),
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed first, released then: the other way round, the next holder's file would be removed.
        if self.dir.is_same(&self.name, &self.file).unwrap_or(false) {
            drop(self.dir.unlink(&self.name));
        }
        // Closing would do, but for a child process that was forked just now and has a copy.
        drop(self.file.unlock());
    }
}

#[derive(Debug)]
struct Slot;

impl Slot {
    fn take() -> Option<Self> {
        let most = (sys::descriptor_limit() / 8).max(8);
        HELD.fetch_update(Ordering::AcqRel, Ordering::Acquire, |held| (held < most).then_some(held + 1))
            .is_ok()
            .then_some(Self)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::AcqRel);
    }
}
