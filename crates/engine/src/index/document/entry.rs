//! A member or an item of a container: where it is in the text, and what has become of it. There is one for each of a large container, so it
//! is small.

use std::ops::Range;

/// A member or an item.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Where its name begins, or its value, if it has no name; [`NEW`]: it is not in the text.
    pub start: u32,
    /// Where its value ends.
    pub end: u32,
    state: u32,
}

/// The start of an entry that is not in the text.
pub const NEW: u32 = u32::MAX;
const KEPT: u32 = 0;
const HIDDEN: u32 = u32::MAX - 1;
const GONE: u32 = u32::MAX;

/// What has become of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is as in the text.
    Kept,
    /// It is as in the text, and a later member of the same name counts.
    Hidden,
    /// It was removed.
    Gone,
    /// It has the change at this position.
    Changed(usize),
}

impl Entry {
    /// One in a text that is shorter than [`NEW`].
    pub fn at(range: Range<usize>) -> Self {
        Self { start: range.start as u32, end: range.end as u32, state: KEPT }
    }

    /// One that is not in the text. It has no value before its state says which.
    pub fn new() -> Self {
        Self { start: NEW, end: NEW, state: KEPT }
    }

    pub fn state(self) -> State {
        match self.state {
            KEPT => State::Kept,
            HIDDEN => State::Hidden,
            GONE => State::Gone,
            change => State::Changed(change as usize - 1),
        }
    }

    pub fn set_state(&mut self, state: State) {
        self.state = match state {
            State::Kept => KEPT,
            State::Hidden => HIDDEN,
            State::Gone => GONE,
            State::Changed(change) => change as u32 + 1,
        };
    }

    /// Whether it is a member or an item of the container as it is now.
    pub fn counts(self) -> bool {
        !matches!(self.state, HIDDEN | GONE)
    }

    /// As it is in the next text. `change`: what it has there, if that is taken apart.
    pub fn moved(self, range: Range<usize>, change: Option<usize>) -> Self {
        let mut moved = Self::at(range);
        match change {
            Some(change) => moved.set_state(State::Changed(change)),
            None if self.state == HIDDEN => moved.state = HIDDEN,
            None => {}
        }
        moved
    }
}
