//! A container that is taken apart into its members or items: each is a range of bytes, or what a patch has put there.

use std::sync::Arc;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::index::document::entry::{Entry, NEW, State};
use crate::index::document::keyed::Keyed;
use crate::index::document::scan::{Children, skip_string, skip_white};
use crate::index::document::string::plain;
use crate::index::options::Numbers;

/// So few names are looked through one by one.
const FEW: usize = 16;
/// One part in so many is left free in entries and tables, so that a patch waits for no copy of them.
const SLACK: usize = 16;
/// As much is around an entry as a rule: a line end, an indent, a colon and a comma.
const WHITE: usize = 48;

/// The kinds of container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What is around the value of a text: its only entry.
    Root,
    Object,
    Array,
}

/// What is in the place of an entry's value, or of all of it.
#[derive(Clone, Debug)]
pub struct Change {
    /// The literal of a new member's name.
    pub key: Option<Box<str>>,
    pub value: Value,
}

/// What is in the place of a value.
#[derive(Clone, Debug)]
pub enum Value {
    /// A text of its own.
    Text(Arc<str>),
    /// The same value, taken apart: the node at this position.
    Node(usize),
}

/// A container.
#[derive(Debug)]
pub struct Node {
    pub kind: Kind,
    /// What its ranges are of; `None`: of the document's text.
    pub source: Option<Arc<str>>,
    /// Where its brackets are.
    pub open: usize,
    pub close: usize,
    pub entries: Vec<Entry>,
    pub changes: Vec<Change>,
    /// From names to entries, if there are more than a few.
    names: Option<HashTable<u32>>,
    /// From the keys of items to entries, each by another member.
    pub keyed: Vec<Keyed>,
    /// How many entries are gone or hidden.
    unseen: usize,
    /// No entry before this one is gone.
    first_gone: usize,
    has_hidden: bool,
    seed: u64,
}

impl Node {
    /// The only one of a text whose value is at this range, and which is short enough for an [`Entry`].
    pub fn root(range: std::ops::Range<usize>, length: usize) -> Self {
        let entry = Entry::at(range);
        Self::new(Kind::Root, None, 0, length, vec![entry], 0)
    }

    /// In the place of the root of a text that is too long.
    pub fn none() -> Self {
        Self::new(Kind::Root, None, 0, 0, Vec::new(), 0)
    }

    fn new(
        kind: Kind,
        source: Option<Arc<str>>,
        open: usize,
        close: usize,
        entries: Vec<Entry>,
        seed: u64,
    ) -> Self {
        Self {
            kind,
            source,
            open,
            close,
            entries,
            changes: Vec::new(),
            names: None,
            keyed: Vec::new(),
            unseen: 0,
            first_gone: usize::MAX,
            has_hidden: false,
            seed,
        }
    }

    /// The container that begins at `open`, in `source` or else in `text`.
    pub fn expand(source: Option<Arc<str>>, text: &str, open: usize) -> Self {
        let bytes = source.as_deref().unwrap_or(text).as_bytes();
        let kind = if bytes.get(open) == Some(&b'{') { Kind::Object } else { Kind::Array };
        let mut children = Children::new(bytes, open);
        let entries: Vec<_> =
            children.by_ref().map(|child| Entry::at(child.start()..child.value.end)).collect();
        let close = children.offset();
        // Names may come from anywhere: nobody is to know which have the same hash.
        let mut node = Self::new(kind, source, open, close, entries, fastrand::u64(..));
        if node.entries.len() > FEW {
            node.entries.shrink_to_fit();
            node.make_room();
        }
        if kind == Kind::Object {
            node.hide_repeated(text);
        }
        node
    }

    /// So that the next entries cost no copy of all.
    pub fn make_room(&mut self) {
        let room = self.entries.len() / SLACK;
        if self.entries.capacity() < self.entries.len() + room {
            self.entries.reserve_exact(room);
        }
    }

    fn hide_repeated(&mut self, text: &str) {
        if self.entries.len() <= FEW {
            let count = self.entries.len();
            let names: [_; FEW] = std::array::from_fn(|at| self.name(text, at).map(plain));
            let is_hidden: [_; FEW] =
                std::array::from_fn(|at| at < count && names[at + 1..count].contains(&names[at]));
            (0..count).filter(|at| is_hidden[*at]).for_each(|at| self.hide(at));
        } else {
            self.index_names(text);
        }
    }

    fn hide(&mut self, at: usize) {
        self.entries[at].set_state(State::Hidden);
        self.unseen += 1;
        self.has_hidden = true;
    }

