//! Which states a power cut can leave: at every position in the log, everything that was flushed, plus a choice
//! of what was not.
//!
//! Between two flushes a drive may write in any order. So a state is an epoch (the writes between two flushes) and a
//! subset of it. The subsets that show most are all tried, others by chance.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use fastrand::Rng;

use super::fingerprints::Fingerprints;
use super::history::Window;
use crate::disk::pages::{PAGE, Pages};
use crate::disk::recorder::Entry;

/// A drive tears a write only at a multiple of its sectors.
const TEAR: u64 = PAGE as u64;

/// One crash state: which of an epoch's writes reached the medium.
#[derive(Clone, Debug)]
pub struct State {
    /// The number of its epoch.
    pub epoch: usize,
    /// When the power was cut.
    pub window: Window,
    choice: Choice,
}

/// A subset of an epoch's writes, as positions in the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Choice {
    pub written: Vec<usize>,
    /// The last of them is torn: only these of its pages reached the medium.
    pub torn: Option<Torn>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Torn {
    /// The first pages, this many.
    Head(u64),
    /// All but the first pages, this many.
    Tail(u64),
}

impl Torn {
    /// Whether this page of the write reached the medium, counted from its first one.
    pub fn has(self, page: u64) -> bool {
        match self {
            Self::Head(pages) => page < pages,
            Self::Tail(pages) => page >= pages,
        }
    }
}

/// The parts of the log between flushes.
pub fn epochs(log: &[Entry]) -> Vec<Range<usize>> {
    let mut epochs = Vec::new();
    let mut start = 0;
    for (at, entry) in log.iter().enumerate() {
        if matches!(entry, Entry::Flush) {
            epochs.push(start..at);
            start = at + 1;
        }
    }
    epochs.push(start..log.len());
    epochs
}

/// The states of a log over the image `base`, or so many of them, chosen by chance, in the order of their epochs. Equal images in one epoch
/// are one state.
pub fn sample(log: &[Entry], base: &Pages, count: usize, rng: &mut Rng) -> Vec<State> {
    let all: Vec<Vec<Choice>> = epochs(log).into_iter().map(|epoch| choices(log, epoch, rng)).collect();
    let places = all.iter().enumerate();
    let mut places: Vec<(usize, usize)> =
        places.flat_map(|(epoch, choices)| (0..choices.len()).map(move |at| (epoch, at))).collect();
    rng.shuffle(&mut places);
    // Images are compared only in the epochs of these: to compare those of all epochs takes longer than to look at a few states. Some of
    // the choices turn out to be one state.
    let tried = &places[..places.len().min(count.saturating_add(count / 4 + 4))];
    let mut states = of_epochs(log, base, &all, Some(&tried.iter().copied().collect()));
    if states.len() < count && tried.len() < places.len() {
        states = of_epochs(log, base, &all, None);
    }
    rng.shuffle(&mut states);
    states.truncate(count);
    states.sort_by_key(|state| state.epoch);
    states
}

/// The states that `choices` of each epoch make: those of `wanted` epochs and places among the choices, or all.
fn of_epochs(
    log: &[Entry],
    base: &Pages,
    choices: &[Vec<Choice>],
    wanted: Option<&HashSet<(usize, usize)>>,
) -> Vec<State> {
    let mut found = Vec::new();
    let mut base = base.clone();
    for (number, (epoch, choices)) in epochs(log).into_iter().zip(choices).enumerate() {
        let is_wanted = |at: usize| wanted.is_none_or(|wanted| wanted.contains(&(number, at)));
        if (0..choices.len()).any(is_wanted) {
            let (states, made) = of_epoch(log, number, epoch.clone(), choices, &base);
            // A state stands for the first of the choices that make it: else one of many choices would be in each sample.
            let mut known = 0;
            let is_first = |at: &usize| {
                let is_new = made[*at] == known;
                known += usize::from(is_new);
                is_new
            };
            let firsts = (0..choices.len()).filter(is_first);
            let made: HashSet<usize> = firsts.filter(|at| is_wanted(*at)).map(|at| made[at]).collect();
            let states = states.into_iter().enumerate();
            found.extend(states.filter(|(at, _)| made.contains(at)).map(|(_, state)| state));
        }
        let pages = written(log, epoch, &base);
        base.absorb(&pages);
    }
    found
}

