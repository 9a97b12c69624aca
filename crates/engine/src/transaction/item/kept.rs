//! The text that an index gets, which is kept for the next update of it, as that of an update is.

use std::fs::File;

use super::{Change, Item};
use crate::index::cache::{self, Kept, State};
use crate::index::document::Tables;
use crate::index::file::{Numbers, Snapshot, UpdateOptions};
use crate::index::format::Format;

/// What is known of the next text of an index.
#[derive(Debug)]
pub struct NextText {
    /// From patches.
    pub tables: Option<Tables>,
    /// It has no number that JavaScript would change, in this sense.
    pub checked: Option<Numbers>,
    /// What it is known by.
    pub edition: Option<u64>,
    /// Its file, until it has its name; and what that is then.
    file: Option<File>,
    state: Option<State>,
}

impl NextText {
    /// Of a text in the place of this one. `None`: texts of codecs are not kept.
    pub fn new(
        text: &[u8],
        old: Option<&Snapshot>,
        tables: Option<Tables>,
        options: &UpdateOptions,
    ) -> Option<Self> {
        let text = str::from_utf8(text).ok().filter(|_| options.format == Format::Json)?;
        let checked = old.and_then(|old| old.checked_after(text, tables.as_ref()));
        Some(Self { tables, checked, edition: options.edition, file: None, state: None })
    }

    /// Once it is flushed.
    pub(super) fn keep_open(&mut self, file: File) {
        self.file = Some(file);
    }
}

impl Item {
    /// What it writes is the next text of an index.
    pub fn with_text(self, next: Option<NextText>) -> Self {
        Self { next, ..self }
    }

    /// Notes the state of the file that has just got its name.
    pub(super) fn note_state(&mut self) {
        if let Some(next) = &mut self.next {
            next.state = next.file.take().and_then(|file| State::of(&file));
        }
    }

    /// Keeps the text, once it is committed.
    pub fn keep_text(self) {
        if let Some(NextText { tables, checked, edition, state: Some(state), .. }) = self.next
            && let Change::Write(text, _) = self.change
            && let Ok(text) = String::from_utf8(text)
        {
            cache::keep(self.target.key(), state, Kept { text, tables, checked, edition });
        }
    }
}
