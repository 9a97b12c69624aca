//! The policy of a group commit: updates of one index that are read, changed and written as one.
//!
//! The first call of a group holds the index. Its function is given the index, the function of the next call in the queue
//! is given what the first one returned, and so on; the result is written once, and only then are the callers told.
//! A function that fails may have changed the index in part, and may have failed on something that a function before
//! it left there and that JSON does not keep. So the calls before it run again, on the index as it is stored, and are
//! written without it; then it runs once more, on what was written. If it fails again, it would have failed alone.
//! One that cannot have changed the index, nor met what JSON does not keep, need not run again: its failure counts once what it has failed on is
//! stored.
//!
//! There is no I/O here, no clock and no lock. The owner of a [`Group`] reports what happened and when, and carries
//! out what [`Group::next`] returns. How an index is stored is known to the owner only: it can be read, and be replaced if
//! it is still the version that was read.

use std::collections::VecDeque;
use std::time::{Duration, Instant};
use std::{iter, mem};

use crate::stats;

mod terms;
mod waiting;

pub use terms::{Action, Member, RunId, Times, Verdict, Written};

#[cfg(test)]
mod tests;

/// The most calls that one write is for: the first of them waits for the last.
const MAX_CALLS: usize = 1000;
/// For how long a group takes calls from the queue, from the moment when its first function is called; and for how long functions run ahead of one
/// write.
pub const MAX_TIME: Duration = Duration::from_millis(50);
/// For how long other calls wait for a function before they are checked.
const PATIENCE: Duration = Duration::from_millis(100);

/// Calls `C` that share an index, which is a `V` between their functions. They are told outcomes `O`.
pub struct Group<C, V, O> {
    /// The function that has the index.
    running: Option<Running<C>>,
    last_run: RunId,
    /// The index is being written or given back, or is not held any more.
    is_away: bool,
    /// With the changes of the applied calls; `None`: there are none, and it is as it is stored.
    index: Option<V>,
    applied: Vec<C>,
    /// Calls that have failed on what so many of the applied ones have made, and have left it as it was.
    failed: Vec<(usize, C)>,
    /// The calls to run before any call that is still in line.
    to_run: VecDeque<C>,
    /// To be returned by `next`.
    actions: VecDeque<Action<C, V, O>>,
    /// What to tell the calls that have failed: no caller is to hear of a failure while the index is held.
    failures: VecDeque<Action<C, V, O>>,
    /// How many calls may be written as one.
    limit: usize,
    /// The limit is low because a result is no JSON, and rises only step by step.
    bisecting: bool,
    /// When the first function was called. Reading the index is not held against those in line.
    since: Option<Instant>,
    /// When the first function was called for the next write.
    write_since: Option<Instant>,
}

struct Running<C> {
    call: C,
    run: RunId,
    /// When it was called, or the other calls were looked after last; `None`: it was not called yet.
    since: Option<Instant>,
}

impl<C: Member, V, O> Group<C, V, O> {
    /// A group of one call, which holds the index.
    pub fn new(leader: C) -> Self {
        Self {
            running: None,
            last_run: 0,
            is_away: false,
            index: None,
            applied: Vec::new(),
            failed: Vec::new(),
            to_run: VecDeque::from([leader]),
            actions: VecDeque::new(),
            failures: VecDeque::new(),
            limit: MAX_CALLS,
            bisecting: false,
            since: None,
            write_since: None,
        }
    }

    /// A group of one call, whose change is being written.
    pub fn writing(leader: C) -> Self {
        let mut group = Self::new(leader);
        group.applied = mem::take(&mut group.to_run).into();
        group.is_away = true;
        group
    }

    /// What is to be done next; `None`: nothing until a report. `take` takes the next call out of the line, if it is one
    /// that can be written together with these.
    pub fn next(&mut self, now: Instant, mut take: impl FnMut() -> Option<C>) -> Option<Action<C, V, O>> {
        if let Some(action) = self.actions.pop_front() {
            return Some(action);
        }
        if self.is_away || self.running.is_some() {
            return None;
        }
        let mut call = self.next_call(now, &mut take);
        if call.is_none() && self.remove_aborted() {
            call = self.next_call(now, &mut take);
        }
        if let Some(call) = call {
            self.last_run += 1;
            self.running = Some(Running { call: call.clone(), run: self.last_run, since: None });
            return Some(Action::Run(call, self.last_run));
        }
        self.is_away = true;
        let Some(index) = self.index.take() else { return Some(Action::Release) };
        let sole = if let [sole] = &*self.applied { Some(sole.clone()) } else { None };
        Some(Action::Write { index, sole, keep: !(self.to_run.is_empty() && self.failed.is_empty()) })
    }