/// The states of one epoch, and which of them each choice makes.
fn of_epoch(
    log: &[Entry],
    number: usize,
    epoch: Range<usize>,
    choices: &[Choice],
    base: &Pages,
) -> (Vec<State>, Vec<usize>) {
    let mut states: Vec<State> = Vec::new();
    let mut seen: HashMap<u64, usize> = HashMap::new();
    let mut fingerprints = Fingerprints::new(log, epoch.clone(), base);
    let make = |choice: &Choice| {
        // The state may be from as early as its last write, so nothing that started later can be in it; and from as
        // late as the next flush, so everything that was acknowledged by then has to be.
        let from = choice.written.last().copied().unwrap_or(epoch.start);
        let state = *seen.entry(fingerprints.of(choice)).or_insert(states.len());
        match states.get_mut(state) {
            Some(earlier) => earlier.window.from = earlier.window.from.min(from),
            None => {
                let window = Window { from, to: epoch.end };
                states.push(State { epoch: number, window, choice: choice.clone() });
            }
        }
        state
    };
    let made = choices.iter().map(make).collect();
    (states, made)
}

/// What the writes of an epoch put over `below` when all of them have reached the medium.
pub fn written(log: &[Entry], epoch: Range<usize>, below: &Pages) -> Pages {
    let mut above = Pages::default();
    for entry in &log[epoch] {
        apply(entry, None, &mut above, below);
    }
    above
}

impl State {
    /// What this state puts over the image that the earlier flushes left.
    pub fn image(&self, log: &[Entry], base: &Pages) -> Pages {
        let mut image = Pages::default();
        let Choice { written, torn } = &self.choice;
        for (i, at) in written.iter().enumerate() {
            apply(&log[*at], torn.filter(|_| i + 1 == written.len()), &mut image, base);
        }
        image
    }
}

/// Puts what an entry writes over `below` into `above`.
pub fn apply(entry: &Entry, torn: Option<Torn>, above: &mut Pages, below: &Pages) {
    match entry {
        Entry::Write(at, data) => {
            // The cut is where a sector of the medium ends.
            let cut = |pages: u64| ((at / TEAR + pages) * TEAR).saturating_sub(*at).min(data.len() as u64);
            let part = match torn {
                None => 0..data.len(),
                Some(Torn::Head(pages)) => 0..cut(pages) as usize,
                Some(Torn::Tail(pages)) => cut(pages) as usize..data.len(),
            };
            above.write(at + part.start as u64, &data[part], below);
        }
        Entry::Zero(at, len) => above.zero(*at, *len, below),
        Entry::Flush | Entry::Message(_) => {}
    }
}

