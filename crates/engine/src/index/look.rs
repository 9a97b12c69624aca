//! A look into an index: a value, the keys of a container, its records one after the other, without a tree of the rest.
//!
//! The text is the one that this process keeps from its last commit, and goes on to keep, or that of the file: a value is sought in it while it is
//! read (`seek`), for all else it is read first.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::dir::{Resolve, Target};
use crate::error::{Error, ErrorKind, Named, Result};
use crate::index::cache::{self, Kept};
use crate::index::document::{Children, Keys, Pointer, find, keys};
use crate::index::format::Format;
use crate::index::json;
use crate::index::options::UpdateOptions;
use crate::index::seek::{Sought, seek};
use crate::index::source::Source;
use crate::index::text::Text;
use crate::job::{Job, Step};
use crate::process::{Key, copy_text, room_to_read};
use crate::sys::{self, Dir, Kind, Version};

/// How much text of records is given at a time.
const PIECE: usize = 256 << 10;

/// The text of an index, which is given back to the cache afterwards if it comes from there.
struct Loan {
    kept: Kept,
    key: Key,
    file: Source,
    state: Option<cache::State>,
}

/// The file of an index, of which nothing was read.
struct Unread {
    target: Target,
    file: File,
    version: Version,
}

impl Unread {
    /// `None`: there is no file.
    fn open(path: &Path, options: &UpdateOptions) -> Result<Option<Self>> {
        let is_missing = |error: &Error| error.errno_of("open") == Some(sys::ENOENT);
        let target = match Target::resolve(path, Resolve { mkdir: false, exclusive: false }) {
            Err(error) if is_missing(&error) => return Ok(None),
            target => target?,
        };
        let file = match target.dir.open_file(&target.name) {
            Err(error) if error.raw_os_error() == Some(sys::ENOENT) => return Ok(None),
            opened => opened.named("open")?,
        };
        let (kind, version) = Dir::stat_file(&file).named("fstat")?;
        if kind != Kind::File {
            return Err(ErrorKind::NotRegular { what: "not the file that it was a moment ago" }.into());
        }
        json::check_size(version.size, options.longest)?;
        Ok(Some(Self { target, file, version }))
    }

    /// Its text from the cache, and what the file is like to which that belongs.
    fn kept(&self) -> Option<(Kept, Option<cache::State>)> {
        let kept = cache::take(&self.target.key(), &self.file)?;
        Some((kept, cache::State::of(&self.file)))
    }

    /// Its text from the file, all of which is read.
    fn read(mut self) -> Result<Loan> {
        let mut bytes = room_to_read(self.version.size)?;
        self.file.read_to_end(&mut bytes).named("read")?;
        let kept = Kept { text: Format::Json.check(bytes)?, tables: None, checked: None, edition: None };
        Ok(self.loan(kept, None))
    }

    /// What is at `pointer`, without all of the text in memory. `None`: that does not tell, or what is wrong is to be said of all of it.
    fn seek(&mut self, pointer: &Pointer, options: &UpdateOptions) -> Result<Option<Look>> {
        let text = match seek(&mut self.file, self.version.size, pointer).named("read")? {
            Sought::Nothing => return Ok(Some(Look::Nothing)),
            Sought::Found(text) => Some(text),
            Sought::Unclear => None,
        };
        let is_short = |text: &String| json::check_length(text.as_bytes(), options.longest).is_ok();
        let look = text.filter(is_short).and_then(|text| {
            let keeps_digits = json::check_numbers(&text, options.numbers).ok()?;
            Some(Look::Found(Text::new(text, keeps_digits, Format::Json)))
        });
        if look.is_none() {
            self.file.rewind().named("lseek")?;
        }
        Ok(look)
    }

    fn loan(self, kept: Kept, state: Option<cache::State>) -> Loan {
        let Self { target, file, version } = self;
        let key = target.key();
        Loan { kept, key, file: Source::new(&target, file, &version), state }
    }
}

impl Loan {
    /// `None`: there is no file.
    fn take(path: &Path, options: &UpdateOptions) -> Result<Option<Self>> {
        let Some(file) = Unread::open(path, options)? else { return Ok(None) };
        Ok(Some(match file.kept() {
            Some((kept, state)) => file.loan(kept, state),
            None => file.read()?,
        }))
    }

    /// Where a value is.
    fn find(&self, pointer: &Pointer) -> Option<Range<usize>> {
        let Kept { text, tables, .. } = &self.kept;
        tables
            .as_ref()
            .map_or_else(|| find(text, pointer).map(|found| found.range), |tables| tables.find(text, pointer))
    }

    /// A part of it, or what was made of parts, whose numbers are fit for the caller.
    fn part(&self, of: &Range<usize>, made: Option<String>, options: &UpdateOptions) -> Result<Text> {
        json::check_length(&self.kept.text.as_bytes()[of.clone()], options.longest)?;
        let is_checked = self.kept.checked.is_some_and(|checked| checked.covers(options.numbers));
        let keeps_digits = !is_checked && json::check_numbers_in(&self.kept.text, of, options.numbers)?;
        let text = made.map_or_else(|| copy_text(&self.kept.text[of.clone()]), Ok)?;
        Ok(Text::new(text, keeps_digits, Format::Json))
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let Self { kept: Kept { text, tables, checked, edition }, key, .. } = self;
        let (state, file) = (self.state.take(), self.file.handle());
        let Some((state, file)) = state.zip(file) else { return };
        // Of a file that was replaced meanwhile there may be a newer text.
        if cache::State::of(file).as_ref() == Some(&state) {
            let (text, tables) = (std::mem::take(text), tables.take());
            let kept = Kept { text, tables, checked: *checked, edition: *edition };
            cache::give_back(key.clone(), state, kept);
        }
    }
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The value.
    Value,
    /// The keys of the container, as a JSON array of strings.
    Keys,
}

