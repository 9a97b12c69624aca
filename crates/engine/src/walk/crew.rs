//! A few threads for the files of one tree: while one waits for the device, others ask it for more.
//!
//! They are started as there is work, and live as long as the walk that gives it to them.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};

/// As many as the device is asked for at once.
const HANDS: usize = 16;
/// How many wait to be taken up: each holds its directory open.
const WAITING: usize = 16;
/// How long a thread puts up with a lack of descriptors.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is to be done, and what came of it.
struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    waiting: VecDeque<T>,
    idle: usize,
    /// No more will come.
    over: bool,
    /// The first failure: nothing more is taken up.
    failed: Option<Error>,
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, error: Error) {
        self.state().failed.get_or_insert(error);
        self.changed.notify_all();
    }

    /// One thread's life.
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
        // Whoever gives work would wait for a thread that is gone.
        let done = catch_unwind(AssertUnwindSafe(|| task(next)))
            .unwrap_or_else(|_| Err(ErrorKind::Panic("a thread of a tree".to_owned()).into()));
        if let Err(error) = done {
            self.fail(error);
        }
    }
}

/// Those that work on one tree, for who gives them work.
pub struct Crew<'scope, 'env, T> {
    scope: &'scope Scope<'scope, 'env>,
    shared: &'scope Shared<T>,
    task: &'scope (dyn Fn(T) -> Result<()> + Sync),
    threads: usize,
}

impl<T: Send> Crew<'_, '_, T> {
    /// Gives out work; waits while there is enough of it.
    ///
    /// # Errors
    /// If anything has failed. Which error is told is decided in [`with_crew`].
    pub fn give(&mut self, work: T) -> Result<()> {
        let mut state = self.shared.state();
        while state.failed.is_none() && state.waiting.len() >= WAITING {
            state = self.shared.wait(state);
        }
        if state.failed.is_some() {
            return Err(ErrorKind::Aborted.into());
        }
        let more = state.idle <= state.waiting.len() && self.threads < HANDS;
        state.waiting.push_back(work);
        drop(state);
        self.shared.changed.notify_all();
        if more {
            let (shared, task) = (self.shared, self.task);
            let thread = thread::Builder::new().name("atomic-tree".to_owned());
            if thread.spawn_scoped(self.scope, move || shared.serve(task)).is_ok() {
                self.threads += 1;
            } else if self.threads == 0 {
                // Nobody else will.
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

/// Has `task` done to all that `lead` gives out, and returns when all of it is done.
///
/// # Errors
/// The first of either.
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
            // Nobody needs the rest.
            crew.shared.state().waiting.clear();
        }
        led
    });
    match shared.state.into_inner().unwrap_or_else(PoisonError::into_inner).failed {
        Some(error) => Err(error),
        None => led,
    }
}

/// Tries again while the cause is one that passes: other trees' files are closed by and by.
pub fn retry_transient<T>(mut open: impl FnMut() -> Result<T>) -> Result<T> {
    let since = Instant::now();
    loop {
        match open() {
            Err(error) if error.is_transient() && since.elapsed() < PATIENCE => {
                thread::sleep(Duration::from_millis(5));
            }
            done => return done,
        }
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
    fn all_that_is_given_out_is_done_when_it_returns() {
        let done = AtomicUsize::new(0);
        let task = |work| {
            thread::sleep(Duration::from_micros(50));
            done.fetch_add(work, Ordering::Relaxed);
            Ok(())
        };
        give_all(&task, 1000).unwrap();
        assert_eq!(done.into_inner(), 999 * 500);
        give_all(&|_| Ok(()), 0).unwrap();
    }

    #[test]
    fn after_a_failure_nothing_more_is_begun_and_it_is_the_one_that_is_told() {
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
    fn a_panic_is_an_error_and_nobody_waits_for_its_thread() {
        let error = give_all(&|work| if work == 3 { panic!("mine") } else { Ok(()) }, 1000).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Panic(_)));
    }

    #[test]
    fn a_failure_of_who_leads_is_told_too() {
        let led: Result<()> = with_crew(&|_: u8| Ok(()), |crew| {
            crew.give(1)?;
            Err(Error::raw("scandir", 5))
        });
        assert_eq!(led.unwrap_err().errno_of("scandir"), Some(5));
    }
}
