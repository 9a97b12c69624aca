//! How long the steps of one call take, for callers that want to know: without one, a step costs the look at a thread-local.
//!
//! The driver of a job has it run in the [`scope`] of its call's steps, and the futures that it waits for as well. A call is in
//! one step at a time; a step within another one interrupts it. What a call does beside is in none: waiting for a worker, and
//! what its caller does with what it has. Threads that help with a call are not looked at, only the one that waits for them.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::process::lock;

/// What takes time in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Following the path.
    Resolve,
    /// Waiting for the turn among the calls of this process.
    Queue,
    /// Waiting for the locks among processes.
    Lock,
    /// Making the new file: its bytes, owner and mode.
    Stage,
    /// Flushing it.
    Fsync,
    /// Reading it back.
    Verify,
    /// Giving it its name.
    Rename,
    /// Flushing the directory, or waiting for a flush that is shared.
    DirectoryFsync,
}

impl Step {
    /// All, in their order.
    pub const ALL: [Self; 8] = [
        Self::Resolve,
        Self::Queue,
        Self::Lock,
        Self::Stage,
        Self::Fsync,
        Self::Verify,
        Self::Rename,
        Self::DirectoryFsync,
    ];
}

/// The steps of a call.
#[derive(Debug)]
pub struct Steps(Mutex<State>);

#[derive(Debug)]
struct State {
    now: Option<Step>,
    since: Instant,
    took: [Duration; Step::ALL.len()],
    /// Steps that the call has been in.
    taken: [bool; Step::ALL.len()],
    /// Others work for the call.
    is_over: bool,
}

thread_local! {
    /// Of the call for which this thread works.
    static CURRENT: RefCell<Option<Arc<Steps>>> = const { RefCell::new(None) };
}

impl Steps {
    /// With no step taken.
    pub fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            now: None,
            since: Instant::now(),
            took: Default::default(),
            taken: Default::default(),
            is_over: false,
        })))
    }

    /// How long a step has taken so far; `None`: the call has not been in it.
    pub fn took(&self, step: Step) -> Option<Duration> {
        let state = lock(&self.0);
        let under_way = if state.now == Some(step) { state.since.elapsed() } else { Duration::ZERO };
        state.taken[step as usize].then(|| state.took[step as usize] + under_way)
    }

    /// Ends the step that the call is in, and takes no other: from now on others work for it, and what that takes is
    /// [added](Self::add). The job of the call may hear of it only while they do.
    pub fn end(&self) {
        let mut state = lock(&self.0);
        state.switch(None);
        state.is_over = true;
    }

    /// Adds what was done for this call together with others.
    pub fn add(&self, shared: &Self) {
        for step in Step::ALL {
            if let Some(took) = shared.took(step) {
                let mut state = lock(&self.0);
                state.took[step as usize] += took;
                state.taken[step as usize] = true;
            }
        }
    }

    fn switch(&self, next: Option<Step>) -> Option<Step> {
        lock(&self.0).switch(next)
    }
}

impl State {
    /// Goes over to another step, or to none; returns the one before.
    fn switch(&mut self, next: Option<Step>) -> Option<Step> {
        if self.is_over {
            return None;
        }
        let now = Instant::now();
        if let Some(before) = self.now {
            self.took[before as usize] += now.duration_since(self.since);
        }
        if let Some(next) = next {
            self.taken[next as usize] = true;
        }
        self.since = now;
        std::mem::replace(&mut self.now, next)
    }
}