/// What there is.
#[derive(Debug)]
pub enum Look {
    /// No file.
    Missing,
    /// The pointer leads nowhere, or to no container whose keys there could be.
    Nothing,
    /// This, as JSON.
    Found(Text),
}

/// Looks into an index once.
pub struct LookJob {
    path: PathBuf,
    options: UpdateOptions,
    pointer: Pointer,
    wanted: Wanted,
}

impl LookJob {
    /// Of the options only those of the text count.
    pub fn new(path: PathBuf, options: UpdateOptions, pointer: Pointer, wanted: Wanted) -> Self {
        Self { path, options, pointer, wanted }
    }

    fn look(&self) -> Result<Look> {
        let Some(mut file) = Unread::open(&self.path, &self.options)? else { return Ok(Look::Missing) };
        let loan = match file.kept() {
            Some((kept, state)) => file.loan(kept, state),
            None => {
                if self.wanted == Wanted::Value
                    && let Some(look) = file.seek(&self.pointer, &self.options)?
                {
                    return Ok(look);
                }
                file.read()?
            }
        };
        let found = match self.wanted {
            Wanted::Value => {
                loan.find(&self.pointer).map(|found| loan.part(&found, None, &self.options)).transpose()?
            }
            Wanted::Keys => keys(&loan.kept.text, &self.pointer)
                .map(|keys| Text::new(printed(&loan.kept.text, keys), false, Format::Json)),
        };
        Ok(found.map_or(Look::Nothing, Look::Found))
    }
}

/// As `Object.keys` has them, but for the order of whole numbers.
fn printed(text: &str, keys: Keys) -> String {
    let literals: Vec<_> = match keys {
        Keys::Members(names) => names.into_iter().map(|name| text[name].to_owned()).collect(),
        Keys::Items(count) => (0..count).map(|position| format!("\"{position}\"")).collect(),
    };
    format!("[{}]", literals.join(","))
}

impl Job for LookJob {
    type Output = Look;

    fn run(self) -> Step<Self> {
        match self.look() {
            Err(error) if error.is_transient() => Step::Again(self, error),
            looked => Step::Done(looked),
        }
    }
}

/// The records of a container that are still to come.
pub struct Records {
    loan: Loan,
    options: UpdateOptions,
    at: usize,
    has_keys: bool,
}

impl Records {
    /// The next ones as a JSON array: of pairs of key and value, or of values. `true`: there are no more.
    fn next(&mut self) -> Result<(Text, bool)> {
        let text = &self.loan.kept.text;
        let mut rest = Children::resume(text.as_bytes(), self.at, self.has_keys);
        let (start, mut made) = (self.at, String::from("["));
        let mut end = start;
        for child in rest.by_ref() {
            let length = child.key.len() + child.value.len() + 5;
            made.try_reserve(length).map_err(|_| Error::no_memory())?;
            if made.len() > 1 {
                made.push(',');
            }
            if self.has_keys {
                made.extend(["[", &text[child.key], ",", &text[child.value.clone()], "]"]);
            } else {
                made.push_str(&text[child.value.clone()]);
            }
            end = child.value.end;
            if made.len() >= PIECE {
                break;
            }
        }
        made.push(']');
        let is_last = matches!(text.as_bytes().get(rest.offset()), None | Some(b'}' | b']'));
        self.at = rest.offset();
        Ok((self.loan.part(&(start..end), Some(made), &self.options)?, is_last))
    }
}

/// Begins with the records of a container. `None`: there is no such container.
pub struct OpenRecordsJob {
    /// Where the index is.
    pub path: PathBuf,
    /// Of these only those of the text count.
    pub options: UpdateOptions,
    /// Where in it the container is.
    pub pointer: Pointer,
}

impl OpenRecordsJob {
    fn open(&self) -> Result<Option<Records>> {
        let Some(loan) = Loan::take(&self.path, &self.options)? else { return Ok(None) };
        let text = loan.kept.text.as_bytes();
        let Some(open) = loan.find(&self.pointer).map(|found| found.start) else { return Ok(None) };
        let has_keys = match text.get(open) {
            Some(b'{') => true,
            Some(b'[') => false,
            _ => return Ok(None),
        };
        let (at, options) = (Children::new(text, open).offset(), self.options.clone());
        Ok(Some(Records { loan, options, at, has_keys }))
    }
}

impl Job for OpenRecordsJob {
    type Output = Option<Records>;

    fn run(self) -> Step<Self> {
        match self.open() {
            Err(error) if error.is_transient() => Step::Again(self, error),
            opened => Step::Done(opened),
        }
    }
}

/// The next records.
pub struct NextRecordsJob(pub Records);

impl Job for NextRecordsJob {
    type Output = (Records, Text, bool);

    fn run(mut self) -> Step<Self> {
        Step::Done(self.0.next().map(|(text, is_last)| (self.0, text, is_last)))
    }
}
