//! Flushing a directory once for all calls that wait for it.
//!
//! A flush covers every change that was made before it began. So a call that comes while one is under way
//! waits for the next, together with all others that do: a thousand files that get their names at once
//! need a handful of flushes, and only one thread waits for the disk. As long as enough writes are under way to keep all
//! workers busy, a flush waits a little for more of them (PostgreSQL's `commit_delay` does that for its log).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::dir::place::Place;
use crate::error::{Error, ErrorKind, Result};
use crate::process::sync::{Mutex, MutexGuard, lock};
use crate::process::under_way::{self, Waiting};
use crate::stats;

/// A flush that is quicker than this costs less than handing it over to another thread.
const SLOW: Duration = Duration::from_micros(300);

/// With this many writes under way a quicker flush is shared as well: it is a third of what a small file costs. Not one that
/// costs nothing, as in memory.
const CROWD: usize = 12;
const QUICK: Duration = Duration::from_micros(15);

/// A flush waits until this many share it, as long as enough others are under way to keep the workers busy.
const SHARED: usize = 16;
const BUSY: usize = 6;

/// For how long it waits at most, in flushes: in that time four workers flush as many files as are to share it. Others
/// that are under way may be anywhere, and come late.
const PATIENCE: u32 = 4;
const LONGEST: Duration = Duration::from_millis(5);

/// What the last flush of any directory took, in nanoseconds. A directory is closed between calls that do not
/// overlap, and would forget it.
static LAST: AtomicU64 = AtomicU64::new(0);

/// How many flushes of any directory have failed.
static FAILED: AtomicU64 = AtomicU64::new(0);

/// For a caller that cannot keep a directory open and so cannot follow its flushes: an answer that is the same as
/// before means that none has failed.
pub fn failed_anywhere() -> Failed {
    Failed(FAILED.load(Ordering::Relaxed))
}

/// The flushes of one directory.
#[derive(Debug)]
pub struct Flushes {
    pending: Mutex<Pending>,
    /// What the last one took, in nanoseconds; before the first, what the last one took elsewhere.
    took: AtomicU64,
    /// The system reports a failure once, but every call that had changed something before has to know.
    failures: Mutex<Failures>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    count: u64,
    last: Option<i32>,
}

/// How many flushes had failed at some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failed(u64);

impl Default for Flushes {
    fn default() -> Self {
        Self {
            pending: Mutex::default(),
            took: LAST.load(Ordering::Relaxed).into(),
            failures: Mutex::default(),
        }
    }
}

#[derive(Debug, Default)]
struct Pending {
    /// A thread flushes, and goes on until no call waits.
    served: bool,
    /// That thread, while it waits for others to share the next flush.
    gathers: Option<Arc<Waiting>>,
    /// It did so before the last flush, in vain: what is under way is elsewhere, or hangs.
    in_vain: bool,
    waiting: Vec<(oneshot::Sender<Told>, Place)>,
}

impl Pending {
    /// Whether the flush should begin, and not wait for others to share it.
    fn is_enough(&self) -> bool {
        let waiting = self.waiting.len();
        waiting >= SHARED || under_way::writes() < self.few()
    }

    /// As long as fewer writes than this are under way, others keep the workers busy.
    fn few(&self) -> usize {
        self.waiting.len() + BUSY
    }
}

/// The outcome of a flush, with the system's number for a failure: it is reported to many calls.
type Flushed = std::result::Result<bool, Option<i32>>;

/// What a call hears: that, and whether the directory was still at its place.
type Told = (Flushed, bool);

/// A flush that begins after now.
#[derive(Debug)]
pub struct Next(oneshot::Receiver<Told>);

impl Flushes {
    /// Flushes now, and measures the time.
    pub fn now(&self, flush: impl FnOnce() -> io::Result<bool>) -> io::Result<bool> {
        let since = Instant::now();
        let flushed = flush();
        let took = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.took.store(took, Ordering::Relaxed);
        LAST.store(took, Ordering::Relaxed);
        if let Err(error) = &flushed {
            FAILED.fetch_add(1, Ordering::Relaxed);
            let mut failures = self.failures();
            *failures = Failures { count: failures.count + 1, last: error.raw_os_error() };
        }
        flushed
    }

