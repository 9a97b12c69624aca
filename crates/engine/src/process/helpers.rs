//! Threads that help the one that calls: it lends them work that borrows from it, and goes on when none of them is in that any more.
//!
//! As `std::thread::scope`, but for two things. Helpers [wait](Spare) for the next caller when they have helped. And one that has not begun
//! when the work is done is not waited for: on a busy machine a thread gets a processor milliseconds after it was asked for.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use crate::process::{Spare, lock};

/// So many help at most in the process, whoever calls.
pub const MOST_HELPERS: usize = 64;
/// And so many where the system has refused a thread, or a quarter of those that there were.
const FEW_HELPERS: usize = 8;

static HELPERS: Spare = Spare::new("atomic-batch", MOST_HELPERS);
static HELPING: Helping = Helping { threads: AtomicUsize::new(0), most: AtomicUsize::new(MOST_HELPERS) };

/// How many threads help, and how many may. The limits of a user or a container are the program's as well: what it starts is to be had, too.
struct Helping {
    threads: AtomicUsize,
    most: AtomicUsize,
}

impl Helping {
    fn begin(&self) -> bool {
        let may = self.threads.fetch_add(1, Ordering::Relaxed) < self.most.load(Ordering::Relaxed);
        if !may {
            self.end();
        }
        may
    }

    fn end(&self) {
        self.threads.fetch_sub(1, Ordering::Relaxed);
    }

    /// The system has refused one more: from now on there are fewer.
    fn refused(&self) {
        let few = (self.threads.load(Ordering::Relaxed) / 4).max(FEW_HELPERS);
        self.most.fetch_min(few, Ordering::Relaxed);
    }
}

type Work<'a> = dyn Fn() + Sync + 'a;

/// Has up to `most` other threads do `work` beside this one, as long as it is not over. It is to come to its end by itself, however many do it.
pub fn with_helpers(most: usize, work: &Work<'_>, is_over: &dyn Fn() -> bool) {
    let lent = Lent::new(work);
    for _ in 0..most {
        // A thread takes longer to begin than many a flush takes; and without more threads there are those that there are.
        if is_over() || !HELPING.begin() {
            break;
        }
        let helper = lent.0.clone();
        let work = move || {
            helper.help();
            HELPING.end();
        };
        if HELPERS.offer(Box::new(work)).is_err() {
            HELPING.end();
            HELPING.refused();
            HELPERS.keep_none();
            break;
        }
    }
    work();
    drop(lent);
}

/// Work that others may be in, until it is dropped.
struct Lent(Arc<Loan>);

#[derive(Default)]
struct Loan {
    state: Mutex<State>,
    left: Condvar,
}

#[derive(Default)]
struct State {
    /// `None`: it is taken back.
    work: Option<&'static Work<'static>>,
    /// So many helpers are in it.
    inside: usize,
    panic: Option<Box<dyn Any + Send>>,
}

impl Lent {
    fn new(work: &Work<'_>) -> Self {
        // SAFETY: the longer lifetime is seen by helpers only, each of which is counted before it has the reference and until it is done
        // with it. Dropping, which also a panic does, takes the reference from the others and waits for those. This value leaves no function but
        // `with_helpers`, which drops it.
        let work = unsafe { std::mem::transmute::<&Work<'_>, &'static Work<'static>>(work) };
        let state = State { work: Some(work), ..State::default() };
        Self(Arc::new(Loan { state: Mutex::new(state), ..Loan::default() }))
    }
}

impl Loan {
    fn help(&self) {
        let mut state = lock(&self.state);
        let Some(work) = state.work else { return };
        state.inside += 1;
        drop(state);
        let ended = catch_unwind(AssertUnwindSafe(work));
        let mut state = lock(&self.state);
        state.panic = ended.err().or(state.panic.take());
        state.inside -= 1;
        drop(state);
        self.left.notify_one();
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.work = None;
        let waited = self.0.left.wait_while(state, |state| state.inside > 0);
        let panic = waited.unwrap_or_else(PoisonError::into_inner).panic.take();
        if let Some(panic) = panic
            && !thread::panicking()
        {
            resume_unwind(panic);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn each_helper_is_out_of_the_work_before_its_caller_goes_on() {
        for _ in 0..200 {
            let (begun, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let both = Barrier::new(2);
            let work = || {
                // Only two pass, so at least one of them is a helper.
                if begun.fetch_add(1, Ordering::SeqCst) < 2 {
                    both.wait();
                }
                thread::yield_now();
                ended.fetch_add(1, Ordering::SeqCst);
            };
            with_helpers(4, &work, &|| false);
            let done = ended.load(Ordering::SeqCst);
            assert_eq!(begun.load(Ordering::SeqCst), done);
            assert!(done >= 2);
        }
    }

    #[test]
    fn one_that_comes_when_the_work_is_taken_back_is_not_let_in() {
        let loan = {
            let lent = Lent::new(&|| panic!("nobody is let in"));
            lent.0.clone()
        };
        loan.help();
        assert!(lock(&loan.state).panic.is_none());
    }

    #[test]
    fn no_more_help_than_may_and_fewer_once_the_system_has_refused_one() {
        let helping = Helping { threads: AtomicUsize::new(0), most: AtomicUsize::new(MOST_HELPERS) };
        assert_eq!((0..2 * MOST_HELPERS).filter(|_| helping.begin()).count(), MOST_HELPERS);
        helping.refused();
        (0..MOST_HELPERS).for_each(|_| helping.end());
        assert_eq!((0..MOST_HELPERS).filter(|_| helping.begin()).count(), MOST_HELPERS / 4);
        helping.refused();
        (0..MOST_HELPERS / 4).for_each(|_| helping.end());
        assert_eq!((0..MOST_HELPERS).filter(|_| helping.begin()).count(), FEW_HELPERS);
    }

    #[test]
    fn the_panic_of_a_helper_is_its_callers() {
        let caller = thread::current().id();
        let both = Barrier::new(2);
        let work = || {
            both.wait();
            assert_eq!(thread::current().id(), caller, "a helper");
        };
        assert!(catch_unwind(AssertUnwindSafe(|| with_helpers(1, &work, &|| false))).is_err());
        // Its thread lives on.
        let both = Barrier::new(2);
        let work = || {
            both.wait();
        };
        with_helpers(1, &work, &|| false);
    }
}
