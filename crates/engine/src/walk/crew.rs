//! A few threads for the files of one tree: while one waits for the device, others ask it for more.
//!
//! They are started as work comes, and live as long as the walk that hands it out.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope};

use crate::error::{Error, ErrorKind, Result};
use crate::process::lock;

/// How many operations the device is asked for at once.
const THREADS: usize = 16;
/// How many pieces of work wait for a thread: each keeps its directory open.
const WAITING: usize = 16;

/// What is to be done, and what came of it.
struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    waiting: VecDeque<T>,
    idle: usize,
    /// No more work will come.
    over: bool,
    /// The first failure: no more work is started.
    failed: Option<Error>,
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        lock(&self.state)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, error: Error) {
        self.state().failed.get_or_insert(error);
        self.changed.notify_all();
    }

    /// Works until there is nothing left to do.
    fn serve(&self, task: &(dyn Fn(T) -> Result<()> + Sync)) {
        let mut state = self.state();
        loop {
            if state.failed.is_some() {
                return;
            }
            if let Some(next) = state.waiting.pop_front() {
                drop(state);
                self.changed.notify_all();
                self.run(task, next);
                state = self.state();
            } else if state.over {
                return;
            } else {
                state.idle += 1;
                state = self.wait(state);
                state.idle -= 1;
            }
        }
    }

    fn run(&self, task: &(dyn Fn(T) -> Result<()> + Sync), next: T) {
        // A panic must not end the thread: the caller of `give` would wait for it.
        let done = catch_unwind(AssertUnwindSafe(|| task(next)))
            .unwrap_or_else(|_| Err(ErrorKind::Panic("a thread of a tree".to_owned()).into()));
        if let Err(error) = done {
            self.fail(error);
        }
    }
}

/// The threads that work on one tree, as the thread that hands out the work sees them.
pub struct Crew<'scope, 'env, T> {
    scope: &'scope Scope<'scope, 'env>,
    shared: &'scope Shared<T>,
    task: &'scope (dyn Fn(T) -> Result<()> + Sync),
    threads: usize,
}

impl<T: Send> Crew<'_, '_, T> {
    /// Hands out work; waits while enough of it is waiting.
    ///
    /// # Errors
    /// If anything has failed. [`with_crew`] decides which error is reported.
    pub fn give(&mut self, work: T) -> Result<()> {
        let mut state = self.shared.state();
        while state.failed.is_none() && state.waiting.len() >= WAITING {
            state = self.shared.wait(state);
        }
        if state.failed.is_some() {
            return Err(ErrorKind::Aborted.into());
        }
        let more = state.idle <= state.waiting.len() && self.threads < THREADS;
        state.waiting.push_back(work);
        drop(state);
        self.shared.changed.notify_all();
        if more {
            let (shared, task) = (self.shared, self.task);
            let thread = thread::Builder::new().name("atomic-tree".to_owned());
            if thread.spawn_scoped(self.scope, move || shared.serve(task)).is_ok() {
                self.threads += 1;
            } else if self.threads == 0 {
                // There is no thread to do it.
                let next = self.shared.state().waiting.pop_front();
                if let Some(next) = next {
                    self.shared.run(self.task, next);
                }
            }
        }
        Ok(())
    }
}

impl<T> Drop for Crew<'_, '_, T> {
    fn drop(&mut self) {
        self.shared.state().over = true;
        self.shared.changed.notify_all();
    }
}

/// Runs `task` on all work that `lead` hands out, and returns when all of it is done.
///
/// # Errors
/// The first of the two.
pub fn with_crew<T: Send, R>(
    task: &(dyn Fn(T) -> Result<()> + Sync),
    lead: impl FnOnce(&mut Crew<'_, '_, T>) -> Result<R>,
) -> Result<R> {
    let state = State { waiting: VecDeque::new(), idle: 0, over: false, failed: None };
    let shared = Shared { state: Mutex::new(state), changed: Condvar::new() };
    let led = thread::scope(|scope| {
        let mut crew = Crew { scope, shared: &shared, task, threads: 0 };
        let led = lead(&mut crew);
        if led.is_err() {
            // The rest is not needed.
            crew.shared.state().waiting.clear();
        }
        led
    });
    match shared.state.into_inner().unwrap_or_else(PoisonError::into_inner).failed {
        Some(error) => Err(error),
        None => led,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn give_all(task: &(dyn Fn(usize) -> Result<()> + Sync), count: usize) -> Result<()> {
        with_crew(task, |crew| (0..count).try_for_each(|work| crew.give(work)))
    }

    #[test]
    fn all_work_is_done_when_it_returns() {
        let done = AtomicUsize::new(0);
        let task = |work| {
            thread::sleep(std::time::Duration::from_micros(50));
            done.fetch_add(work, Ordering::Relaxed);
            Ok(())
        };
        give_all(&task, 1000).unwrap();
        assert_eq!(done.into_inner(), 999 * 500);
        give_all(&|_| Ok(()), 0).unwrap();
    }

    #[test]
    fn after_a_failure_no_more_work_is_started_and_that_failure_is_reported() {
        let begun = AtomicUsize::new(0);
        let task = |work| {
            begun.fetch_add(1, Ordering::Relaxed);
            if work == 10 { Err(Error::raw("fsync", 5)) } else { Ok(()) }
        };
        let error = give_all(&task, 100_000).unwrap_err();
        assert_eq!(error.errno_of("fsync"), Some(5));
        assert!(begun.into_inner() < 1000);
    }

    #[test]
    fn a_panic_is_an_error_and_no_thread_waits_for_ever() {
        let error = give_all(&|work| if work == 3 { panic!("mine") } else { Ok(()) }, 1000).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Panic(_)));
    }

    #[test]
    fn a_failure_of_the_leading_thread_is_reported_too() {
        let led: Result<()> = with_crew(&|_: u8| Ok(()), |crew| {
            crew.give(1)?;
            Err(Error::raw("scandir", 5))
        });
        assert_eq!(led.unwrap_err().errno_of("scandir"), Some(5));
    }
}