/// The steps of the call for which this thread works, if anyone wants to know them.
pub fn current() -> Option<Arc<Steps>> {
    // What a thread drops at its end may flush a directory.
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// As [`current`], for a call that keeps them; the rest of the scope is not measured, as users' code may run in it.
pub fn take() -> Option<Arc<Steps>> {
    CURRENT.with_borrow_mut(Option::take)
}

/// Does `work` for the call that has these steps.
pub fn scope<T>(steps: Option<&Arc<Steps>>, work: impl FnOnce() -> T) -> T {
    let Some(_until_then) = Entered::by(steps) else { return work() };
    work()
}

/// What the thread worked for before, until this is dropped, also by a panic.
struct Entered(Option<Arc<Steps>>);

impl Entered {
    /// `None`: nobody wants to know, neither before nor now.
    fn by(steps: Option<&Arc<Steps>>) -> Option<Self> {
        CURRENT.with_borrow_mut(|current| {
            (steps.is_some() || current.is_some()).then(|| Self(std::mem::replace(current, steps.cloned())))
        })
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // Dropped outside of the borrow.
        let _over = CURRENT.with_borrow_mut(|current| std::mem::replace(current, self.0.take()));
    }
}

/// A future that is polled in a [`scope`].
#[derive(Debug)]
pub struct Scoped<F> {
    /// Of the call that waits for it.
    pub steps: Option<Arc<Steps>>,
    /// What it waits for.
    pub future: F,
}

impl<F: Future + Unpin> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { steps, future } = &mut *self;
        scope(steps.as_ref(), || Pin::new(future).poll(context))
    }
}

/// The call is in `step` until the result is dropped.
#[must_use = "the step ends when this is dropped"]
pub(crate) fn begin(step: Step) -> During {
    During(current().map(|steps| {
        let before = steps.switch(Some(step));
        (steps, before)
    }))
}

/// A step of a call.
pub(crate) struct During(Option<(Arc<Steps>, Option<Step>)>);

impl Drop for During {
    fn drop(&mut self) {
        if let Some((steps, before)) = self.0.take() {
            steps.switch(before);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::thread::sleep;

    use super::*;

    const SHORT: Duration = Duration::from_millis(2);

    #[test]
    fn a_step_within_another_one_interrupts_it() {
        let steps = Steps::new();
        let since = Instant::now();
        scope(Some(&steps), || {
            let _stage = begin(Step::Stage);
            sleep(SHORT);
            drop(begin(Step::Verify));
            let fsync = begin(Step::Fsync);
            sleep(SHORT);
            drop(fsync);
            sleep(SHORT);
        });
        let took = |step| steps.took(step).unwrap();
        assert!(took(Step::Stage) >= 2 * SHORT && took(Step::Fsync) >= SHORT);
        assert!(took(Step::Stage) + took(Step::Fsync) + took(Step::Verify) <= since.elapsed());
        assert_eq!(steps.took(Step::Lock), None);
    }

    #[test]
    fn a_step_that_is_not_over_counts_as_far_as_it_has_come() {
        let steps = Steps::new();
        let waiting = scope(Some(&steps), || begin(Step::Lock));
        sleep(SHORT);
        let shared = Steps::new();
        shared.add(&steps);
        assert!(shared.took(Step::Lock).unwrap() >= SHORT);
        drop(waiting);
        assert!(steps.took(Step::Lock) >= shared.took(Step::Lock));
    }

    #[test]
    fn a_step_ends_when_others_work_for_the_call() {
        let steps = Steps::new();
        let waiting = scope(Some(&steps), || begin(Step::Queue));
        steps.end();
        let took = steps.took(Step::Queue).unwrap();
        let shared = Steps::new();
        scope(Some(&shared), || drop(begin(Step::Fsync)));
        sleep(SHORT);
        steps.add(&shared);
        drop(waiting);
        scope(Some(&steps), || drop(begin(Step::Lock)));
        assert_eq!(steps.took(Step::Queue), Some(took));
        assert_eq!(steps.took(Step::Fsync), shared.took(Step::Fsync));
        assert_eq!(steps.took(Step::Lock), None);
    }

    #[test]
    fn what_nobody_wants_to_know_is_not_measured() {
        let steps = Steps::new();
        scope(Some(&steps), || scope(None, || assert!(begin(Step::Stage).0.is_none())));
        assert!(begin(Step::Stage).0.is_none());
        assert_eq!(steps.took(Step::Stage), None);
    }
}
