//! The text of an index: what JavaScript parses, and what tells how the next one is to look.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::data::Data;
use crate::error::{Error, ErrorKind, Result};
use crate::index::document::{Document, LARGE, Operation, Tables};
use crate::index::format::Format;
use crate::index::layout::{Layout, without_mark};
use crate::index::options::{Numbers, UpdateOptions};
use crate::index::{cache, json, same};

/// A text that was checked. If it is JSON, its numbers are fit for JavaScript or for its caller.
#[derive(Debug)]
pub struct Text {
    /// All of it.
    pub(crate) whole: String,
    /// What is known of it from patches.
    pub(crate) tables: Option<Tables>,
    /// What it is known by, if this process has written it and nothing has changed the file since: see [`kept_editions`].
    pub edition: Option<u64>,
    /// How it is laid out.
    pub layout: Layout,
    /// Whether its JSON is plain ASCII, which V8 takes without decoding it.
    pub ascii: bool,
    /// Whether there are numbers in it that JavaScript would change and that are to stay as they are.
    pub keeps_digits: bool,
}

/// The bytes to write of what `JSON.stringify`, or a codec, has printed.
///
/// # Errors
/// [`ErrorKind::InvalidJson`], if it is no Unicode; `ENOMEM`.
pub(crate) fn laid_out(printed: Data, layout: &Layout, options: &UpdateOptions) -> Result<Vec<u8>> {
    let text = printed.into_json()?;
    layout.apply(text, options.space.as_ref())
}

fn lone_surrogate() -> Error {
    ErrorKind::InvalidJson { reason: "a lone surrogate".to_owned() }.into()
}

/// An edition for the next text of an index, which no other has in this process.
pub fn next_edition() -> u64 {
    static ISSUED: AtomicU64 = AtomicU64::new(0);
    ISSUED.fetch_add(1, Ordering::Relaxed)
}

/// The editions of all texts that are kept now: no other one comes again, but for those of updates that are under way.
pub fn kept_editions() -> Vec<u64> {
    cache::editions()
}

impl Text {
    /// Of a text that was checked.
    pub(crate) fn new(whole: String, keeps_digits: bool, format: Format) -> Self {
        Self {
            layout: format.layout(&whole),
            ascii: without_mark(&whole).is_ascii(),
            keeps_digits,
            tables: None,
            edition: None,
            whole,
        }
    }

    /// The text as a document, to be patched. It is not here any more then, as if it had been forgotten.
    pub fn take_document(&mut self) -> Document {
        let text = std::mem::take(&mut self.whole);
        match self.tables.take() {
            Some(tables) => Document::with_tables(text, tables),
            None => Document::new(text),
        }
    }

    /// Takes apart what patches need.
    pub(crate) fn prepare<'p>(&mut self, operations: impl Iterator<Item = &'p Operation>, numbers: Numbers) {
        let mut document = self.take_document();
        operations.for_each(|operation| document.prepare(operation, numbers));
        self.put_back(document);
    }

    /// Whether a patch needs nothing large that is not taken apart yet.
    pub fn is_ready(&self, patch: &[Operation]) -> bool {
        let is_small = self.whole.len() <= LARGE;
        is_small || self.tables.as_ref().is_some_and(|tables| tables.is_ready(&self.whole, patch))
    }

    /// Puts back what [`Text::take_document`] has taken out, without what was changed since.
    pub fn put_back(&mut self, document: Document) {
        let (text, tables) = document.into_parts();
        self.whole = text;
        self.tables = Some(tables);
    }

    /// Checks the text of an object in a store.
    ///
    /// # Errors
    /// [`ErrorKind::TooLong`], [`ErrorKind::CorruptIndex`], [`ErrorKind::LossyIndex`].
    pub fn check(bytes: Vec<u8>, options: &UpdateOptions) -> Result<Self> {
        json::check_length(&bytes, options.longest)?;
        // An object is JSON: its codec would be refused.
        let whole = json::check_object(bytes)?;
        let keeps_digits = json::check_numbers(&whole, options.numbers)?;
        Ok(Self::new(whole, keeps_digits, Format::Json))
    }

    /// What `JSON.stringify`, or a codec, has printed, as it is read once it is written.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidJson`], [`ErrorKind::LossyIndex`].
    pub fn of_printed(printed: Data, layout: &Layout, options: &UpdateOptions) -> Result<Self> {
        let whole = laid_out(printed, layout, options)?;
        let whole = String::from_utf8(whole).map_err(|_| lone_surrogate())?;
        let keeps_digits = options.format == Format::Json && json::check_numbers(&whole, options.numbers)?;
        Ok(Self::new(whole, keeps_digits, options.format))
    }

    /// All but a byte order mark.
    pub fn json(&self) -> &str {
        without_mark(&self.whole)
    }

    /// How many bytes it has.
    pub fn size(&self) -> usize {
        self.whole.len()
    }

    /// Whether it says what `next` says, however each is laid out; but for an indent that the caller has asked for.
    pub(crate) fn says(&self, next: &[u8], options: &UpdateOptions) -> bool {
        let UpdateOptions { space, numbers, .. } = options;
        if options.format == Format::Other
            || space.as_ref().is_some_and(|space| !self.layout.is_indented_by(space))
        {
            return self.whole.as_bytes() == next;
        }
        same::is_same(self.whole.as_bytes(), next, *numbers)
    }
}
