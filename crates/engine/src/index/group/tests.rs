//! One test a rule, and a model test of them all. What a group does is compared as text: `run 1`, `write [1, 2]`, `tell [1, 2] stored`.

use std::cell::Cell;
use std::collections::VecDeque;
use std::mem;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::index::group::{Action, Group, Member, RunId, Verdict, Written};

mod failing;
mod model;
mod sharing;
mod waiting;

/// A call that appends its number to an index, which is a list.
#[derive(Clone)]
struct Call(Rc<State>);

struct State {
    number: u32,
    deadline: Cell<Option<Instant>>,
    aborted: Cell<bool>,
    gone: Cell<bool>,
    several: Cell<bool>,
}

impl Member for Call {
    fn is_gone(&self) -> bool {
        self.0.gone.get()
    }

    fn is_aborted(&self) -> bool {
        self.0.aborted.get()
    }

    fn deadline(&self) -> Option<Instant> {
        self.0.deadline.get()
    }

    fn part(&self) -> bool {
        self.0.several.take()
    }
}

/// A group, those in line behind its first call, and the time.
struct Scene {
    group: Group<Call, Vec<u32>, &'static str>,
    calls: Vec<Call>,
    line: VecDeque<Call>,
    now: Instant,
    /// What is stored.
    stored: Vec<u32>,
    /// The index that is being written.
    writing: Vec<u32>,
    run: RunId,
}

impl Scene {
    /// Calls 1 to `calls`, of which the first has the index.
    fn new(calls: u32) -> Self {
        Self::with_deadline(calls, None)
    }

    /// As `new`. All of them want to wait for so long only.
    fn with_deadline(calls: u32, deadline: Option<Duration>) -> Self {
        let now = Instant::now();
        let deadline = deadline.map(|wait| now + wait);
        let call = |number| {
            let deadline = Cell::new(deadline);
            Call(Rc::new(State {
                number,
                deadline,
                aborted: Cell::default(),
                gone: Cell::default(),
                several: Cell::default(),
            }))
        };
        let calls: Vec<_> = (1..=calls).map(call).collect();
        let mut line: VecDeque<_> = calls.iter().cloned().collect();
        let group = Group::new(line.pop_front().unwrap());
        Self { group, calls, line, now, stored: Vec::new(), writing: Vec::new(), run: 0 }
    }

    fn call(&self, number: u32) -> &State {
        &self.calls[number as usize - 1].0
    }

    fn next(&mut self) -> Option<String> {
        let action = self.group.next(self.now, || self.line.pop_front())?;
        Some(match &action {
            Action::Run(call, run) => {
                self.run = *run;
                format!("run {}", call.0.number)
            }
            Action::Interrupt(call) => format!("interrupt {}", call.0.number),
            Action::Write { index, sole, keep } => {
                self.writing.clone_from(index);
                let sole = sole.as_ref().map(|call| format!(" for {}", call.0.number));
                let keep = if *keep { " and keep" } else { "" };
                format!("write {index:?}{}{keep}", sole.unwrap_or_default())
            }
            Action::Release => "release".into(),
            Action::Tell(calls, verdict) => told(calls, verdict),
        })
    }

    #[track_caller]
    fn expect<const N: usize>(&mut self, actions: [&str; N]) {
        for action in actions {
            assert_eq!(self.next().as_deref(), Some(action));
        }
    }

    #[track_caller]
    fn expect_nothing(&mut self) {
        assert_eq!(self.next(), None);
    }

    /// The function has been called, and promises to make something.
    fn enter(&mut self) {
        self.group.entered(self.now);
    }

    fn accept(&mut self, number: u32) {
        let mut index = self.group.index().unwrap_or(&self.stored).clone();
        index.push(number);
        self.group.accepted(self.run, index);
    }

    /// The function of `number` is called, and makes the next index.
    #[track_caller]
    fn succeeds(&mut self, number: u32) {
        self.expect([&format!("run {number}")]);
        self.enter();
        self.accept(number);
    }

    /// The function of `number` is called, and fails.
    #[track_caller]
    fn fails(&mut self, number: u32) {
        self.expect([&format!("run {number}")]);
        self.enter();
        self.group.failed(self.run);
    }

    /// The function of `number` is called, and fails without having touched the index.
    #[track_caller]
    fn fails_untouched(&mut self, number: u32) {
        self.expect([&format!("run {number}")]);
        self.enter();
        self.group.failed_untouched(self.run);
    }

    /// The write has succeeded, and it was the last one.
    fn stored(&mut self) {
        self.stored = mem::take(&mut self.writing);
        self.written(Written::Done("stored"), Err("lost"));
    }

    /// The write has succeeded, and the index is held.
    fn stored_and_kept(&mut self) {
        self.stored = mem::take(&mut self.writing);
        self.written(Written::Done("stored"), Ok(()));
    }

    fn written(&mut self, written: Written<&'static str>, held: Result<(), &'static str>) {
        self.group.written(written, held, self.now);
    }

    fn after(&mut self, time: Duration) {
        self.now += time;
    }
}

fn told(calls: &[Call], verdict: &Verdict<&str>) -> String {
    let numbers: Vec<_> = calls.iter().map(|call| call.0.number).collect();
    let verdict = match verdict {
        Verdict::Settled(outcome) => outcome,
        Verdict::Aborted => "aborted",
        Verdict::TimedOut { .. } => "timed out",
        Verdict::Finished => "finished",
    };
    format!("tell {numbers:?} {verdict}")
}

/// The smallest step of time that matters.
const MOMENT: Duration = Duration::from_millis(1);
