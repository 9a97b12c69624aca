//! The same work on many items, on threads of our own: libuv's pool has four, and other calls wait for them; many
//! flushes at once are as quick as one on most devices.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::Error;
use crate::process::{lock, with_helpers};

/// Fewer items than this are not worth a thread.
const FEWEST: usize = 4;

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

/// As [`each`], with a thread for each item: for work that waits for the device.
///
/// # Errors
/// Those of [`each`].
pub fn each_at_once<T: Send, E: Transient + Send>(
    items: &mut [T],
    threads: usize,
    work: impl Fn(usize, &mut T) -> Result<(), E> + Sync,
) -> Result<(), (usize, E)> {
    on_threads(items, threads.min(items.len()), work)
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
