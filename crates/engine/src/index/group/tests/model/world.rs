//! The world of the model test: a line of calls, a stored index, and the owner of a group, which checks what it is to do.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Instant;

use fastrand::Rng;

use super::{Does, End, Index, Lot, Part, Shared, draw, ms};
use crate::index::group::{Action, Group, MAX_TIME, Member, RunId};

mod writes;

/// A run of a function, in a group of that number.
type Run = (usize, RunId);

struct Write {
    index: Index,
    sole: Option<Shared>,
    keep: bool,
}

enum Event {
    Arrive(Shared),
    Abort(Shared),
    /// The index was parsed ahead, and the function is called now.
    Enter(Shared, Run),
    Settle(Shared, Run, Index),
    /// The timer of the group of that number.
    Tick(usize),
    /// Somebody else changes what is stored.
    Meddle,
    WriteEnds(Write),
    ReleaseEnds,
    /// Deadlines may have passed.
    Look,
}

pub struct World {
    rng: Rng,
    faults: bool,
    now: Instant,
    events: BTreeMap<(Instant, usize), Event>,
    steps: usize,
    calls: Vec<Shared>,
    line: VecDeque<Shared>,
    stored: Vec<u64>,
    version: usize,
    last_stored: u64,
    groups: usize,
    group: Option<Group<Shared, Index, End>>,
    /// Of the group: the kind of its calls, what it has read, when its first function was called, and whether it holds
    /// the index.
    kind: usize,
    snapshot: (Vec<u64>, usize),
    since: Option<Instant>,
    is_held: bool,
    has_timer: bool,
    in_tick: bool,
    /// Whether a run is on, and which, once its function was called.
    is_running: bool,
    entered: Option<(Shared, Run)>,
    /// The calls whose changes are in the index, and in the last write.
    applied: Vec<Shared>,
    /// Those that have failed on these changes, and have made none.
    failed: Vec<Shared>,
    written: Vec<Shared>,
    seen: BTreeMap<String, usize>,
}