fn choices(log: &[Entry], epoch: Range<usize>, rng: &mut Rng) -> Vec<Choice> {
    let writes: Vec<usize> =
        epoch.filter(|at| matches!(log[*at], Entry::Write(..) | Entry::Zero(..))).collect();
    let whole = |written: Vec<usize>| Choice { written, torn: None };
    let mut choices = vec![whole(vec![])];
    for (i, at) in writes.iter().enumerate() {
        let before = &writes[..i];
        // All up to here; only this one; all but this one.
        choices.push(whole(writes[..=i].to_vec()));
        choices.push(whole(vec![*at]));
        choices.push(whole(writes.iter().copied().filter(|other| other != at).collect()));
        // The last one and some of those before it.
        for _ in 0..2 {
            let mut some: Vec<usize> = before.iter().copied().filter(|_| rng.bool()).collect();
            some.push(*at);
            choices.push(whole(some));
        }
        let Entry::Write(start, data) = &log[*at] else { continue };
        let pages = (start % TEAR + data.len() as u64).div_ceil(TEAR);
        if pages > 1 {
            let cut = rng.u64(1..pages);
            let torn = if rng.bool() { Torn::Head(cut) } else { Torn::Tail(cut) };
            choices.push(Choice { written: writes[..=i].to_vec(), torn: Some(torn) });
            choices.push(Choice { written: vec![*at], torn: Some(torn) });
        }
    }
    // With few writes many of them are the same.
    let mut seen = HashSet::new();
    choices.retain(|choice| seen.insert(choice.clone()));
    choices
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(at: u64, byte: u8, pages: usize) -> Entry {
        Entry::Write(at * TEAR, vec![byte; pages * PAGE].into())
    }

    #[test]
    fn what_was_flushed_is_in_every_state_and_what_was_not_is_in_some() {
        let log = [write(0, 1, 1), Entry::Flush, write(1, 2, 1), write(2, 3, 1)];
        let states = sample(&log, &Pages::default(), usize::MAX, &mut Rng::with_seed(1));
        // Nothing or page 0; then page 0 with each subset of pages 1 and 2.
        assert_eq!(states.iter().filter(|state| state.epoch == 0).count(), 2);
        assert_eq!(states.iter().filter(|state| state.epoch == 1).count(), 4);
    }

    #[test]
    fn a_write_is_torn_where_a_page_ends() {
        let log = [write(0, 1, 2)];
        let states = sample(&log, &Pages::default(), usize::MAX, &mut Rng::with_seed(1));
        assert_eq!(states.len(), 3);
    }

    #[test]
    fn fingerprints_are_those_of_the_images() {
        let mut rng = Rng::with_seed(1);
        let mut base = Pages::default();
        base.write(0, &[1; 6 * PAGE], &Pages::default());
        let log: Vec<Entry> = (0..40)
            .map(|_| {
                // Parts of pages, of which some are shared by many, and some hold what is there already.
                let at = rng.u64(..12 * TEAR);
                let len = rng.usize(1..3 * PAGE);
                match rng.u8(..4) {
                    0 => Entry::Zero(at, len as u64),
                    1 => Entry::Message(vec![]),
                    _ => Entry::Write(at, vec![rng.u8(..3); len].into()),
                }
            })
            .chain((20..60).map(|at| write(at, 1, 3)))
            .collect();
        let mut fingerprints = Fingerprints::new(&log, 0..log.len(), &base);
        let choices = choices(&log, 0..log.len(), &mut rng);
        assert!(choices.iter().any(|choice| choice.torn.is_some()));
        for choice in choices {
            let found = fingerprints.of(&choice);
            let state = State { epoch: 0, window: Window { from: 0, to: 0 }, choice };
            assert_eq!(found, state.image(&log, &base).fingerprint(&base), "{state:?}");
        }
    }

    #[test]
    fn a_sample_has_as_many_states_as_are_asked_for_and_they_are_those_of_all() {
        // Every page is written twice, so that some choices are one state.
        let log: Vec<Entry> = (0..30)
            .flat_map(|epoch| [write(epoch, 1, 2), write(epoch, 1, 1), write(epoch + 1, 2, 1), Entry::Flush])
            .collect();
        let of = |count| {
            let states = sample(&log, &Pages::default(), count, &mut Rng::with_seed(3));
            assert!(states.is_sorted_by_key(|state| state.epoch));
            states
                .into_iter()
                .map(|State { epoch, window, choice }| (epoch, window.from, choice))
                .collect::<Vec<_>>()
        };
        let all = of(usize::MAX);
        for count in [1, 20, all.len() - 1, all.len()] {
            let some = of(count);
            assert_eq!(some.iter().collect::<HashSet<_>>().len(), count);
            assert!(some.iter().all(|state| all.contains(state)), "{some:?}");
        }
    }

    #[test]
    fn a_state_must_hold_what_was_acknowledged_before_the_next_flush() {
        let log = [write(0, 1, 1), Entry::Message(vec![]), Entry::Flush];
        let states = sample(&log, &Pages::default(), usize::MAX, &mut Rng::with_seed(1));
        assert!(states.iter().filter(|state| state.epoch == 0).all(|state| state.window.to == 2));
        assert_eq!(states.iter().filter(|state| state.epoch == 1).count(), 1);
    }
}
