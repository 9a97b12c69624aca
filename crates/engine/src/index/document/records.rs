//! Records in a container, each known by the value of one of its members.

use std::borrow::Cow;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::index::document::Document;
use crate::index::document::entry::State;
use crate::index::document::fault::{Fault, What};
use crate::index::document::find::is_named;
use crate::index::document::keyed::Keyed;
use crate::index::document::node::{Kind, Value};
use crate::index::document::pointer::Pointer;
use crate::index::document::scan::{Children, skip_white};
use crate::index::document::string::plain;
use crate::index::document::sum::print;
use crate::index::number;
use crate::index::options::Numbers;

/// By so many members at most the records of an array are known: the member that was needed first is forgotten.
const MOST_KEYS: usize = 4;

/// The key of a record. A number is none that is written as a string, as for JavaScript.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum RecordKey<'t> {
    Text(Cow<'t, [u8]>),
    Number(f64),
}

impl<'t> RecordKey<'t> {
    /// Of a value's text; `None`: it is none. A number is one by its double: not if its digits are to be kept, and a double has
    /// not all of them.
    pub fn of(value: &'t [u8], numbers: Numbers) -> Option<Self> {
        match value.first()? {
            b'"' => Some(Self::Text(plain(&value[1..value.len().checked_sub(1)?]))),
            b'-' | b'0'..=b'9' => {
                let literal = std::str::from_utf8(value).ok()?.trim_end();
                let is_key = numbers != Numbers::Exact || !number::changes(literal, numbers);
                literal.parse().ok().filter(|_| is_key).map(Self::Number)
            }
            _ => None,
        }
    }

    fn hash(&self, seed: u64) -> u64 {
        match self {
            Self::Text(text) => xxh3_64_with_seed(text, seed),
            // A zero has no sign.
            Self::Number(number) => xxh3_64_with_seed(&(number + 0.0).to_bits().to_le_bytes(), !seed),
        }
    }

    /// The name of the record in an object; `None`: a name has no half of a surrogate pair.
    fn name(&self) -> Option<String> {
        match self {
            Self::Text(text) => String::from_utf8(text.to_vec()).ok(),
            Self::Number(number) => Some(print(*number)),
        }
    }
}

/// The value of the last member of this name, if the text is an object that has it.
pub(super) fn member_of<'t>(text: &'t [u8], name: &str) -> Option<&'t [u8]> {
    let start = skip_white(text, 0);
    if text.get(start) != Some(&b'{') {
        return None;
    }
    let named = Children::new(text, start).filter(|child| is_named(child.name(text), name));
    named.last().map(|child| &text[child.value])
}

impl Document {
    /// The text of an entry's value, if it is one piece.
    pub(super) fn piece(&self, node: usize, at: usize) -> Result<&[u8], usize> {
        let holder = &self.nodes[node];
        match holder.entries[at].state() {
            State::Changed(change) => match &holder.changes[change].value {
                Value::Node(inner) => Err(*inner),
                Value::Text(text) => Ok(text.as_bytes()),
            },
            State::Gone => Ok(b""),
            State::Kept | State::Hidden => {
                let start = holder.value_start(&self.text, at);
                Ok(&holder.bytes(&self.text)[start..holder.entries[at].end as usize])
            }
        }
    }