impl World {
    /// With the calls and the troubles of that seed.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let now = Instant::now();
        let mut world = Self {
            faults: rng.u32(0..4) == 0,
            now,
            events: BTreeMap::new(),
            steps: 0,
            calls: Vec::new(),
            line: VecDeque::new(),
            stored: vec![1_000_000],
            version: 0,
            last_stored: 0,
            groups: 0,
            group: None,
            kind: 0,
            snapshot: (Vec::new(), 0),
            since: None,
            is_held: false,
            has_timer: false,
            in_tick: false,
            is_running: false,
            entered: None,
            applied: Vec::new(),
            failed: Vec::new(),
            written: Vec::new(),
            seen: BTreeMap::new(),
            rng,
        };
        for Lot { call, arrives, aborts } in draw(&mut world.rng, now) {
            world.at(arrives, Event::Arrive(call.clone()));
            aborts.into_iter().for_each(|time| world.at(time, Event::Abort(call.clone())));
            call.deadline.into_iter().for_each(|time| world.at(time, Event::Look));
            world.calls.push(call);
        }
        for _ in 0..world.rng.u32(0..4) {
            world.within(300, Event::Meddle);
        }
        world
    }

    fn at(&mut self, time: Instant, event: Event) {
        self.steps += 1;
        self.events.insert((time, self.steps), event);
    }

    fn within(&mut self, most: u64, event: Event) {
        let time = self.now + ms(&mut self.rng, most);
        self.at(time, event);
    }

    fn see(&mut self, what: impl ToString) {
        *self.seen.entry(what.to_string()).or_default() += 1;
    }

    fn group(&mut self) -> &mut Group<Shared, Index, End> {
        self.group.as_mut().expect("a group that is at work")
    }

    fn is_current(&self, (number, run): Run) -> bool {
        number == self.groups && self.group.as_ref().is_some_and(|group| group.is_current(run))
    }

    /// The calls whose changes are in the index have to run again, and this one.
    fn have_to_run_again(&self, call: Option<&Shared>) {
        for call in self.applied.iter().chain(&self.failed).chain(call) {
            call.state.borrow_mut().runs_due += 1;
        }
    }

    fn failed_have_to_run_again(&self) {
        for call in &self.failed {
            call.state.borrow_mut().runs_due += 1;
        }
    }

    /// Lets everything happen. Returns what has.
    pub fn run(mut self) -> BTreeMap<String, usize> {
        while let Some(((time, _), event)) = self.events.pop_first() {
            self.now = self.now.max(time);
            self.happens(event);
            self.look_at_line();
            self.carry_out();
        }
        for call in &self.calls {
            assert!(call.is_gone(), "{call:?} was never told");
        }
        self.seen
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Arrive(call) => self.line.push_back(call),
            Event::Abort(call) => self.abort(&call),
            Event::Enter(call, run) => self.enter(&call, run),
            Event::Settle(call, run, index) => {
                index.borrow_mut().retain(|part| *part != Part::Half);
                let succeeds = call.run(&index);
                if self.is_current(run) {
                    self.end_run(&call, run, succeeds.then_some(index));
                }
            }
            Event::Tick(number) if number == self.groups => {
                (self.has_timer, self.in_tick) = (false, self.group.is_some());
                let now = self.now;
                self.group.iter_mut().for_each(|group| group.tick(now));
            }
            Event::Meddle => {
                self.version += 1;
                self.stored.push(2_000_000 + self.version as u64);
            }
            Event::WriteEnds(write) => self.end_write(write),
            Event::ReleaseEnds => {
                self.is_held = false;
                self.group().released();
            }
            Event::Tick(_) | Event::Look => {}
        }
    }

    fn abort(&mut self, call: &Shared) {
        call.state.borrow_mut().aborted = true;
        if self.applied.iter().any(|applied| Rc::ptr_eq(applied, call)) {
            self.have_to_run_again(None);
        }
        // What it has promised is not waited for, if it was called.
        if let Some((running, run)) = self.entered.clone()
            && Rc::ptr_eq(&running, call)
        {
            self.end_run(call, run, None);
        }
    }

    /// What waits in line is not the group's affair.
    fn look_at_line(&mut self) {
        let now = self.now;
        self.line.retain(|call| {
            let end = [End::Aborted, End::TimedOut].into_iter().find(|end| call.may_end(*end, now));
            call.state.borrow_mut().end = end;
            end.is_none()
        });
        if self.group.is_none()
            && let Some(leader) = self.line.pop_front()
        {
            self.groups += 1;
            self.kind = leader.kind;
            (self.is_held, self.has_timer, self.since) = (true, false, None);
            self.snapshot = (self.stored.clone(), self.version);
            self.group = Some(Group::new(leader));
        }
    }

    fn carry_out(&mut self) {
        while let Some(group) = &mut self.group {
            let (line, kind) = (&mut self.line, self.kind);
            let is_open = self.since.is_none_or(|since| self.now < since + MAX_TIME);
            let take_follower = || {
                assert!(is_open, "the group takes calls for too long");
                line.front().is_some_and(|call| call.kind == kind).then(|| line.pop_front())?
            };
            let Some(action) = group.next(self.now, take_follower) else { break };
            self.steps += 1;
            assert!(self.steps < 10_000, "it never ends");
            match action {
                Action::Run(call, run) => self.start(call, run),
                Action::Interrupt(call) => {
                    self.see("preempted");
                    self.have_to_run_again(Some(&call));
                    (self.is_running, self.entered) = (false, None);
                }
                Action::Write { index, sole, keep } => self.begin_write(Write { index, sole, keep }),
                Action::Release => {
                    assert!(self.applied.iter().all(Member::is_aborted), "changes are lost");
                    self.within(3, Event::ReleaseEnds);
                }
                Action::Tell(calls, verdict) => self.tell(&calls, verdict),
            }
        }
        self.in_tick = false;
        if !self.is_held && self.group.take().is_some() {
            self.at(self.now, Event::Look);
        }
        let patience = self.group.as_ref().and_then(|group| group.patience(self.now));
        if let Some(patience) = patience.filter(|_| !self.has_timer) {
            self.has_timer = true;
            self.at(self.now + patience, Event::Tick(self.groups));
        }
    }

    fn start(&mut self, call: Shared, run: RunId) {
        assert!(!self.is_running, "two functions have the index");
        assert!(!call.is_gone());
        let runs_due = call.state.borrow().runs_due.checked_sub(1);
        call.state.borrow_mut().runs_due = runs_due.expect("a call that has to run");
        let run = (self.groups, run);
        self.is_running = true;
        if self.group().index().is_none() {
            self.applied.clear();
            self.failed.clear();
            if self.rng.u32(0..8) == 0 {
                self.see("parsed ahead");
                return self.within(5, Event::Enter(call, run));
            }
        }
        self.enter(&call, run);
    }

    fn parse(&self) -> Index {
        Rc::new(RefCell::new(self.snapshot.0.iter().copied().map(Part::Plain).collect()))
    }

    fn enter(&mut self, call: &Shared, run: Run) {
        assert!(self.is_current(run), "a function that was not called yet is preempted");
        if call.is_aborted() {
            self.is_running = false;
            return self.group().failed(run.1);
        }
        let index = self.group().index().cloned().unwrap_or_else(|| self.parse());
        let now = self.now;
        self.group().entered(now);
        self.since.get_or_insert(now);
        // Now and then one takes longer than another time.
        let takes = if self.rng.u32(0..10) == 0 { Some(ms(&mut self.rng, 200)) } else { call.takes };
        let Some(takes) = takes else {
            self.now += ms(&mut self.rng, 8);
            let succeeds = call.run(&index);
            return self.end_run(call, run, succeeds.then_some(index));
        };
        index.borrow_mut().push(Part::Half);
        self.entered = Some((call.clone(), run));
        self.at(now + takes, Event::Settle(call.clone(), run, index));
    }

    fn end_run(&mut self, call: &Shared, run: Run, made: Option<Index>) {
        (self.is_running, self.entered) = (false, None);
        call.state.borrow_mut().ran = Some(self.now);
        match made.filter(|_| !call.is_aborted()) {
            Some(next) => {
                self.group().accepted(run.1, next);
                if self.applied.iter().any(Member::is_aborted) {
                    call.state.borrow_mut().runs_due += 1;
                }
                self.applied.push(call.clone());
            }
            None if call.does == Does::Fail && !call.is_aborted() && self.rng.bool() => {
                self.see("failed untouched");
                if !self.applied.is_empty() {
                    if self.applied.iter().any(Member::is_aborted) {
                        call.state.borrow_mut().runs_due += 1;
                    }
                    self.failed.push(call.clone());
                }
                self.group().failed_untouched(run.1);
            }
            None => {
                self.have_to_run_again(Some(call).filter(|_| !self.applied.is_empty() && !call.is_aborted()));
                self.group().failed(run.1);
            }
        }
    }
}
