//! How many descriptors may be kept open between two steps of a call. Some must be left for the work to go on: if
//! calls that wait held all of them, none could finish.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::process::lock;
use crate::sys;

/// Each share has so many, however few there are in all.
const LEAST: u64 = 8;
/// Who was refused one asks again within this, unless it has given up: many times its pause, as machines may be slow.
const ASKS_AGAIN: Duration = Duration::from_millis(50);

/// A share of the descriptors that this process may have.
#[derive(Debug)]
pub struct DescriptorBudget {
    /// One in how many.
    one_in: u64,
    /// And no more than this.
    at_most: u64,
    held: AtomicU64,
    line: Mutex<Line>,
}

/// Those that need several at once.
#[derive(Debug)]
struct Line {
    next: u64,
    /// In the order in which they came.
    waiting: BTreeSet<u64>,
    /// Several were given at once, and since then no single one.
    is_turn_of_single: bool,
    /// When a single one was refused last.
    refused: Option<Instant>,
}

impl Line {
    fn is_free(&self) -> bool {
        !(self.is_turn_of_single && self.refused.is_some_and(|at| at.elapsed() < ASKS_AGAIN))
    }
}

/// The right to one of them, until it is dropped.
#[derive(Debug)]
pub struct Slot(&'static DescriptorBudget);

impl DescriptorBudget {
    pub const fn one_in(one_in: u64) -> Self {
        let line = Line { next: 0, waiting: BTreeSet::new(), is_turn_of_single: false, refused: None };
        Self { one_in, at_most: u64::MAX, held: AtomicU64::new(0), line: Mutex::new(line) }
    }

    pub const fn at_most(mut self, at_most: u64) -> Self {
        self.at_most = at_most;
        self
    }

    /// One descriptor, if one is left.
    pub fn take(&'static self) -> Option<Slot> {
        self.take_of(self.share())
    }

    /// As [`DescriptorBudget::take`], for one of those that come in turn with [those that need several](Gathering).
    pub fn take_single(&'static self) -> Option<Slot> {
        let slot = self.take();
        let mut line = lock(&self.line);
        match slot {
            Some(_) => line.is_turn_of_single = false,
            None => line.refused = Some(Instant::now()),
        }
        slot
    }

    /// So many at once, for which the caller may wait.
    pub fn gather(&'static self, count: usize) -> Gathering {
        let mut line = lock(&self.line);
        line.next += 1;
        let ticket = line.next;
        if count > 1 {
            line.waiting.insert(ticket);
        }
        Gathering { budget: self, count: count as u64, ticket, is_counted: false }
    }

    /// Whether none is left.
    pub fn is_used_up(&self) -> bool {
        self.held.load(Ordering::Acquire) >= self.share()
    }

    /// As [`DescriptorBudget::take`], of `most` in all, as [`DescriptorBudget::most`] has said a moment ago: the system is asked once for many.
    pub fn take_up_to(&'static self, most: usize) -> Option<Slot> {
        self.take_of(most as u64)
    }

    /// How many there are in all.
    pub fn most(&self) -> usize {
        usize::try_from(self.share()).unwrap_or(usize::MAX)
    }

    /// Whether so many can ever be held at once. The system is not asked about few.
    pub fn has_room_for(&self, count: usize) -> bool {
        count as u64 <= LEAST.min(self.at_most) || count <= self.most()
    }

    fn share(&self) -> u64 {
        (sys::descriptor_limit() / self.one_in).max(LEAST).min(self.at_most)
    }

    /// So many, or none.
    pub fn take_all(&'static self, count: usize) -> Option<Vec<Slot>> {
        (0..count).map(|_| self.take()).collect()
    }

    /// As [`DescriptorBudget::take`], for a caller that has no other way: beyond the share, but only so far that
    /// others still find descriptors.
    pub fn take_reserve(&'static self) -> Option<Slot> {
        self.take_of(reserve())
    }

    /// Whether so many can ever be held at once by such callers.
    pub fn has_reserve_for(&self, count: usize) -> bool {
        count as u64 <= self.share().max(reserve())
    }

    fn take_of(&'static self, most: u64) -> Option<Slot> {
        self.held
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |held| (held < most).then_some(held + 1))
            .is_ok()
            // Not `then_some`: a slot that was made and dropped would be counted back.
            .then(|| Slot(self))
    }
}

fn reserve() -> u64 {
    sys::descriptor_limit() / 4 * 3
}

/// Several that are taken together. The caller holds none of what it needs them for: whoever has some goes on and gives them back.
///
/// Where there are too few, the first in line is counted as if it had all that it needs. So others get none until enough are given back,
/// and nobody waits for one that waits itself. A single one comes between two of these.
#[derive(Debug)]
pub struct Gathering {
    budget: &'static DescriptorBudget,
    count: u64,
    ticket: u64,
    is_counted: bool,
}

impl Gathering {
    /// All of them, if they are free by now.
    pub fn try_all(&mut self) -> Option<Vec<Slot>> {
        let budget = self.budget;
        if self.count <= 1 {
            return (0..self.count).map(|_| budget.take_single()).collect();
        }
        let most = budget.share();
        let mut line = lock(&budget.line);
        if !self.is_counted {
            let fits = |held: u64| (held + self.count <= most).then_some(held + self.count);
            if !line.is_free() {
                return None;
            }
            if budget.held.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits).is_err() {
                if line.waiting.first() != Some(&self.ticket) {
                    return None;
                }
                budget.held.fetch_add(self.count, Ordering::AcqRel);
            }
            self.is_counted = true;
        }
        if budget.held.load(Ordering::Acquire) > most {
            return None;
        }
        line.waiting.remove(&self.ticket);
        line.is_turn_of_single = true;
        self.is_counted = false;
        Some((0..self.count).map(|_| Slot(budget)).collect())
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        lock(&self.budget.line).waiting.remove(&self.ticket);
        if self.is_counted {
            self.budget.held.fetch_sub(self.count, Ordering::AcqRel);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_first_in_line_gets_what_is_given_back_and_one_that_gives_up_keeps_nothing() {
        static FOUR: DescriptorBudget = DescriptorBudget::one_in(1).at_most(4);
        let held = [FOUR.take_single().unwrap(), FOUR.take_single().unwrap()];
        let (mut first, mut second) = (FOUR.gather(3), FOUR.gather(3));
        assert!(second.try_all().is_none() && first.try_all().is_none() && second.try_all().is_none());
        assert!(FOUR.take_single().is_none(), "what is left is for the first");
        let [one, other] = held;
        drop(one);
        let gathered = first.try_all().unwrap();
        assert_eq!(gathered.len(), 3);
        drop((first, gathered, other));

        // One was refused: it has its turn after those.
        drop(FOUR.take_single().unwrap());
        let held = second.try_all().unwrap();
        drop(FOUR.take_single().unwrap());
        let mut third = FOUR.gather(2);
        assert!(third.try_all().is_none() && FOUR.is_used_up());
        drop(third);
        assert!(FOUR.take_single().is_some(), "three are held");
        drop((second, held));
        assert!(!FOUR.is_used_up() && FOUR.take_all(4).is_some());
    }
}
