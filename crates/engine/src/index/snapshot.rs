//! One version of an index, and its file.

use std::io::{Read, Seek};

use crate::cancel::Cancel;
use crate::error::{Error, Named, Result};
use crate::index::cache::{self, Kept};
use crate::index::document::Tables;
use crate::index::format::Format;
use crate::index::json;
use crate::index::number;
use crate::index::options::{Numbers, UpdateOptions};
use crate::index::same::{self, Comparison};
use crate::index::source::Source;
use crate::index::text::Text;
use crate::process::{Key, room_to_read, try_room};
use crate::sys::Version;
use crate::write::verify;

/// From this size on only one text is kept in memory at a time.
const LARGE: usize = 16 << 20;
/// How much of a file is read at first where it differs from a text; eight times as much at each further look.
const WINDOW: usize = 64 << 10;

/// One version of an index.
#[derive(Debug)]
pub struct Snapshot {
    /// What it says; empty if it was forgotten.
    pub text: Text,
    /// Known of its numbers: JavaScript would change none, in this sense.
    pub(crate) checked: Option<Numbers>,
    /// Why it cannot be taken, if it is to be replaced all the same.
    pub fault: Option<Box<Error>>,
    pub(crate) version: Version,
    pub(super) file: Source,
}

impl Snapshot {
    /// Frees the text, if it is a large one: a new text can be compared with the file instead.
    pub fn forget(&mut self) {
        if self.text.whole.len() >= LARGE {
            self.text.whole = String::new();
        }
    }

    /// Whether there is a text to be patched.
    pub fn is_patchable(&self) -> bool {
        self.fault.is_none() && !self.text.json().is_empty()
    }

    /// The caller cannot parse it.
    pub fn refuse(&mut self, reason: String) {
        let fault = json::corrupt(Format::Other, self.text.whole.as_bytes(), 0, reason, json::FILE);
        self.fault = Some(Box::new(fault.into()));
    }

    /// Whether it is this text, byte for byte.
    pub(crate) fn is(&self, text: &Text) -> bool {
        self.fault.is_none() && self.text.whole == text.whole
    }

    /// Whether it says what this text says, however each is laid out; but for an indent that the caller has asked for.
    pub(crate) fn says(&self, text: &[u8], options: &UpdateOptions, cancel: &Cancel) -> Result<bool> {
        if self.fault.is_some() {
            return Ok(false);
        }
        if !self.text.whole.is_empty() {
            return Ok(self.text.says(text, options));
        }
        let UpdateOptions { space, numbers, .. } = options;
        if options.format == Format::Other
            || space.as_ref().is_some_and(|space| !self.text.layout.is_indented_by(space))
        {
            return self.holds(text, cancel);
        }
        let size = usize::try_from(self.version.size).unwrap_or(usize::MAX);
        let common = self.file.with(|file| verify::common(file, text, cancel))?;
        if common == text.len() && common == size {
            return Ok(true);
        }
        let start = same::boundary(&text[..common]);
        let mut length = WINDOW;
        loop {
            cancel.check()?;
            let mut window = try_room(length).ok_or_else(Error::no_memory)?;
            window.resize(length, 0);
            let got = self.file.with(|file| verify::read_fully(file, &mut window, start as u64))?;
            // Less than asked for: the file was cut meanwhile.
            let whole = got < length || start + got >= size;
            match same::compare(&window[..got], &text[start..], *numbers, whole) {
                Comparison::Undecided => length = length.saturating_mul(8).min(size - start),
                decided => return Ok(decided == Comparison::Same),
            }
        }
    }

    /// What is known of the numbers of the text that replaces it, without looking at those that were there before. `tables`: those of the text, if patches of
    /// this one have made it.
    pub(crate) fn checked_after(&self, text: &str, tables: Option<&Tables>) -> Option<Numbers> {
        if tables.is_some_and(|tables| !tables.may_bring_numbers()) {
            return self.checked;
        }
        let old = &self.text.whole;
        self.checked.filter(|numbers| !old.is_empty() && !number::may_bring(old, text, *numbers))
    }

    /// Keeps `text`, byte for byte what was taken from the cache, or read, if it is still that of the file, which `key` names.
    pub(crate) fn keep_unchanged(
        &self,
        key: Key,
        text: &mut Vec<u8>,
        tables: Option<Tables>,
        edition: Option<u64>,
    ) {
        if let Some(state) = self.file.handle().and_then(cache::State::of)
            && state.is_of(&self.version)
            && let Ok(text) = String::from_utf8(std::mem::take(text))
        {
            cache::keep(key, state, Kept { text, tables, checked: self.checked, edition });
        }
    }

    /// Whether the bytes of its file are these.
    fn holds(&self, text: &[u8], cancel: &Cancel) -> Result<bool> {
        let has_size = self.version.size == text.len() as u64;
        Ok(has_size && self.file.with(|file| verify::common(file, text, cancel))? == text.len())
    }

    /// All of its bytes.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = room_to_read(self.version.size)?;
        self.file.with(|mut file| {
            file.rewind().named("lseek")?;
            file.read_to_end(&mut bytes).named("read")
        })?;
        Ok(bytes)
    }
}
