//! The same work on many items, on threads of our own: libuv's pool has four, and other calls wait for them; many
//! flushes at once are as quick as one on most devices.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::process::helpers::{MOST_HELPERS, with_helpers};
use crate::process::lock;

/// Fewer items than this are not worth a thread.
const FEWEST: usize = 4;
/// So many flushes at once: the helpers, and the thread of the call. On a disk whose flushes take long a round of more than that takes as long as two.
const FLUSHERS: usize = MOST_HELPERS + 1;
/// A round of flushes that is over sooner is not worth the threads.
const SHORT: Duration = Duration::from_micros(250);
/// What it costs to hand one over to a thread that waits.
const HAND_OVER: Duration = Duration::from_micros(25);

/// An error that knows whether its cause passes by itself.
pub trait Transient {
    /// The process or the system is out of descriptors, for now.
    fn is_transient(&self) -> bool;
}

impl Transient for Error {
    fn is_transient(&self) -> bool {
        self.is_transient()
    }
}

/// Does `work` on every item, from the first to the last, on up to `threads` threads, of which this is one.
/// After a failure nothing is begun any more. If it is one that [passes by itself](Transient), so many threads may be
/// what it came of: then this one goes on alone, from the first item again, and `work` is to know what is done.
///
/// # Errors
/// Of the failures the one of the first item, with its position.
pub fn each<T: Send, E: Transient + Send>(
    items: &mut [T],
    threads: usize,
    work: impl Fn(usize, &mut T) -> Result<(), E> + Sync,
) -> Result<(), (usize, E)> {
    on_threads(items, threads.min(items.len().div_ceil(FEWEST)), work)
}

/// As [`each`], for a round of flushes: with a thread for each where they wait for a device. Where they cost little, one after the other.
///
/// # Errors
/// Those of [`each`].
pub fn each_at_once<T: Send, E: Transient + Send>(
    items: &mut [T],
    work: impl Fn(usize, &mut T) -> Result<(), E> + Sync,
) -> Result<(), (usize, E)> {
    static ROUNDS: Rounds = Rounds { in_turn: AtomicBool::new(false) };
    ROUNDS.each(items, work)
}

/// How rounds of flushes are done. A file system that commits all at once has done most of a round in its first flush, and a thread that is woken
/// for one of the others costs more than that, the more so on a busy machine.
struct Rounds {
    /// The last one was short, so the next one is done in turn as long as that is.
    in_turn: AtomicBool,
}

impl Rounds {
    fn each<T: Send, E: Transient + Send>(
        &self,
        items: &mut [T],
        work: impl Fn(usize, &mut T) -> Result<(), E> + Sync,
    ) -> Result<(), (usize, E)> {
        // Nothing to flush says nothing about flushes.
        if items.is_empty() {
            return Ok(());
        }
        let since = Instant::now();
        let is_short = |most| since.elapsed() < most;
        let handed_over = u32::try_from(items.len().min(FLUSHERS)).unwrap_or_default();
        let most = SHORT + HAND_OVER * handed_over;
        let mut done = 0;
        while done < items.len() && self.in_turn.load(Ordering::Relaxed) && is_short(most) {
            work(done, &mut items[done]).map_err(|error| (done, error))?;
            done += 1;
        }
        let rest = &mut items[done..];
        let flushed = on_threads(rest, rest.len().min(FLUSHERS), |at, item| work(done + at, item));
        // At once, even a long one takes no longer than its longest flush.
        self.in_turn.store(is_short(if rest.is_empty() { most } else { SHORT }), Ordering::Relaxed);
        flushed.map_err(|(at, error)| (done + at, error))
    }
}

fn on_threads<T: Send, E: Transient + Send>(
    items: &mut [T],
    threads: usize,
    work: impl Fn(usize, &mut T) -> Result<(), E> + Sync,
) -> Result<(), (usize, E)> {
    match once(items, threads, &work) {
        Err((_, error)) if threads > 1 && error.is_transient() => once(items, 1, &work),
        done => done,
    }
}

