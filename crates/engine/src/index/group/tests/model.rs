//! Random schedules of calls, in a world with a time of its own, against a model that does one call after the other.
//!
//! An index is an object that functions change in place, as in JavaScript: what a failed function has done to it, or
//! a preempted one still does, must not get into what is written.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::index::group::Member;

mod world;

/// What the function of a call does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    /// Adds its number.
    Append,
    /// Makes one number of all, which depends on their order.
    Fold,
    /// Appends, but fails half done on what was not read from a text.
    Fussy,
    Fail,
    FailHalfDone,
    /// Adds something that has no text, or whose text is no JSON.
    NoText,
    NoJson,
}

/// What the caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Stored,
    Finished,
    Invalid,
    Aborted,
    TimedOut,
    /// The write has failed, or the index could not be held.
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    /// As it was read.
    Plain(u64),
    /// As a function has made it.
    Fresh(u64),
    Half,
    NoText,
    NoJson,
}

type Index = Rc<RefCell<Vec<Part>>>;

#[derive(Debug)]
struct Call {
    number: u64,
    does: Does,
    /// For how long it is async.
    takes: Option<Duration>,
    /// Calls of one kind can be written together.
    kind: usize,
    deadline: Option<Instant>,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    aborted: bool,
    end: Option<End>,
    /// How often it may run, as it has not yet, or something has happened after which it has to again.
    runs_due: usize,
    /// When its last run was over.
    ran: Option<Instant>,
}

type Shared = Rc<Call>;

impl Member for Shared {
    fn is_gone(&self) -> bool {
        self.state.borrow().end.is_some()
    }

    fn is_aborted(&self) -> bool {
        self.state.borrow().aborted
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

impl Call {
    /// What the model makes of `index`.
    fn model(&self, index: &mut Vec<u64>) {
        match self.does {
            Does::NoText | Does::NoJson => {}
            Does::Fold => *index = vec![mix(index.iter().copied(), self.number)],
            _ => index.push(self.number),
        }
    }

    /// Whether this can come of it at that time.
    fn may_end(&self, end: End, now: Instant) -> bool {
        match end {
            End::Stored => matches!(self.does, Does::Append | Does::Fold | Does::Fussy),
            End::Finished if self.state.borrow().aborted => true,
            End::Finished => matches!(self.does, Does::Fail | Does::FailHalfDone | Does::NoText),
            End::Invalid => self.does == Does::NoJson,
            End::Aborted => self.state.borrow().aborted,
            End::TimedOut => self.deadline.is_some_and(|deadline| deadline <= now),
            End::Lost => true,
        }
    }

    /// What its function makes of `index`. `false`: it fails.
    fn run(&self, index: &Index) -> bool {
        let index = &mut *index.borrow_mut();
        match self.does {
            Does::Fail => return false,
            Does::FailHalfDone => index.push(Part::Half),
            Does::Fussy if index.iter().any(|part| !matches!(part, Part::Plain(_))) => index.push(Part::Half),
            Does::Append | Does::Fussy => index.push(Part::Fresh(self.number)),
            Does::NoText => index.push(Part::NoText),
            Does::NoJson => index.push(Part::NoJson),
            Does::Fold => {
                let all = mix(numbers(index).into_iter(), self.number);
                // What is no JSON stays: only the last result is made text.
                index.retain(|part| matches!(part, Part::NoText | Part::NoJson));
                index.push(Part::Fresh(all));
            }
        }
        index.last() != Some(&Part::Half)
    }
}

fn mix(all: impl Iterator<Item = u64>, last: u64) -> u64 {
    all.chain([last]).fold(7, |sum, number| sum.wrapping_mul(31).wrapping_add(number))
}

/// What is JSON of an index.
fn numbers(index: &[Part]) -> Vec<u64> {
    let number = |part: &Part| match part {
        Part::Plain(number) | Part::Fresh(number) => Some(*number),
        Part::Half => panic!("a change that was only half made is in use"),
        Part::NoText | Part::NoJson => None,
    };
    index.iter().filter_map(number).collect()
}

/// A call, and when it comes and is aborted.
struct Lot {
    call: Shared,
    arrives: Instant,
    aborts: Option<Instant>,
}

/// Calls of every kind, from `now` on.
fn draw(rng: &mut Rng, now: Instant) -> Vec<Lot> {
    use Does::*;
    let (mostly_good, some_never_settle) = (rng.u32(0..3) > 0, rng.u32(0..3) == 0);
    let (mut arrives, mut kind) = (now, 0);
    let many = rng.u64(1..40);
    let lot = |number| {
        let is_good = mostly_good && rng.u32(0..8) > 0;
        let does = [Append, Fold, Fussy, Fail, FailHalfDone, NoText, NoJson];
        let does = does[rng.usize(0..if is_good { 3 } else { 7 })];
        let takes = [ms(rng, 10), ms(rng, 10), ms(rng, 400)].into_iter().nth(rng.usize(0..10));
        let never = some_never_settle && rng.u32(0..10) == 0;
        let takes = if never { Some(Duration::from_secs(1_000)) } else { takes };
        if rng.u32(0..8) == 0 {
            kind = rng.usize(0..2);
        }
        if rng.u32(0..8) == 0 {
            arrives += ms(rng, 120);
        }
        let deadline = (rng.u32(0..4) == 0).then(|| arrives + ms(rng, 500));
        let aborts = match rng.u32(0..8) {
            _ if never => Some(arrives + ms(rng, 5_000)),
            0 | 1 => Some(arrives + ms(rng, 100)),
            _ => None,
        };
        let state = RefCell::new(State { runs_due: 1, ..State::default() });
        let call = Call { number, does, takes, kind, deadline, state };
        Lot { call: Rc::new(call), arrives, aborts }
    };
    (1..=many).map(lot).collect()
}

/// Less than so many milliseconds.
fn ms(rng: &mut Rng, most: u64) -> Duration {
    Duration::from_micros(rng.u64(0..most * 1_000))
}

/// Told by a test that fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("with the seed {}", self.0);
        }
    }
}

#[test]
fn whatever_the_calls_do_it_is_as_if_they_came_one_after_the_other() {
    let mut seen = BTreeMap::<String, usize>::new();
    for seed in 0..1_500 {
        let seed = Seed(seed);
        for (what, times) in world::World::new(seed.0).run() {
            *seen.entry(what).or_default() += times;
        }
    }
    let expected = [
        ["Stored", "Finished", "Invalid", "Aborted", "TimedOut", "Lost"].as_slice(),
        &["written together", "written alone", "preempted", "refused alone", "bisected", "changed"],
        &["parsed ahead", "late", "failed untouched"],
    ];
    for what in expected.concat() {
        assert!(seen.get(what).is_some_and(|times| *times > 100), "{what} is hardly ever seen: {seen:?}");
    }
}