    /// How many have failed so far; ask before the change that is to be flushed.
    pub fn failed(&self) -> Failed {
        Failed(self.failures().count)
    }

    /// # Errors
    /// That of the last failed flush, if one has failed since.
    pub fn check_since(&self, before: Failed) -> Result<()> {
        let failures = *self.failures();
        match failures.last {
            Some(errno) if Failed(failures.count) != before => Err(Error::raw("fsync", errno)),
            _ => Ok(()),
        }
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        lock(&self.failures)
    }

    /// Whether a flush had better be shared: it takes long, or many writes are under way.
    pub fn are_worth_sharing(&self) -> bool {
        let last = self.last();
        last >= SLOW || last >= QUICK && under_way::writes() >= CROWD
    }

    fn last(&self) -> Duration {
        Duration::from_nanos(self.took.load(Ordering::Relaxed))
    }

    /// Joins the calls that wait. `true`: no thread flushes at the moment, and the caller has to start one that
    /// [serves](Self::serve).
    pub fn join(&self, place: Place) -> (Next, bool) {
        let (tell, flushed) = oneshot::channel();
        let mut pending = self.pending();
        pending.waiting.push((tell, place));
        if let Some(gathers) = &pending.gathers {
            gathers.set_limit(pending.few());
            if pending.is_enough() {
                gathers.wake();
            }
        }
        (Next(flushed), !std::mem::replace(&mut pending.served, true))
    }

    /// Flushes until no call waits any more. `holds`: whether the directory is still at a place, which is asked once for
    /// all calls that found it there.
    pub fn serve(&self, mut flush: impl FnMut() -> io::Result<bool>, holds: impl Fn(&Place) -> bool) {
        loop {
            let waiting = {
                let mut pending = self.pending();
                pending.served = !pending.waiting.is_empty();
                if !pending.served {
                    return;
                }
                pending = self.gather(pending);
                std::mem::take(&mut pending.waiting)
            };
            stats::flushed_for(waiting.len());
            let flushed = self.now(&mut flush).map_err(|error| error.raw_os_error());
            let mut asked: Option<(Place, bool)> = None;
            for (tell, place) in waiting {
                let held = match asked {
                    Some((known, held)) if known == place => held,
                    _ => holds(&place),
                };
                asked = Some((place, held));
                let _ = tell.send((flushed, held));
            }
        }
    }

    /// Waits for others to share the next flush, unless none came the last time.
    fn gather<'a>(&'a self, mut pending: MutexGuard<'a, Pending>) -> MutexGuard<'a, Pending> {
        if std::mem::take(&mut pending.in_vain) || pending.is_enough() {
            return pending;
        }
        let until = Instant::now() + (self.last() * PATIENCE).min(LONGEST);
        let before = pending.waiting.len();
        let gathers = Waiting::begin(pending.few());
        pending.gathers = Some(gathers.clone());
        while !pending.is_enough() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                pending.in_vain = pending.waiting.len() == before;
                break;
            }
            drop(pending);
            gathers.wait(left);
            pending = self.pending();
        }
        pending.gathers = None;
        gathers.end();
        pending
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        lock(&self.pending)
    }
}

impl Next {
    /// # Errors
    /// Those of the flush.
    pub async fn flushed(self) -> Result<(bool, bool)> {
        match self.0.await {
            Ok((Ok(flushed), held)) => Ok((flushed, held)),
            Ok((Err(Some(errno)), _)) => Err(Error::raw("fsync", errno)),
            Ok((Err(None), _)) | Err(_) => Err(ErrorKind::Panic("a flush had no end".to_owned()).into()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

#[cfg(all(test, shuttle))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod interleavings;
