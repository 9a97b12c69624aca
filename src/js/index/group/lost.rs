//! While an index is to be had again whose lock or directory counts for nothing any more: nobody has it, and nothing is being written.

use std::rc::Rc;
use std::time::{Duration, Instant};

use engine::cancel::Cancel;
use engine::index::group::Written;
use engine::steps::{self, Steps};
use napi::Env;

use super::Group;
use crate::js::index::call::{Call, WeakCall};
use crate::js::index::held::{Held, Lost, Outcome};
use crate::js::task;

/// How long to wait until the next look at calls that may have been aborted.
const LOOK: Duration = Duration::from_millis(50);

impl Group {
    /// Waits for the index. None of the calls waits for longer than it is willing to, or after an abort.
    pub(super) fn lost(self: &Rc<Self>, env: &Env, written: Written<Outcome>, Lost { patience, wait }: Lost) {
        let since = Instant::now();
        drop(self.patience.replace(patience));
        self.policy.borrow_mut().lost(written, since);
        self.carry_out(env);
        let calls = self.waiting();
        let (until, cancel) = match &*calls {
            [] => return,
            [sole] => (sole.request.deadline, sole.request.signal.cancel()),
            [first, others @ ..] => {
                let cancel = Cancel::new();
                self.look_after(env, cancel.clone());
                let last = |last: Option<Instant>, call: &Rc<Call>| {
                    last.zip(call.request.deadline).map(|(last, deadline)| last.max(deadline))
                };
                (others.iter().fold(first.request.deadline, last), cancel)
            }
        };
        let steps = calls.iter().any(|call| call.request.steps.is_some()).then(Steps::new);
        self.wait.replace(steps.clone());
        let group = self.clone();
        let done = move |env: &Env, held: std::result::Result<Box<dyn Held>, Outcome>| {
            group.timer.take();
            for call in group.waiting() {
                call.waited.update(|waited| waited + since.elapsed());
                group.count_wait(&call);
            }
            group.wait.take();
            let held = held.map(|held| {
                drop(group.patience.replace(held.patience()));
                group.held.replace(Some(held));
            });
            group.policy.borrow_mut().reheld(held);
            group.carry_out(env);
        };
        steps::scope(steps.as_ref(), || wait(env, until, cancel, Box::new(done)));
    }

    /// Counts the wait for the index, if there is one, among the steps of a call for which it is over.
    pub(super) fn count_wait(&self, call: &Call) {
        if let (Some(own), Some(wait)) = (&call.request.steps, &*self.wait.borrow()) {
            own.add(wait);
        }
    }

    fn waiting(&self) -> Vec<Rc<Call>> {
        self.policy.borrow().waiting().filter_map(|WeakCall(call)| call.upgrade()).collect()
    }

    /// Looks at the calls of an index that is waited for. `cancel` is for the wait, when there are none any more.
    fn look_after(self: &Rc<Self>, env: &Env, cancel: Cancel) {
        let now = Instant::now();
        let next = self.policy.borrow().next_deadline(now);
        let pause = next.map_or(LOOK, |next| LOOK.min(next - now));
        let group = self.clone();
        let timer = task::after(env, pause, move |env| {
            group.timer.take();
            group.policy.borrow_mut().overdue(None, Instant::now());
            group.carry_out(env);
            if group.waiting().is_empty() { cancel.cancel() } else { group.look_after(env, cancel) }
        });
        self.timer.replace(timer);
    }
}