    fn index_names(&mut self, text: &str) {
        let mut names = HashTable::with_capacity(self.entries.len() + self.entries.len() / SLACK);
        for at in 0..self.entries.len() {
            let Some(name) = self.name(text, at).filter(|_| self.entries[at].counts()).map(plain) else {
                continue;
            };
            let hash = self.hash(&name);
            let is_same =
                |other: &u32| self.name(text, *other as usize).is_some_and(|other| plain(other) == name);
            match names.find_mut(hash, is_same) {
                Some(slot) => {
                    let earlier = std::mem::replace(slot, at as u32);
                    self.hide(earlier as usize);
                }
                None => self.add_to(&mut names, text, hash, at),
            }
        }
        self.names = Some(names);
    }

    fn add_to(&self, names: &mut HashTable<u32>, text: &str, hash: u64, at: usize) {
        names.insert_unique(hash, at as u32, |other| {
            self.name(text, *other as usize).map_or(0, |name| self.hash(&plain(name)))
        });
    }

    fn hash(&self, name: &[u8]) -> u64 {
        xxh3_64_with_seed(name, self.seed)
    }

    /// What its ranges are of.
    pub fn bytes<'a>(&'a self, text: &'a str) -> &'a [u8] {
        self.source.as_deref().unwrap_or(text).as_bytes()
    }

    /// What is between the quotes of an entry's name; `None`: it has none, or is not there any more.
    pub fn name<'a>(&'a self, text: &'a str, at: usize) -> Option<&'a [u8]> {
        let literal = self.key(text, at)?;
        literal.get(1..literal.len() - 1)
    }

    /// The literal of an entry's name.
    pub fn key<'a>(&'a self, text: &'a str, at: usize) -> Option<&'a [u8]> {
        let entry = *self.entries.get(at)?;
        if self.kind != Kind::Object {
            return None;
        }
        if entry.start == NEW {
            let State::Changed(change) = entry.state() else { return None };
            return self.changes[change].key.as_deref().map(str::as_bytes);
        }
        let bytes = self.bytes(text);
        let start = entry.start as usize;
        bytes.get(start..skip_string(bytes, start))
    }

    /// Where the value of an entry begins that is in the text.
    pub fn value_start(&self, text: &str, at: usize) -> usize {
        let start = self.entries[at].start as usize;
        if self.kind != Kind::Object {
            return start;
        }
        let bytes = self.bytes(text);
        skip_white(bytes, skip_white(bytes, skip_string(bytes, start)) + 1)
    }

    /// How many members or items there are.
    pub fn count(&self) -> usize {
        self.entries.len() - self.unseen
    }

    /// Whether an entry is gone.
    pub fn has_gone(&self) -> bool {
        self.entries.iter().any(|entry| entry.state() == State::Gone)
    }

    /// The entry of a member.
    pub fn find(&self, text: &str, name: &[u8]) -> Option<usize> {
        let is_named = |at: usize| {
            self.entries[at].counts()
                && self
                    .name(text, at)
                    .is_some_and(|other| other == name || other.contains(&b'\\') && *plain(other) == *name)
        };
        match &self.names {
            None => (0..self.entries.len()).rev().find(|at| is_named(*at)),
            Some(names) => names
                .find(self.hash(name), |at| (*at as usize) < self.entries.len() && is_named(*at as usize))
                .map(|at| *at as usize),
        }
    }

    /// The entry of the item at a position.
    pub fn item(&self, position: usize) -> Option<usize> {
        if position < self.first_gone {
            return (position < self.entries.len()).then_some(position);
        }
        let entries = (self.first_gone..).zip(self.entries.get(self.first_gone..)?);
        let mut counted = entries.filter(|(_, entry)| entry.counts());
        counted.nth(position - self.first_gone).map(|(at, _)| at)
    }

    /// The position of an entry that counts, of an array.
    pub fn position(&self, at: usize) -> usize {
        let gone = self.entries[..at].iter().skip(self.first_gone).filter(|entry| !entry.counts());
        at - gone.count()
    }

    /// The table of records by this member.
    pub fn keyed_by(&self, member: &str, numbers: Numbers) -> Option<&Keyed> {
        self.keyed.iter().find(|keyed| keyed.member == member && keyed.numbers == numbers)
    }

    fn move_keyed(&mut self, to: impl Fn(usize) -> Option<usize> + Copy) {
        self.keyed.iter_mut().for_each(|keyed| keyed.moved(to));
    }

