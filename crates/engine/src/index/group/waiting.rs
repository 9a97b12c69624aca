//! What becomes of the calls of a group that wait: for a write, for an index that is to be had again, or for a slow function.

use std::mem;
use std::time::Instant;

use super::{Group, Member, Verdict, Written};

impl<C: Member, V, O> Group<C, V, O> {
    /// Calls are not kept waiting for a write that goes on for others. `doubt`: what to tell them if it may be stored with
    /// their changes; `None`: it will not be, and is about to end.
    pub fn overdue(&mut self, doubt: Option<O>, now: Instant) {
        if let Some(doubt) = doubt {
            let is_over = |call: &C| call.deadline().is_some_and(|deadline| deadline <= now);
            let (over, others) = self.applied.drain(..).partition(is_over);
            self.applied = others;
            self.fail(over, Verdict::Settled(doubt));
            let over: Vec<_> = self.failed.extract_if(.., |(_, call)| is_over(call)).collect();
            self.fail(over.into_iter().map(|(_, call)| call).collect(), Verdict::Finished);
        }
        self.expire_waiting(now, false);
        self.actions.append(&mut self.failures);
    }

    /// The write is over, and the index is to be waited for: nobody has it until [`Group::reheld`], and calls may be told that their time
    /// [is over](Group::overdue).
    pub fn lost(&mut self, written: Written<O>, now: Instant) {
        self.end(written, now);
        self.expire_waiting(now, false);
        self.released();
    }

    /// Those that are still to run.
    pub fn waiting(&self) -> impl Iterator<Item = &C> {
        self.to_run.iter().filter(|call| !call.is_gone())
    }

    /// Removes the calls that are to run, but are aborted or have waited for too long.
    pub(super) fn expire_waiting(&mut self, now: Instant, changed: bool) {
        for call in mem::take(&mut self.to_run).into_iter().filter(|call| !call.is_gone()) {
            if call.is_aborted() {
                self.fail(vec![call], Verdict::Aborted);
            } else if call.deadline().is_some_and(|deadline| now >= deadline) {
                self.fail(vec![call], Verdict::TimedOut { changed });
            } else {
                self.to_run.push_back(call);
            }
        }
    }
}