fn once<T: Send, E: Send>(
    items: &mut [T],
    threads: usize,
    work: &(impl Fn(usize, &mut T) -> Result<(), E> + Sync),
) -> Result<(), (usize, E)> {
    let (rest, failed, first) =
        (Mutex::new(items.iter_mut().enumerate()), AtomicBool::new(false), Mutex::new(None));
    let next = || {
        let next = || lock(&rest).next();
        if failed.load(Ordering::Relaxed) { None } else { next() }
    };
    let serve = || {
        while let Some((at, item)) = next() {
            if let Err(error) = work(at, item) {
                failed.store(true, Ordering::Relaxed);
                let mut first = lock(&first);
                if first.as_ref().is_none_or(|(before, _)| at < *before) {
                    *first = Some((at, error));
                }
            }
        }
    };
    with_helpers(threads.saturating_sub(1), &serve, &|| lock(&rest).len() == 0);
    match first.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    impl Transient for &str {
        fn is_transient(&self) -> bool {
            *self == "passes"
        }
    }

    #[test]
    fn what_fails_for_want_of_something_is_done_again_by_one_thread() {
        let alone = AtomicBool::new(false);
        let mut items = vec![0; 100];
        let work = |at, item: &mut i32| {
            if at == 0 && *item > 0 {
                alone.store(true, Ordering::Relaxed);
            }
            *item += 1;
            if at == 50 && !alone.load(Ordering::Relaxed) { Err("passes") } else { Ok(()) }
        };
        each(&mut items, 8, work).unwrap();
        assert!(items.iter().all(|item| *item > 0));
    }

    #[test]
    fn flushes_that_take_no_time_are_done_by_their_caller_once_a_round_was_short() {
        let caller = thread::current().id();
        let rounds = Rounds { in_turn: AtomicBool::new(true) };
        let mut short = 0;
        for _ in 0..1000 {
            rounds.in_turn.store(true, Ordering::Relaxed);
            let elsewhere = AtomicBool::new(false);
            let flush = |_, _: &mut ()| {
                // Long enough for a thread that is woken to come.
                let since = Instant::now();
                while since.elapsed() < Duration::from_micros(10) {
                    std::hint::spin_loop();
                }
                elsewhere.fetch_or(thread::current().id() != caller, Ordering::Relaxed);
                Ok::<_, &str>(())
            };
            rounds.each(&mut [(); 8], flush).unwrap();
            // The caller may have been stopped in one of them for longer than a round may take.
            if rounds.in_turn.load(Ordering::Relaxed) {
                short += 1;
                assert!(!elsewhere.load(Ordering::Relaxed));
            }
        }
        assert!(short > 0);
    }

    #[test]
    fn flushes_that_take_their_time_are_done_at_once_and_after_a_short_round_so_are_all_but_the_first_ones() {
        let rounds = Rounds { in_turn: AtomicBool::new(false) };
        let all = Barrier::new(4);
        let meet = |_, _: &mut ()| {
            all.wait();
            thread::sleep(Duration::from_millis(1));
            Ok::<_, &str>(())
        };
        rounds.each(&mut [(); 4], meet).unwrap();
        rounds.each(&mut [], meet).unwrap();
        assert!(!rounds.in_turn.load(Ordering::Relaxed), "it was long");

        rounds.in_turn.store(true, Ordering::Relaxed);
        let (others, done) = (Barrier::new(4), Mutex::new(Vec::new()));
        let first = |at, _: &mut ()| {
            match at {
                0 => thread::sleep(Duration::from_millis(1)),
                _ => drop(others.wait()),
            }
            lock(&done).push(at);
            if at == 3 { Err("no") } else { Ok(()) }
        };
        assert_eq!(rounds.each(&mut [(); 5], first), Err((3, "no")));
        let mut done = done.into_inner().unwrap();
        done.sort();
        assert_eq!(done, [0, 1, 2, 3, 4]);
        assert!(!rounds.in_turn.load(Ordering::Relaxed));
    }

    #[test]
    fn every_item_is_done_once() {
        let mut items = vec![0; 1000];
        each(&mut items, 8, |_, item| {
            *item += 1;
            Ok::<_, &str>(())
        })
        .unwrap();
        assert!(items.iter().all(|item| *item == 1));
    }

    #[test]
    fn the_failure_of_the_first_item_is_told_and_the_rest_is_not_begun() {
        let mut items = vec![0; 1000];
        let failed = each(&mut items, 8, |at, item| {
            *item = 1;
            if at < 100 { Ok(()) } else { Err("no") }
        });
        let (at, _) = failed.unwrap_err();
        assert_eq!(at, 100);
        assert!(items.iter().sum::<i32>() < 200);
    }
}