    /// Gives an entry another state, and returns the one before. For the names, see [`Node::forget`] and [`Node::learn`].
    pub fn set_state(&mut self, at: usize, state: State) -> State {
        let old = self.entries[at].state();
        self.entries[at].set_state(state);
        let unseen = |state| usize::from(matches!(state, State::Gone | State::Hidden));
        self.unseen = self.unseen + unseen(state) - unseen(old);
        if state == State::Gone {
            self.first_gone = self.first_gone.min(at);
        }
        old
    }

    /// Keeps a change, and returns the state of the entry that has it.
    pub fn change(&mut self, change: Change) -> State {
        self.changes.push(change);
        State::Changed(self.changes.len() - 1)
    }

    /// Adds an entry that is not in the text.
    pub fn insert(&mut self, at: usize, change: Change) {
        self.entries.insert(at, Entry::new());
        let state = self.change(change);
        self.set_state(at, state);
        if at + 1 < self.entries.len() {
            self.move_keyed(|other| Some(other + usize::from(other >= at)));
        }
        if at <= self.first_gone {
            self.first_gone = self.first_gone.saturating_add(1);
        }
    }

    /// Takes the entry out that [`Node::insert`] has added.
    pub fn take_out(&mut self, at: usize) {
        let entry = self.entries.remove(at);
        self.unseen -= usize::from(!entry.counts());
        if at < self.entries.len() {
            self.move_keyed(|other| (other != at).then_some(other - usize::from(other > at)));
        }
        if at < self.first_gone && self.first_gone != usize::MAX {
            self.first_gone -= 1;
        }
    }

    /// An entry is not found by its name any more.
    pub fn forget(&mut self, text: &str, at: usize) {
        let Some(name) = self.name(text, at).map(plain) else { return };
        let hash = self.hash(&name);
        if let Some(names) = &mut self.names
            && let Ok(found) = names.find_entry(hash, |other| *other as usize == at)
        {
            found.remove();
        }
    }

    /// An entry is found by its name.
    pub fn learn(&mut self, text: &str, at: usize) {
        let Some(mut names) = self.names.take() else {
            if self.kind == Kind::Object && self.entries.len() > FEW {
                self.index_names(text);
            }
            return;
        };
        if let Some(name) = self.name(text, at).map(plain) {
            self.add_to(&mut names, text, self.hash(&name), at);
        }
        self.names = Some(names);
    }

    /// The earlier members that have the name of `at`, none of which counts.
    pub fn hidden_by(&self, text: &str, at: usize) -> Vec<usize> {
        if !self.has_hidden {
            return Vec::new();
        }
        let name = self.name(text, at).map(plain);
        let is_hidden = |other: &usize| {
            self.entries[*other].state() == State::Hidden && self.name(text, *other).map(plain) == name
        };
        (0..self.entries.len()).filter(is_hidden).collect()
    }

    /// Only the first entries are left, and all changes are in the text, but for these. `kept`: where entries are that were at other
    /// positions, if some are gone.
    pub fn settle(&mut self, count: usize, changes: Vec<Change>, kept: &[Option<u32>]) {
        let keep = |at: &mut u32| match kept.get(*at as usize).copied().flatten() {
            Some(next) => {
                *at = next;
                true
            }
            None => false,
        };
        if !kept.is_empty() {
            if let Some(names) = &mut self.names {
                names.retain(keep);
            }
            self.move_keyed(|at| kept.get(at).copied().flatten().map(|at| at as usize));
        }
        self.entries.truncate(count);
        self.changes = changes;
        self.first_gone = usize::MAX;
        self.unseen = self.entries.iter().filter(|entry| !entry.counts()).count();
        self.make_room();
    }

    /// About how many bytes of text it has that are not in its source.
    pub fn added(&self) -> usize {
        let size = |change: &Change| match &change.value {
            Value::Text(text) => text.len() + change.key.as_deref().map_or(0, str::len) + WHITE,
            Value::Node(_) => 0,
        };
        self.changes.iter().map(size).sum::<usize>() + self.source.as_deref().map_or(0, str::len)
    }

    /// How many bytes it takes, beside its texts.
    pub fn size(&self) -> usize {
        let table = |table: &HashTable<u32>| table.allocation_size();
        size_of::<Self>()
            + self.entries.capacity() * size_of::<Entry>()
            + self.changes.capacity() * size_of::<Change>()
            + self.names.as_ref().map_or(0, table)
            + self.keyed.iter().map(Keyed::size).sum::<usize>()
    }
}
