//! The way of a pointer through the containers of a text that is gone through once.

use std::borrow::Cow;

use crate::index::document::{Pointer, is_named, position};
use crate::index::seek::grammar::Unclear;

/// How far the way has been followed, and what is at its end.
pub(super) struct Way {
    steps: Vec<Step>,
    /// How many containers of the way are open: the next one is a child of the last of these.
    entered: usize,
    /// The value that begins next is the next step.
    is_next: bool,
    /// The value, as long as no later member has taken its place.
    found: Option<Vec<u8>>,
    /// Where in the window the part of the value begins that is not kept yet; `None`: it is not under way.
    from: Option<usize>,
    /// There was no memory for a value.
    is_too_large: bool,
}

/// A step: to a member, or to an item.
struct Step {
    name: String,
    position: Option<usize>,
    /// How many items of the container have begun.
    items: usize,
}

impl Way {
    /// `None`: to the whole text.
    pub fn of(pointer: &Pointer) -> Option<Self> {
        let step = |name: Cow<'_, str>| Step { position: position(&name), name: name.into(), items: 0 };
        let steps: Vec<_> = pointer.iter().map(step).collect();
        (!steps.is_empty()).then_some(Self {
            steps,
            entered: 0,
            is_next: false,
            found: None,
            from: None,
            is_too_large: false,
        })
    }

    /// Whether the children of a container this deep (the first is 1) may be steps.
    #[inline]
    pub fn is_at(&self, depth: usize) -> bool {
        depth == self.entered && depth > 0
    }

    /// A member of the container begins that the way has come to. `name` is what is between its quotes.
    pub fn member(&mut self, name: &[u8]) {
        self.is_next = is_named(name, &self.steps[self.entered - 1].name);
        if self.is_next {
            // The last one counts, wherever an earlier one has led to.
            self.found = None;
        }
    }

    /// An item of the container begins that the way has come to.
    pub fn item(&mut self) {
        let step = &mut self.steps[self.entered - 1];
        self.is_next = step.position == Some(step.items);
        step.items += 1;
    }

    /// The value of that member or item begins at `at`. `true`: it is a container of the way, which is entered.
    pub fn value(&mut self, at: usize, is_container: bool) -> bool {
        if !std::mem::take(&mut self.is_next) {
            return false;
        }
        if self.entered == self.steps.len() {
            self.found = Some(Vec::new());
            self.from = Some(at);
            return false;
        }
        if is_container {
            self.enter();
        }
        is_container
    }

    /// The first container, or the next one, is entered.
    pub fn enter(&mut self) {
        self.entered += 1;
        self.steps[self.entered - 1].items = 0;
    }

    /// What comes behind a value in the container that the way has come to is at `at`, in `text`.
    #[inline]
    pub fn value_is_over(&mut self, text: &[u8], at: usize) {
        if self.from.is_some() {
            self.keep(text, at);
            self.from = None;
        }
    }

    /// The container that the way has come to ends.
    pub fn leave(&mut self) {
        self.entered -= 1;
    }

    /// Keeps what is there of the value before `until`, from where on the text goes on at 0.
    pub fn keep(&mut self, text: &[u8], until: usize) {
        if let (Some(from), Some(found)) = (self.from, &mut self.found) {
            let part = &text[from..until];
            self.is_too_large |= found.try_reserve(part.len()).is_err();
            if !self.is_too_large {
                found.extend_from_slice(part);
            }
            self.from = Some(0);
        }
    }

    /// The value, with the white space behind it. `Err`: there was no memory for one.
    pub fn end(self) -> Result<Option<Vec<u8>>, Unclear> {
        if self.is_too_large { Err(Unclear) } else { Ok(self.found) }
    }
}
