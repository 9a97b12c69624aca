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
mod tests {
    use super::*;
    use crate::process::UnderWay;

    #[test]
    fn a_call_that_comes_during_a_flush_waits_for_the_next() {
        let flushes = Flushes::default();
        let (mut first, begins) = flushes.join(Place::default());
        assert!(begins);
        let mut late = Vec::new();
        let mut count = 0;
        flushes.serve(
            || {
                count += 1;
                if count == 1 {
                    for _ in 0..3 {
                        let (next, begins) = flushes.join(Place::default());
                        assert!(!begins);
                        late.push(next);
                    }
                } else {
                    assert_eq!(first.0.try_recv().unwrap(), (Ok(true), true));
                    assert!(late.iter_mut().all(|next| next.0.try_recv().is_err()), "not by the first one");
                }
                Ok(true)
            },
            |_| true,
        );
        assert_eq!(count, 2, "three shared the second");
        assert!(late.iter_mut().all(|next| next.0.try_recv().unwrap() == (Ok(true), true)));
        assert!(flushes.join(Place::default()).1, "and it is over");
    }

    fn crowd() -> Vec<UnderWay> {
        (0..4 * SHARED).map(|_| UnderWay::begin()).collect()
    }

    fn took(flushes: &Flushes, time: Duration) {
        flushes.took.store(u64::try_from(time.as_nanos()).unwrap(), Ordering::Relaxed);
    }

    #[test]
    fn a_flush_waits_for_others_while_many_are_under_way() {
        let flushes = Flushes::default();
        let _crowd = crowd();
        // It does not wait for long, so this thread may be late.
        let is_shared = || {
            took(&flushes, Duration::from_secs(1));
            let count = AtomicU64::new(0);
            let flush = || {
                count.fetch_add(1, Ordering::Relaxed);
                Ok(true)
            };
            assert!(flushes.join(Place::default()).1);
            std::thread::scope(|scope| {
                let server = scope.spawn(|| flushes.serve(flush, |_| true));
                while flushes.pending().gathers.is_none() && !server.is_finished() {
                    std::thread::yield_now();
                }
                let mut late = false;
                for _ in 1..SHARED {
                    let (_, begins) = flushes.join(Place::default());
                    late |= begins;
                    if begins {
                        flushes.serve(|| Ok(true), |_| true);
                    }
                }
                let since = Instant::now();
                server.join().unwrap();
                !late && since.elapsed() < LONGEST && count.load(Ordering::Relaxed) == 1
            })
        };
        assert!((0..1_000).any(|_| is_shared()));
    }

    #[test]
    fn a_flush_that_waits_is_told_when_too_few_are_left() {
        let is_told = || {
            let flushes = Flushes::default();
            let crowd = crowd();
            took(&flushes, Duration::from_secs(1));
            let (_next, _) = flushes.join(Place::default());
            std::thread::scope(|scope| {
                let server = scope.spawn(|| flushes.serve(|| Ok(true), |_| true));
                while flushes.pending().gathers.is_none() && !server.is_finished() {
                    std::thread::yield_now();
                }
                drop(crowd);
                server.join().unwrap();
            });
            !flushes.pending().in_vain
        };
        assert!((0..1_000).any(|_| is_told()));
    }

    #[test]
    fn a_flush_that_stays_alone_goes_on() {
        let flushes = Flushes::default();
        let _crowd = crowd();
        took(&flushes, Duration::from_secs(1));
        let (mut alone, _) = flushes.join(Place::default());
        let since = Instant::now();
        flushes.serve(|| Ok(true), |_| true);
        assert!(alone.0.try_recv().is_ok() && since.elapsed() >= LONGEST);
        assert!(flushes.pending().in_vain, "and the next one does not wait");
    }

    #[test]
    fn a_quick_flush_is_shared_in_a_crowd_and_one_that_costs_nothing_is_not() {
        let flushes = Flushes::default();
        let _crowd = crowd();
        took(&flushes, QUICK);
        assert!(flushes.are_worth_sharing());
        took(&flushes, Duration::from_nanos(1));
        assert!(!flushes.are_worth_sharing());
        took(&flushes, SLOW);
        assert!(flushes.are_worth_sharing());
    }

    #[test]
    fn a_failure_is_reported_to_all_that_shared_it() {
        let flushes = Flushes::default();
        let mut waiting = [flushes.join(Place::default()).0, flushes.join(Place::default()).0];
        flushes.serve(|| Err(io::Error::from_raw_os_error(5)), |_| true);
        assert!(waiting.iter_mut().all(|next| next.0.try_recv().unwrap().0 == Err(Some(5))));
    }
}

#[cfg(all(test, shuttle))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod interleavings {
    use shuttle::sync::Arc;
    use shuttle::sync::atomic::{AtomicU64, Ordering};
    use shuttle::{future, thread};

    use super::*;

    #[test]
    fn every_call_hears_of_a_flush_that_began_after_its_change() {
        let calls = || {
            let flushes = Arc::new(Flushes::default());
            let (changed, flushed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
            let call = || {
                let (flushes, changed, flushed) = (flushes.clone(), changed.clone(), flushed.clone());
                thread::spawn(move || {
                    let change = changed.fetch_add(1, Ordering::SeqCst) + 1;
                    let (next, begins) = flushes.join(Place::default());
                    if begins {
                        let flush = || {
                            let covered = changed.load(Ordering::SeqCst);
                            thread::yield_now();
                            flushed.fetch_max(covered, Ordering::SeqCst);
                            Ok(true)
                        };
                        flushes.serve(flush, |_| true);
                    }
                    future::block_on(next.flushed()).unwrap();
                    assert!(flushed.load(Ordering::SeqCst) >= change, "the flush began before the change");
                })
            };
            let calls = [call(), call(), call()];
            calls.into_iter().for_each(|call| call.join().unwrap());
            assert!(flushes.join(Place::default()).1, "nobody flushes any more");
        };
        shuttle::check_pct(calls, 1_000, 4);
    }
}