    fn next_call(&mut self, now: Instant, take: impl FnOnce() -> Option<C>) -> Option<C> {
        let is_over = |since: Option<Instant>| {
            since.is_some_and(|since| now.saturating_duration_since(since) >= MAX_TIME)
        };
        let is_late = !self.applied.is_empty() && is_over(self.write_since);
        if is_late || self.applied.len() >= self.limit {
            return None;
        }
        while let Some(call) = self.to_run.pop_front() {
            if !call.is_gone() {
                return Some(call);
            }
        }
        if is_over(self.since) { None } else { take() }
    }

    /// Until when the first and the last of the calls wait that the next write is for.
    pub fn times(&self) -> Times {
        let deadlines = || self.applied.iter().map(Member::deadline);
        let last = deadlines().try_fold(None, |last, deadline| Some(last.max(Some(deadline?))));
        Times { first: deadlines().flatten().min(), last: last.flatten() }
    }

    /// When the time of a call is over next, and not yet that of the write: [`Group::overdue`] is for then.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let last = self.times().last;
        let before_the_last =
            |deadline: &Instant| *deadline > now && last.is_none_or(|last| *deadline < last);
        let failed = self.failed.iter().map(|(_, call)| call);
        let all = self.applied.iter().chain(failed).chain(&self.to_run);
        all.filter_map(Member::deadline).filter(before_the_last).min()
    }

    /// Whether this run is not over yet.
    pub fn is_current(&self, run: RunId) -> bool {
        self.running.as_ref().is_some_and(|running| running.run == run)
    }

    /// The index for the function that is to be called; `None`: as it is stored.
    pub fn index(&self) -> Option<&V> {
        self.index.as_ref()
    }

    /// The function is called now, and may change the index from here on.
    pub fn entered(&mut self, now: Instant) {
        self.since.get_or_insert(now);
        self.write_since.get_or_insert(now);
        if let Some(running) = &mut self.running {
            running.since = Some(now);
        }
    }

    /// The function has made `next` of the index.
    pub fn accepted(&mut self, run: RunId, next: V) {
        if let Some(Running { call, .. }) = self.end_run(run) {
            self.index = Some(next);
            self.applied.push(call);
        }
    }

    /// The function has failed, or it was not called.
    pub fn failed(&mut self, run: RunId) {
        let Some(Running { call, since, .. }) = self.end_run(run) else { return };
        if !self.applied.is_empty() && !call.is_aborted() {
            return self.preempt(call);
        }
        if since.is_some() {
            self.begin_again();
        }
        self.fail(vec![call], Verdict::Finished);
    }

    /// The function has failed, and has left the index as it was.
    pub fn failed_untouched(&mut self, run: RunId) {
        let Some(Running { call, .. }) = self.end_run(run) else { return };
        if self.applied.is_empty() {
            self.write_since = None;
        } else if !call.is_aborted() {
            return self.failed.push((self.applied.len(), call));
        }
        self.fail(vec![call], Verdict::Finished);
    }

    /// Nobody waits for the function any more, and it is not to be called again.
    pub fn given_up(&mut self, run: RunId) {
        if let Some(Running { call, .. }) = self.end_run(run) {
            self.begin_again();
            self.fail(vec![call], Verdict::Finished);
        }
    }

    /// These run next, ahead of those that are still to run.
    pub fn run_next(&mut self, calls: impl DoubleEndedIterator<Item = C>) {
        calls.rev().for_each(|call| self.to_run.push_front(call));
    }

    /// The call is over for the group: others run in its place.
    pub fn left(&mut self, run: RunId) {
        self.end_run(run);
    }

    fn end_run(&mut self, run: RunId) -> Option<Running<C>> {
        self.running.take_if(|running| running.run == run)
    }

    /// For how long to wait for what the function has promised, before [`Group::tick`]; `None`: for as long as it
    /// takes, because no other call waits for it.
    pub fn patience(&self, now: Instant) -> Option<Duration> {
        let since = self.running.as_ref()?.since?;
        let has_others = !(self.applied.is_empty() && self.to_run.is_empty() && self.failures.is_empty());
        has_others.then(|| PATIENCE.saturating_sub(now.saturating_duration_since(since)))
    }

    /// Looks after the calls that wait for a slow function.
    pub fn tick(&mut self, now: Instant) {
        if self.patience(now) != Some(Duration::ZERO) {
            return;
        }
        self.expire_waiting(now, false);
        self.actions.append(&mut self.failures);
        if self.applied.is_empty() {
            self.entered(now);
        } else if let Some(Running { call, .. }) = self.running.take() {
            self.actions.push_back(Action::Interrupt(call.clone()));
            self.preempt(call);
        }
    }

    /// The index has no text.
    pub fn refused(&mut self) {
        if !self.try_fewer() {
            let culprit = mem::take(&mut self.applied);
            self.begin_again();
            self.fail(culprit, Verdict::Finished);
        }
        self.is_away = false;
    }

    /// The write is over. The index is held and was read again, or is not: calls that are still to run are told so.
    pub fn written(&mut self, written: Written<O>, held: Result<(), O>, now: Instant) {
        self.end(written, now);
        self.reheld(held);
    }

    fn end(&mut self, written: Written<O>, now: Instant) {
        match written {
            Written::Done(outcome) => {
                let calls = self.end_write();
                stats::updated(calls.iter().map(Member::count).sum());
                self.actions.push_back(Action::Tell(calls, Verdict::Settled(outcome)));
                let failed = self.failed.drain(..).map(|(_, call)| call).collect();
                self.fail(failed, Verdict::Finished);
            }
            Written::Invalid(_) if self.try_fewer() => {}
            Written::Invalid(outcome) | Written::Failed(outcome) => {
                let calls = self.end_write();
                self.begin_again();
                self.fail(calls, Verdict::Settled(outcome));
            }
            Written::Changed => {
                self.begin_again();
                // It may be changed time and again.
                self.expire_waiting(now, true);
            }
            Written::Late(outcome, until) => {
                let is_late = |call: &C| call.deadline().is_some_and(|deadline| deadline <= until);
                let (late, others) = self.applied.drain(..).partition(is_late);
                self.applied = others;
                self.begin_again();
                self.fail(late, Verdict::Settled(outcome));
            }
        }
    }

    /// The index is held and was read again, or is not: calls that are still to run are told so.
    pub fn reheld(&mut self, held: Result<(), O>) {
        match held {
            Ok(()) => self.is_away = false,
            Err(outcome) => {
                let rest = mem::take(&mut self.to_run);
                self.fail(rest.into(), Verdict::Settled(outcome));
                self.released();
            }
        }
    }

    fn end_write(&mut self) -> Vec<C> {
        self.limit = if self.bisecting { (self.limit * 2).min(MAX_CALLS) } else { MAX_CALLS };
        self.write_since = None;
        mem::take(&mut self.applied)
    }

    /// The index is not held any more.
    pub fn released(&mut self) {
        self.actions.append(&mut self.failures);
    }

    fn fail(&mut self, calls: Vec<C>, verdict: Verdict<O>) {
        if !calls.is_empty() {
            self.failures.push_back(Action::Tell(calls, verdict));
        }
    }

    /// The calls before this one are written without it, and it runs again after them.
    fn preempt(&mut self, call: C) {
        self.limit = self.applied.len();
        self.to_run.push_front(call);
        self.begin_again();
    }

    /// What several calls have made together is no JSON: fewer are tried next time, until the culprit is alone. `false`: it is.
    fn try_fewer(&mut self) -> bool {
        match &*self.applied {
            [] => return false,
            [one] if !one.part() => return false,
            [_] => {}
            several => {
                self.limit = several.len() / 2;
                self.bisecting = true;
            }
        }
        self.begin_again();
        true
    }

    /// The index has changes that are not to be written, or is another by now.
    fn begin_again(&mut self) {
        self.index = None;
        self.write_since = None;
        let (mut again, mut failed) = (VecDeque::new(), self.failed.drain(..).peekable());
        for (at, call) in self.applied.drain(..).enumerate() {
            again.extend(iter::from_fn(|| failed.next_if(|(behind, _)| *behind <= at)).map(|(_, call)| call));
            again.push_back(call);
        }
        again.extend(failed.map(|(_, call)| call));
        again.append(&mut self.to_run);
        self.to_run = again;
    }

    /// Removes the aborted ones of the calls that were to be written; the others run again. `false`: there are none.
    fn remove_aborted(&mut self) -> bool {
        let (aborted, wanted): (Vec<_>, _) = self.applied.drain(..).partition(Member::is_aborted);
        self.applied = wanted;
        if aborted.is_empty() {
            return false;
        }
        self.begin_again();
        self.fail(aborted, Verdict::Aborted);
        true
    }
}