    fn record_key(&self, node: usize, at: usize, name: &str, numbers: Numbers) -> Option<RecordKey<'_>> {
        if !self.nodes[node].entries.get(at)?.counts() {
            return None;
        }
        match self.piece(node, at) {
            Ok(text) => RecordKey::of(member_of(text, name)?, numbers),
            Err(inner) => {
                let at = self.nodes[inner].find(&self.text, name.as_bytes())?;
                let text = self.piece(inner, at).ok()?;
                RecordKey::of(&text[skip_white(text, 0)..], numbers)
            }
        }
    }

    /// Makes the table of an array's records by this member.
    pub(super) fn index_records(&mut self, node: usize, name: &str, numbers: Numbers) {
        let holder = &self.nodes[node];
        if holder.kind != Kind::Array || holder.keyed_by(name, numbers).is_some() {
            return;
        }
        let mut keyed = Keyed::new(name, numbers, holder.entries.len());
        for at in 0..holder.entries.len() {
            self.learn_key(&mut keyed, node, at);
        }
        let all = &mut self.nodes[node].keyed;
        if all.len() >= MOST_KEYS {
            all.remove(0);
        }
        all.push(keyed);
    }

    /// A record is found by its key.
    pub(super) fn learn_record(&mut self, node: usize, at: usize) {
        let mut all = std::mem::take(&mut self.nodes[node].keyed);
        for keyed in &mut all {
            self.learn_key(keyed, node, at);
        }
        let count = self.nodes[node].entries.len();
        all.retain(|keyed| !keyed.is_outdated(count));
        self.nodes[node].keyed = all;
    }

    fn learn_key(&self, keyed: &mut Keyed, node: usize, at: usize) {
        if let Some(key) = self.record_key(node, at, &keyed.member, keyed.numbers) {
            keyed.learn(key.hash(keyed.seed), at);
        }
    }

    /// The records with this key, in their order; see [`Document::index_records`].
    pub(super) fn find_records(
        &self,
        node: usize,
        name: &str,
        key: &RecordKey<'_>,
        numbers: Numbers,
    ) -> Vec<usize> {
        let Some(keyed) = self.nodes[node].keyed_by(name, numbers) else { return Vec::new() };
        let has_key = |at: &usize| self.record_key(node, *at, name, numbers).as_ref() == Some(key);
        let mut found: Vec<_> = keyed.candidates(key.hash(keyed.seed)).filter(has_key).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    pub(super) fn upsert(
        &mut self,
        pointer: &Pointer,
        key: &str,
        records: &[Arc<str>],
        remove: &[Arc<str>],
        numbers: Numbers,
    ) -> Result<(), Fault> {
        let (place, entry) = self.taken(pointer)?;
        let node = match self.expanded(place.node, entry) {
            Ok(node) => node,
            Err(what) => return Err(Fault::at(pointer, format!("cannot have records: it is {what}"))),
        };
        let odd = |what: &str| {
            Fault::at(
                pointer,
                format!("cannot have {what} without a key: '{key}' is to be a string or a number"),
            )
        };
        let is_array = self.what_is(node) == What::Array;
        let key_of = |record| member_of(record, key).and_then(|key| RecordKey::of(key, numbers));
        self.index_records(node, key, numbers);
        for doomed in remove {
            let doomed = RecordKey::of(doomed.as_bytes(), numbers).ok_or_else(|| odd("a record removed"))?;
            if is_array {
                for at in self.find_records(node, key, &doomed, numbers) {
                    self.remove(node, at);
                }
            } else if let Some(name) = doomed.name()
                && let Some(at) = self.nodes[node].find(&self.text, name.as_bytes())
            {
                self.remove(node, at);
            }
        }
        for record in records {
            let name = key_of(record.as_bytes()).ok_or_else(|| odd("a record"))?;
            self.index_records(node, key, numbers);
            let length = self.nodes[node].entries.len();
            if is_array {
                match self.find_records(node, key, &name, numbers).first().copied() {
                    Some(at) => {
                        self.put(node, at, record.clone());
                        // By other members than this one it has another key.
                        self.learn_record(node, at);
                    }
                    None => {
                        self.insert(node, length, None, record.clone());
                        self.learn_record(node, length);
                    }
                }
            } else {
                let name = name.name().ok_or_else(|| odd("a record"))?;
                match self.nodes[node].find(&self.text, name.as_bytes()) {
                    Some(at) => self.put(node, at, record.clone()),
                    None => self.insert(node, length, Some(&name), record.clone()),
                }
            }
        }
        self.touch(&place);
        Ok(())
    }
}
